// Kernels and the host code that launches them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_RUNTIME_GPUPROGRAM_H
#define MOE_RUNTIME_GPUPROGRAM_H

#include "moe/Runtime/GPUDriver.h"
#include "moe/Runtime/LoadedCode.h"
#include "llvm/ADT/SmallVector.h"

#include <map>
#include <mutex>
#include <vector>

namespace mlir::moe {

/// PTX or machine code, loaded into a device, and its kernels by number.
class GPUModule {
public:
  /// Fails, with what the driver's compiler says, if the image cannot be read,
  /// or if it lacks a kernel.
  static llvm::Expected<std::unique_ptr<GPUModule>>
  load(std::shared_ptr<const GPUDevice> device, llvm::StringRef image,
       llvm::ArrayRef<std::string> kernels);
  ~GPUModule();
  GPUModule(const GPUModule &) = delete;

  DriverFunction function(int32_t number) const { return functions[number]; }
  const std::string &kernel(int32_t number) const { return names[number]; }

private:
  explicit GPUModule(std::shared_ptr<const GPUDevice> device)
      : device(std::move(device)) {}
  llvm::Error loadImage(llvm::StringRef image);
  llvm::Error addKernel(const std::string &name);

  std::shared_ptr<const GPUDevice> device;
  DriverModule module = nullptr;
  std::vector<DriverFunction> functions;
  std::vector<std::string> names;
};

/// Memory of a result: what the caller gave, or what was allocated.
struct GPUResult {
  DevicePointer pointer = 0;
  size_t bytes = 0;
  std::shared_ptr<GPUBuffer> owner; ///< null if the caller's
};

/// A launch: its kernel by number, blocks, threads of one, and how it is made.
struct GPULaunch {
  int32_t kernel;
  int64_t grid[3];
  int32_t threads, sharedBytes, cluster, cooperative;
};

/// What a call would launch, written down in place of launching it. Memory has
/// addresses that only say what it is.
class GPURecording {
public:
  /// What memory is for; `Kept` is that of moe_gpu_zeroed.
  enum class Space { Argument, Result, Arena, Kept };
  /// A place in memory: the `number`th argument, result and so on.
  struct Place {
    Space space;
    int32_t number;
    int64_t offset;
  };
  struct Launch {
    GPULaunch launch;
    /// An address for parameters of 8 bytes, a number for those of 4.
    std::vector<uint64_t> arguments;
  };

  /// `parameterBytes` are those of each kernel's parameters, by its number.
  explicit GPURecording(std::vector<std::vector<size_t>> parameterBytes)
      : parameterBytes(std::move(parameterBytes)) {}

  static DevicePointer address(Space space, int32_t number);
  static Place place(DevicePointer address);
  /// Memory of so many bytes.
  DevicePointer memory(Space space, int32_t number, size_t bytes);
  llvm::Error add(const GPULaunch &launch, void **arguments);

  std::vector<Launch> launches;
  /// Bytes of everything that was asked for.
  std::map<std::pair<Space, int32_t>, size_t> bytes;

private:
  std::vector<std::vector<size_t>> parameterBytes;
};

/// What compiled host code calls: one call of it at a time. The first failure
/// of a call is kept, and what the call asks for after it is not done.
class GPUContext {
public:
  GPUContext(std::shared_ptr<const GPUDevice> device, const GPUModule &module)
      : device(std::move(device)), module(module) {}

  /// Begins a call on a stream. `given` are the caller's buffers for results,
  /// with pointer 0 where one is to be allocated. With `recording` nothing is
  /// allocated or launched.
  void begin(DriverStream stream, std::vector<GPUResult> given,
             GPURecording *recording = nullptr);
  /// Ends it: its results, in order, or its failure.
  llvm::Expected<std::vector<GPUResult>> end();

