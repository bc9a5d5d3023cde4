// Kernels in a device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/GPUProgram.h"

using namespace mlir::moe;

// CUjit_option
static constexpr int kErrorLog = 5, kErrorLogBytes = 6;
// CUfunction_attribute
static constexpr int kStaticShared = 1, kMaxDynamicShared = 8,
                     kNonPortableCluster = 14;
/// The first chip with clusters.
static constexpr int kClusters = 90;

llvm::Expected<std::unique_ptr<GPUModule>>
GPUModule::load(std::shared_ptr<const GPUDevice> device, llvm::StringRef image,
                llvm::ArrayRef<std::string> kernels) {
  GPUDevice::Scope scope(*device);
  if (llvm::Error error = scope.takeError())
    return error;
  std::unique_ptr<GPUModule> result(new GPUModule(device));
  if (kernels.empty())
    return result;
  if (llvm::Error error = result->loadImage(image))
    return error;
  for (const std::string &name : kernels)
    if (llvm::Error error = result->addKernel(name))
      return error;
  return result;
}

GPUModule::~GPUModule() {
  if (module)
    device->giveBack([&] { device->driver.cuModuleUnload(module); });
}

llvm::Error GPUModule::loadImage(llvm::StringRef image) {
  // PTX is read up to a zero.
  std::string text = image.str();
  char log[4096] = "";
  int options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log))};
  int status = device->driver.cuModuleLoadDataEx(&module, text.c_str(), 2,
                                                 options, values);
  log[sizeof(log) - 1] = '\0';
  return device->driver.check(status, "cuModuleLoadDataEx",
                              llvm::StringRef(log).trim());
}

/// All that a launch needs beforehand is done here: between the launches of a
/// call nothing else is asked of the driver.
llvm::Error GPUModule::addKernel(const std::string &name) {
  const GPUDriver &driver = device->driver;
  DriverFunction function = nullptr;
  if (llvm::Error error = driver.check(
          driver.cuModuleGetFunction(&function, module, name.c_str()),
          "cuModuleGetFunction", "kernel '" + name + "'"))
    return error;
  int used = 0;
  if (llvm::Error error = driver.check(
          driver.cuFuncGetAttribute(&used, kStaticShared, function),
          "cuFuncGetAttribute", "kernel '" + name + "'"))
    return error;
  auto set = [&](int attribute, int value) {
    return driver.check(driver.cuFuncSetAttribute(function, attribute, value),
                        "cuFuncSetAttribute", "kernel '" + name + "'");
  };
  // A permission, which costs nothing: a launch says how much it takes.
  if (llvm::Error error = set(kMaxDynamicShared, device->sharedBytes - used))
    return error;
  if (device->capability >= kClusters)
    if (llvm::Error error = set(kNonPortableCluster, 1))
      return error;
  functions.push_back(function);
  names.push_back(name);
  return llvm::Error::success();
}
