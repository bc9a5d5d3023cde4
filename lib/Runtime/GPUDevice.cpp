// A device, its memory, and copies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/GPUDriver.h"

using namespace mlir::moe;

// CUdevice_attribute
static constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76,
                     kSharedBytesOptIn = 97, kMultiprocessors = 16;

//===----------------------------------------------------------------------===//
// The device
//===----------------------------------------------------------------------===//

llvm::Expected<int> GPUDevice::attribute(int number) {
  int value = 0;
  if (llvm::Error error =
          driver.check(driver.cuDeviceGetAttribute(&value, number, handle),
                       "cuDeviceGetAttribute"))
    return error;
  return value;
}

llvm::Expected<std::shared_ptr<GPUDevice>>
GPUDevice::open(const GPUDriver &driver, int ordinal) {
  std::shared_ptr<GPUDevice> device(new GPUDevice(driver));
  int count = 0;
  if (llvm::Error error =
          driver.check(driver.cuDeviceGetCount(&count), "cuDeviceGetCount"))
    return error;
  if (ordinal < 0 || ordinal >= count)
    return llvm::createStringError(
        "there is no GPU number " + std::to_string(ordinal) +
        ": the driver has " + std::to_string(count) +
        "; CUDA_VISIBLE_DEVICES chooses which ones it shows");
  if (llvm::Error error = device->retain(ordinal))
    return error;
  return device;
}

llvm::Error GPUDevice::retain(int number) {
  ordinal = number;
  if (llvm::Error error =
          driver.check(driver.cuDeviceGet(&handle, number), "cuDeviceGet"))
    return error;
  char text[256] = "";
  if (llvm::Error error =
          driver.check(driver.cuDeviceGetName(text, sizeof(text), handle),
                       "cuDeviceGetName"))
    return error;
  name = text;
  auto major = attribute(kCapabilityMajor);
  if (!major)
    return major.takeError();
  auto minor = attribute(kCapabilityMinor);
  if (!minor)
    return minor.takeError();
  capability = 10 * *major + *minor;
  auto shared = attribute(kSharedBytesOptIn);
  if (!shared)
    return shared.takeError();
  sharedBytes = *shared;
  auto units = attribute(kMultiprocessors);
  if (!units)
    return units.takeError();
  multiprocessors = *units;
  // Last, so that nothing has to be given back above.
  return driver.check(driver.cuDevicePrimaryCtxRetain(&context, handle),
                      "cuDevicePrimaryCtxRetain");
}

// What fails while things are given back has nobody to be told, and leaves
// nothing to be done.
GPUDevice::~GPUDevice() {
  if (context)
    driver.cuDevicePrimaryCtxRelease(handle);
}

GPUDevice::Scope::Scope(const GPUDevice &device)
    : device(device),
      error(device.driver.check(device.driver.cuCtxPushCurrent(device.context),
                                "cuCtxPushCurrent")) {
  isCurrent = !error;
}

GPUDevice::Scope::~Scope() {
  llvm::consumeError(std::move(error));
  if (!isCurrent)
    return;
  DriverContext context = nullptr;
  if (device.driver.cuCtxPopCurrent(&context) == 0)
    return;
  // The failure may be that of a kernel, told late: is the context still there?
  if (device.driver.cuCtxGetCurrent(&context) == 0 && context == device.context)
    device.driver.cuCtxPopCurrent(&context);
}

void GPUDevice::giveBack(llvm::function_ref<void()> call) const {
  // A second attempt costs nothing, and what is not given back stays taken.
  for (int attempt = 0; attempt < 2; ++attempt) {
    Scope scope(*this);
    if (llvm::Error error = scope.takeError()) {
      llvm::consumeError(std::move(error));
      continue;
    }
    return call();
  }
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

llvm::Expected<std::shared_ptr<GPUBuffer>>
GPUBuffer::allocate(std::shared_ptr<const GPUDevice> device, size_t bytes) {
  const GPUDriver &driver = device->driver;
  GPUDevice::Scope scope(*device);
  if (llvm::Error error = scope.takeError())
    return error;
  DevicePointer pointer = 0;
  if (int status = driver.cuMemAlloc(&pointer, bytes ? bytes : 1)) {
    size_t free = 0, total = 0;
    std::string detail = std::to_string(bytes) + " bytes were asked for";
    if (driver.cuMemGetInfo(&free, &total) == 0)
      detail += ", and " + std::to_string(free) + " of " +
                std::to_string(total) + " are free";
    return driver.check(status, "cuMemAlloc", detail);
  }
  return std::shared_ptr<GPUBuffer>(
      new GPUBuffer(std::move(device), pointer, bytes));
}

GPUBuffer::~GPUBuffer() {
  device->giveBack([&] { device->driver.cuMemFree(pointer); });
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// Runs `copy`, which is named `call`, in the device's context, and waits for
/// it if asked to. Nothing is copied where there are no bytes: an empty array
/// may have no address.
template <typename Copy>
static llvm::Error run(const GPUDevice &device, size_t bytes,
                       DriverStream stream, const char *call, bool wait,
                       Copy copy) {
  if (bytes == 0)
    return llvm::Error::success();
  const GPUDriver &driver = device.driver;
  GPUDevice::Scope scope(device);
  if (llvm::Error error = scope.takeError())
    return error;
  if (llvm::Error error = driver.check(copy(driver), call))
    return error;
  return wait ? driver.check(driver.cuStreamSynchronize(stream),
                             "cuStreamSynchronize")
              : llvm::Error::success();
}

llvm::Error mlir::moe::copyToDevice(const GPUDevice &device, DevicePointer to,
                                    const void *from, size_t bytes,
                                    DriverStream stream) {
  return run(device, bytes, stream, "cuMemcpyHtoDAsync", /*wait=*/true,
             [&](const GPUDriver &driver) {
               return driver.cuMemcpyHtoDAsync(to, from, bytes, stream);
             });
}

llvm::Error mlir::moe::copyFromDevice(const GPUDevice &device, void *to,
                                      DevicePointer from, size_t bytes,
                                      DriverStream stream) {
  return run(device, bytes, stream, "cuMemcpyDtoHAsync", /*wait=*/true,
             [&](const GPUDriver &driver) {
               return driver.cuMemcpyDtoHAsync(to, from, bytes, stream);
             });
}

llvm::Error mlir::moe::copyOnDevice(const GPUDevice &device, DevicePointer to,
                                    DevicePointer from, size_t bytes,
                                    DriverStream stream) {
  return run(device, bytes, stream, "cuMemcpyDtoDAsync", /*wait=*/false,
             [&](const GPUDriver &driver) {
               return driver.cuMemcpyDtoDAsync(to, from, bytes, stream);
             });
}

llvm::Error mlir::moe::synchronize(const GPUDevice &device,
                                   DriverStream stream) {
  GPUDevice::Scope scope(device);
  if (llvm::Error error = scope.takeError())
    return error;
  return device.driver.check(device.driver.cuStreamSynchronize(stream),
                             "cuStreamSynchronize");
}