  // The functions behind moe_gpu_arena and so on. They give address 0 and do
  // nothing once the call has failed.
  DevicePointer arena(size_t bytes);
  DevicePointer result(int32_t number, size_t bytes);
  DevicePointer zeroed(int32_t number, size_t bytes);
  void launch(const GPULaunch &launch, void **arguments);
  /// The number of multiprocessors of the device.
  int64_t multiprocessors() const { return device->multiprocessors; }

  /// Bytes that are kept from call to call, for all streams.
  size_t keptBytes() const;
  /// Frees them; the next call allocates anew.
  void release() { workspaces.clear(); }

private:
  /// What the calls of one stream keep: they follow each other, so that each
  /// may overwrite what the one before left.
  struct Workspace {
    std::shared_ptr<GPUBuffer> arena;
    struct Zeroed {
      std::shared_ptr<GPUBuffer> buffer;
      bool isZero = false;
    };
    std::map<int32_t, Zeroed> zeroed;
  };

  std::shared_ptr<GPUBuffer> allocate(size_t bytes);
  int launchPlain(DriverFunction function, const GPULaunch &launch,
                  void **arguments);
  int launchExtended(DriverFunction function, const GPULaunch &launch,
                     void **arguments);
  void fail(llvm::Error error);

  std::shared_ptr<const GPUDevice> device;
  const GPUModule &module;
  std::map<DriverStream, Workspace> workspaces;
  // Of the call that runs:
  DriverStream stream = nullptr;
  GPURecording *recording = nullptr;
  Workspace *workspace = nullptr;
  std::vector<GPUResult> results;
  std::string failure;
  bool hasFailed = false;
};

/// A compiled module: its kernels on a device and its functions on the host.
class GPUProgram {
public:
  /// `object` was made of the host's part (see NativeModule), `image` is PTX or
  /// machine code, `kernels` the names in `moe.kernels`.
  static llvm::Expected<std::unique_ptr<GPUProgram>>
  load(std::shared_ptr<const GPUDevice> device, llvm::ArrayRef<char> object,
       llvm::StringRef image, llvm::ArrayRef<std::string> kernels);

  /// A tensor in device memory: address and sizes, dense.
  struct Tensor {
    DevicePointer pointer = 0;
    std::vector<int64_t> shape;
  };
  /// A result: its tensor, and its memory where that is no argument's.
  struct Output {
    Tensor tensor;
    std::shared_ptr<GPUBuffer> owner;
  };

  /// Calls a function on a stream. Returns when everything is launched; results
  /// are there when the stream has come so far. `given` as in
  /// GPUContext::begin.
  llvm::Expected<std::vector<Output>> call(llvm::StringRef function,
                                           llvm::ArrayRef<Tensor> arguments,
                                           llvm::ArrayRef<size_t> resultRanks,
                                           DriverStream stream,
                                           std::vector<GPUResult> given);

  /// Writes down what a call with arguments of these shapes would launch; gives
  /// the results, whose addresses are those of the recording.
  llvm::Expected<std::vector<Tensor>>
  record(llvm::StringRef function, std::vector<std::vector<int64_t>> shapes,
         llvm::ArrayRef<size_t> resultRanks, GPURecording &recording);

  size_t keptBytes();
  void release();

private:
  llvm::Expected<std::vector<Output>>
  run(llvm::StringRef function, llvm::ArrayRef<Tensor> arguments,
      llvm::ArrayRef<size_t> resultRanks, DriverStream stream,
      std::vector<GPUResult> given, GPURecording *recording);
  GPUProgram() = default;
  std::shared_ptr<const GPUDevice> device;
  std::unique_ptr<GPUModule> module;
  std::unique_ptr<GPUContext> context;
  std::unique_ptr<LoadedCode> code;
  std::mutex mutex;
};

/// The function of the runtime that compiled code means by a symbol, or null.
void *lookupGPURuntime(llvm::StringRef symbol);

} // namespace mlir::moe

#endif // MOE_RUNTIME_GPUPROGRAM_H
