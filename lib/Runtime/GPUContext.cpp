// What compiled host code asks of the device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/GPUProgram.h"

#include "llvm/ADT/StringMap.h"

using namespace mlir::moe;

// CUlaunchAttributeID
static constexpr int kCooperativeAttribute = 2, kClusterAttribute = 4;

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

void GPUContext::begin(DriverStream on, std::vector<GPUResult> given,
                       GPURecording *into) {
  stream = on;
  recording = into;
  workspace = &workspaces[on];
  results = std::move(given);
  failure.clear();
  hasFailed = false;
}

llvm::Expected<std::vector<GPUResult>> GPUContext::end() {
  if (!hasFailed)
    return std::move(results);
  results.clear();
  // A kernel may have stopped anywhere in what it keeps.
  for (auto &[number, zeroed] : workspace->zeroed)
    zeroed.isZero = false;
  return llvm::createStringError(failure);
}

void GPUContext::fail(llvm::Error error) {
  failure = llvm::toString(std::move(error));
  hasFailed = true;
}

size_t GPUContext::keptBytes() const {
  size_t bytes = 0;
  for (const auto &[stream, kept] : workspaces) {
    bytes += kept.arena ? kept.arena->bytes : 0;
    for (const auto &[number, zeroed] : kept.zeroed)
      bytes += zeroed.buffer->bytes;
  }
  return bytes;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

std::shared_ptr<GPUBuffer> GPUContext::allocate(size_t bytes) {
  auto buffer = GPUBuffer::allocate(device, bytes);
  if (buffer)
    return std::move(*buffer);
  fail(buffer.takeError());
  return nullptr;
}

DevicePointer GPUContext::arena(size_t bytes) {
  if (hasFailed)
    return 0;
  if (recording)
    return recording->memory(GPURecording::Space::Arena, 0, bytes);
  std::shared_ptr<GPUBuffer> &arena = workspace->arena;
  if (!arena || arena->bytes < bytes) {
    // The old one is freed first: the two together may not fit. That waits for
    // the kernels that still use it.
    arena = nullptr;
    arena = allocate(bytes);
  }
  return arena ? arena->pointer : 0;
}

DevicePointer GPUContext::result(int32_t number, size_t bytes) {
  if (hasFailed)
    return 0;
  if (recording)
    return recording->memory(GPURecording::Space::Result, number, bytes);
  if (results.size() <= static_cast<size_t>(number))
    results.resize(number + 1);
  GPUResult &result = results[number];
  if (!result.pointer) {
    result.owner = allocate(bytes);
    if (result.owner)
      result = {result.owner->pointer, bytes, result.owner};
  } else if (result.bytes != bytes) {
    fail(llvm::createStringError("result " + std::to_string(number) +
                                 " needs " + std::to_string(bytes) +
                                 " bytes, and the memory given for it has " +
                                 std::to_string(result.bytes)));
  }
  return result.pointer;
}

DevicePointer GPUContext::zeroed(int32_t number, size_t bytes) {
  if (hasFailed)
    return 0;
  if (recording)
    return recording->memory(GPURecording::Space::Kept, number, bytes);
  Workspace::Zeroed &zeroed = workspace->zeroed[number];
  if (!zeroed.buffer || zeroed.buffer->bytes < bytes) {
    zeroed.buffer = allocate(bytes);
    zeroed.isZero = false;
  }
  if (!zeroed.buffer) {
    workspace->zeroed.erase(number);
    return 0;
  }
  if (!zeroed.isZero) {
    const GPUDriver &driver = device->driver;
    if (llvm::Error error =
            driver.check(driver.cuMemsetD8Async(zeroed.buffer->pointer, 0,
                                                zeroed.buffer->bytes, stream),
                         "cuMemsetD8Async")) {
      fail(std::move(error));
      return 0;
    }
    zeroed.isZero = true;
  }
  return zeroed.buffer->pointer;
}

//===----------------------------------------------------------------------===//
// Launches
//===----------------------------------------------------------------------===//

int GPUContext::launchPlain(DriverFunction function, const GPULaunch &launch,
                            void **arguments) {
  return device->driver.cuLaunchKernel(
      function, launch.grid[0], launch.grid[1], launch.grid[2], launch.threads,
      1, 1, launch.sharedBytes, stream, arguments, nullptr);
}

int GPUContext::launchExtended(DriverFunction function, const GPULaunch &launch,
                               void **arguments) {
  DriverLaunchAttribute attributes[2] = {};
  unsigned count = 0;
  if (launch.cooperative) {
    attributes[count].id = kCooperativeAttribute;
    attributes[count++].value.cooperative = 1;
  }
  if (launch.cluster) {
    attributes[count].id = kClusterAttribute;
    attributes[count++].value.cluster = {unsigned(launch.cluster), 1, 1};
  }
  DriverLaunch config = {unsigned(launch.grid[0]),
                         unsigned(launch.grid[1]),
                         unsigned(launch.grid[2]),
                         unsigned(launch.threads),
                         1,
                         1,
                         unsigned(launch.sharedBytes),
                         stream,
                         attributes,
                         count};
  return device->driver.cuLaunchKernelEx(&config, function, arguments, nullptr);
}

void GPUContext::launch(const GPULaunch &launch, void **arguments) {
  // A grid without blocks has nothing to do, and the driver refuses it.
  if (hasFailed || llvm::is_contained(launch.grid, 0))
    return;
  const GPUDriver &driver = device->driver;
  // Limits of every chip.
  if (launch.grid[0] > 0x7FFFFFFF || launch.grid[1] > 0xFFFF ||
      launch.grid[2] > 0xFFFF)
    return fail(llvm::createStringError(
        "kernel '" + module.kernel(launch.kernel) + "' would need " +
        std::to_string(launch.grid[0]) + " x " +
        std::to_string(launch.grid[1]) + " x " +
        std::to_string(launch.grid[2]) +
        " blocks, more than a GPU launches; pass fewer tokens in one call"));
  if (recording) {
    if (llvm::Error error = recording->add(launch, arguments))
      fail(std::move(error));
    return;
  }
  DriverFunction function = module.function(launch.kernel);
  bool isPlain = !launch.cooperative && !launch.cluster;
  if (!isPlain && !driver.cuLaunchKernelEx)
    return fail(llvm::createStringError(
        "the driver " + driver.getPath() +
        " has no function cuLaunchKernelEx: it is too old; install that of "
        "CUDA 11.8 or a newer one"));
  int status = isPlain ? launchPlain(function, launch, arguments)
                       : launchExtended(function, launch, arguments);
  if (status)
    fail(driver.check(status, isPlain ? "cuLaunchKernel" : "cuLaunchKernelEx",
                      "kernel '" + module.kernel(launch.kernel) + "'"));
}

//===----------------------------------------------------------------------===//
// As symbols
//===----------------------------------------------------------------------===//

namespace {
/// A memref<?xi8>.
struct Bytes {
  DevicePointer allocated, aligned;
  int64_t offset, size, stride;
  Bytes(DevicePointer pointer, int64_t size)
      : allocated(pointer), aligned(pointer), offset(0), size(size), stride(1) {
  }
};
} // namespace

// The C interfaces of what moe-lower-launches declares.
static void gpuArena(Bytes *out, GPUContext *context, int64_t bytes) {
  *out = Bytes(context->arena(bytes), bytes);
}
static void gpuResult(Bytes *out, GPUContext *context, int32_t number,
                      int64_t bytes) {
  *out = Bytes(context->result(number, bytes), bytes);
}
static void gpuZeroed(Bytes *out, GPUContext *context, int32_t number,
                      int64_t bytes) {
  *out = Bytes(context->zeroed(number, bytes), bytes);
}
static int64_t gpuMultiprocessors(GPUContext *context) {
  return context->multiprocessors();
}
static void gpuLaunch(GPUContext *context, int32_t kernel, int64_t x, int64_t y,
                      int64_t z, int32_t threads, int32_t sharedBytes,
                      int32_t cluster, int32_t cooperative, void **arguments) {
  context->launch(
      {kernel, {x, y, z}, threads, sharedBytes, cluster, cooperative},
      arguments);
}

void *mlir::moe::lookupGPURuntime(llvm::StringRef symbol) {
  static const llvm::StringMap<void *> functions{
      {"_mlir_ciface_moe_gpu_arena", reinterpret_cast<void *>(&gpuArena)},
      {"_mlir_ciface_moe_gpu_result", reinterpret_cast<void *>(&gpuResult)},
      {"_mlir_ciface_moe_gpu_zeroed", reinterpret_cast<void *>(&gpuZeroed)},
      {"_mlir_ciface_moe_gpu_multiprocessors",
       reinterpret_cast<void *>(&gpuMultiprocessors)},
      {"_mlir_ciface_moe_gpu_launch", reinterpret_cast<void *>(&gpuLaunch)}};
  return functions.lookup(symbol);
}
