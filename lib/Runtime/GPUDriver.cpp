// The driver library: its functions and its errors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/GPUDriver.h"

#include "llvm/ADT/StringMap.h"

#include <dlfcn.h>
#include <mutex>

using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Errors
//===----------------------------------------------------------------------===//

/// What a user can do about an error, by its number in the driver's interface.
static llvm::StringRef adviceOf(int status) {
  switch (status) {
  case 2: // OUT_OF_MEMORY
    return "pass fewer tokens in one call, or end what else uses the device's "
           "memory";
  case 100: // NO_DEVICE
  case 101: // INVALID_DEVICE
    return "there is no such GPU; use target=\"emulator\" or target=\"cpu\"";
  case 200: // INVALID_IMAGE
  case 209: // NO_BINARY_FOR_GPU
    return "the code is not for this device; compile for its chip";
  case 218: // INVALID_PTX
  case 222: // UNSUPPORTED_PTX_VERSION
    return "the driver cannot read this PTX; install a newer driver";
  case 720: // COOPERATIVE_LAUNCH_TOO_LARGE
    return "the device is smaller than the kernel was made for; compile for "
           "its chip";
  default:
    break;
  }
  if (status == 700 || (status >= 710 && status <= 719))
    return "a kernel failed, and the process can use the device no longer; run "
           "with target=\"emulator\" and PTX_CHECK=all to find its fault";
  return "";
}

llvm::Error GPUDriver::check(int status, const char *call,
                             const llvm::Twine &detail) const {
  if (status == 0)
    return llvm::Error::success();
  const char *name = nullptr, *text = nullptr;
  // These may fail as everything else; then the number has to do.
  if (cuGetErrorName(status, &name))
    name = nullptr;
  if (cuGetErrorString(status, &text))
    text = nullptr;
  std::string message = std::string(call) + " failed: " +
                        (name ? name : "error " + std::to_string(status));
  if (text)
    message += std::string(" (") + text + ")";
  if (std::string given = detail.str(); !given.empty())
    message += "; " + given;
  if (llvm::StringRef advice = adviceOf(status); !advice.empty())
    message += "; " + advice.str();
  return llvm::createStringError(message);
}

//===----------------------------------------------------------------------===//
// The library
//===----------------------------------------------------------------------===//

llvm::Error GPUDriver::load() {
  void *library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return llvm::createStringError(
        "no CUDA driver: " + std::string(::dlerror()) +
        "; install the driver of the GPU, or use target=\"emulator\" or "
        "target=\"cpu\"");
  llvm::StringRef missing;
#define MOE_DRIVER_FUNCTION(NAME, SYMBOL, ...)                                 \
  NAME = reinterpret_cast<int (*)(__VA_ARGS__)>(::dlsym(library, #SYMBOL));    \
  if (!NAME)                                                                   \
    missing = #SYMBOL;
#define MOE_OPTIONAL_DRIVER_FUNCTION(NAME, SYMBOL, ...)                        \
  NAME = reinterpret_cast<int (*)(__VA_ARGS__)>(::dlsym(library, #SYMBOL));
#include "moe/Runtime/GPUDriverFunctions.inc"
  if (!missing.empty())
    return llvm::createStringError("the driver " + path + " has no function " +
                                   missing.str() +
                                   ": it is too old; install a newer one");
  if (llvm::Error error = check(cuInit(0), "cuInit"))
    return error;
  return check(cuDriverGetVersion(&version), "cuDriverGetVersion");
}

llvm::Expected<const GPUDriver *> GPUDriver::get(llvm::StringRef path) {
  static std::mutex mutex;
  static llvm::StringMap<std::unique_ptr<GPUDriver>> drivers;
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<GPUDriver> &driver = drivers[path];
  if (!driver) {
    auto loaded = std::make_unique<GPUDriver>();
    loaded->path = path.str();
    if (llvm::Error error = loaded->load())
      return error;
    driver = std::move(loaded);
  }
  return driver.get();
}
