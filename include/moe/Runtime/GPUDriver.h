// The CUDA driver, or the emulator in its place, loaded when it is needed.
//
// Names, values and layouts of the driver's public interface are declared here,
// so that building needs no toolkit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_RUNTIME_GPUDRIVER_H
#define MOE_RUNTIME_GPUDRIVER_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"

#include <cstddef>
#include <memory>
#include <string>

namespace mlir::moe {

using DevicePointer = unsigned long long;
using DriverContext = struct CUctx_st *;
using DriverModule = struct CUmod_st *;
using DriverFunction = struct CUfunc_st *;
using DriverStream = struct CUstream_st *;

/// CUlaunchAttribute
struct DriverLaunchAttribute {
  int id;
  char pad[4];
  union {
    char bytes[64];
    int cooperative;
    struct {
      unsigned x, y, z;
    } cluster;
  } value;
};
static_assert(sizeof(DriverLaunchAttribute) == 72);

/// CUlaunchConfig
struct DriverLaunch {
  unsigned gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes;
  DriverStream stream;
  DriverLaunchAttribute *attributes;
  unsigned attributeCount;
};
static_assert(sizeof(DriverLaunch) == 56);

/// The functions of one driver library. It stays loaded until the process ends.
class GPUDriver {
public:
  /// The library at `path`, "libcuda.so.1" for a GPU, initialised. Fails,
  /// saying what to install or use instead, where it is missing, lacks a
  /// function, or finds no device.
  static llvm::Expected<const GPUDriver *> get(llvm::StringRef path);

  llvm::StringRef getPath() const { return path; }
  /// The version of the driver's interface: 12040 is that of CUDA 12.4.
  int getVersion() const { return version; }

  /// An error if `status` is one: the call by its name, the driver's name and
  /// text of the error, `detail` if given, and what to do.
  llvm::Error check(int status, const char *call,
                    const llvm::Twine &detail = "") const;

#define MOE_DRIVER_FUNCTION(NAME, SYMBOL, ...)                                 \
  int (*NAME)(__VA_ARGS__) = nullptr;
#include "moe/Runtime/GPUDriverFunctions.inc"

private:
  llvm::Error load();
  std::string path;
  int version = 0;
};

/// One device: its primary context is retained while this lives, and is the
/// one that frameworks in this process use too.
class GPUDevice : public std::enable_shared_from_this<GPUDevice> {
public:
  static llvm::Expected<std::shared_ptr<GPUDevice>>
  open(const GPUDriver &driver, int ordinal);
  ~GPUDevice();
  GPUDevice(const GPUDevice &) = delete;

  const GPUDriver &driver;
  int ordinal = 0;
  std::string name;
  /// Ten times the compute capability.
  int capability = 0;
  /// The most dynamic shared memory of a block, in bytes.
  int sharedBytes = 0;
  int multiprocessors = 0;

  /// Makes the device's context current on this thread, for one scope.
  class Scope {
  public:
    explicit Scope(const GPUDevice &device);
    ~Scope();
    Scope(const Scope &) = delete;
    /// Must be looked at: without a context nothing can be called.
    llvm::Error takeError() { return std::move(error); }

  private:
    const GPUDevice &device;
    llvm::Error error;
    bool isCurrent;
  };

  /// Runs `call`, which frees something, in the device's context.
  void giveBack(llvm::function_ref<void()> call) const;

private:
  explicit GPUDevice(const GPUDriver &driver) : driver(driver) {}
  llvm::Error retain(int number);
  llvm::Expected<int> attribute(int number);
  int handle = 0;
  DriverContext context = nullptr;
};

/// Memory of a device, freed with the last owner.
class GPUBuffer {
public:
  /// At least one byte is allocated, so that every buffer has an address.
  static llvm::Expected<std::shared_ptr<GPUBuffer>>
  allocate(std::shared_ptr<const GPUDevice> device, size_t bytes);
  ~GPUBuffer();
  GPUBuffer(const GPUBuffer &) = delete;

  const std::shared_ptr<const GPUDevice> device;
  const DevicePointer pointer;
  const size_t bytes;

private:
  GPUBuffer(std::shared_ptr<const GPUDevice> device, DevicePointer pointer,
            size_t bytes)
      : device(std::move(device)), pointer(pointer), bytes(bytes) {}
};

/// Copies to and from a device, in the order of a stream. Those from and to the
/// host are complete when they return.
llvm::Error copyToDevice(const GPUDevice &device, DevicePointer to,
                         const void *from, size_t bytes, DriverStream stream);
llvm::Error copyFromDevice(const GPUDevice &device, void *to,
                           DevicePointer from, size_t bytes,
                           DriverStream stream);
llvm::Error copyOnDevice(const GPUDevice &device, DevicePointer to,
                         DevicePointer from, size_t bytes, DriverStream stream);
/// Waits for all that was asked for on a stream.
llvm::Error synchronize(const GPUDevice &device, DriverStream stream);

} // namespace mlir::moe

#endif // MOE_RUNTIME_GPUDRIVER_H
