// Modules and functions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Driver/DriverState.h"
#include "Machine/Limits.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>

using namespace ptx;
using namespace ptx::driver;

namespace {
/// The options of cuModuleLoadDataEx that mean something here. A value that
/// is a number is stored in the pointer itself.
class JitOptions {
public:
  JitOptions(unsigned count, const CUjit_option *options, void **values)
      : count(count), options(options), values(values),
        start(std::chrono::steady_clock::now()) {}

  bool valid() const {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] < 0 || options[i] >= CU_JIT_NUM_OPTIONS)
        return false;
    return count == 0 || (options && values);
  }
  /// Fills the logs; \p error is empty when the module was loaded.
  void finish(const std::string &error) {
    write(CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, "");
    write(CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, error);
    if (void **time = value(CU_JIT_WALL_TIME)) {
      std::chrono::duration<float, std::milli> spent =
          std::chrono::steady_clock::now() - start;
      float milliseconds = spent.count();
      std::memcpy(time, &milliseconds, sizeof milliseconds);
    }
  }

private:
  void **value(CUjit_option option) const {
    for (unsigned i = 0; i < count; ++i)
      if (options[i] == option)
        return &values[i];
    return nullptr;
  }
  void write(CUjit_option buffer, CUjit_option size, const std::string &text) {
    void **to = value(buffer), **bytes = value(size);
    if (!to || !bytes || !*to)
      return;
    auto room = static_cast<unsigned>(reinterpret_cast<uintptr_t>(*bytes));
    size_t length = room ? std::min<size_t>(text.size(), room - 1) : 0;
    if (room) {
      std::memcpy(*to, text.data(), length);
      static_cast<char *>(*to)[length] = 0;
    }
    *bytes = reinterpret_cast<void *>(length);
  }

  unsigned count;
  const CUjit_option *options;
  void **values;
  std::chrono::steady_clock::time_point start;
};

bool isBinary(const void *image) {
  unsigned char start[4];
  std::memcpy(start, image, 4);
  constexpr unsigned char elf[] = {0x7f, 'E', 'L', 'F'};
  constexpr unsigned char fat[] = {0x50, 0xed, 0x55, 0xba};
  constexpr unsigned char wrapper[] = {0xb1, 0x43, 0x62, 0x46};
  return std::memcmp(start, elf, 4) == 0 || std::memcmp(start, fat, 4) == 0 ||
         std::memcmp(start, wrapper, 4) == 0;
}

CUresult load(CUctx_st &context, CUmodule *result, const void *image,
              JitOptions &jit) {
  if (!result || !image || !jit.valid())
    return CUDA_ERROR_INVALID_VALUE;
  if (std::strlen(static_cast<const char *>(image)) >= 4 && isBinary(image)) {
    jit.finish("the image is machine code; only PTX text can be run");
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  try {
    Module module = Module::parse(static_cast<const char *>(image));
    const unsigned sm = state().sm;
    // sm_90a code runs on sm_90 alone.
    bool runs =
        module.sm() <= sm && (module.smSuffix() != 'a' || module.sm() == sm);
    if (!runs) {
      jit.finish("the module is for sm_" + std::to_string(module.sm()) +
                 std::string(module.smSuffix() ? 1 : 0, module.smSuffix()) +
                 ", the device is sm_" + std::to_string(sm) +
                 " (set PTX_ARCH)");
      return CUDA_ERROR_NO_BINARY_FOR_GPU;
    }
    auto loaded = std::make_unique<CUmod_st>(CUmod_st{&context, module, {}});
    for (const auto &[name, kernel] : loaded->module.kernels()) {
      auto function = std::make_unique<CUfunc_st>();
      function->module = loaded.get();
      function->kernel = &kernel;
      loaded->functions[name] = std::move(function);
    }
    context.device.load(loaded->module);
    *result = loaded.get();
    context.modules.insert(loaded.release());
    jit.finish("");
    return CUDA_SUCCESS;
  } catch (const Error &error) {
    explain("cuModuleLoadData", error.what());
    jit.finish(error.what());
    return CUDA_ERROR_INVALID_PTX;
  }
}
} // namespace

PTX_API cuModuleLoadData(CUmodule *module, const void *image) {
  return inContext("cuModuleLoadData", [&](CUctx_st &context) -> CUresult {
    JitOptions none(0, nullptr, nullptr);
    return load(context, module, image, none);
  });
}

PTX_API cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                           CUjit_option *options, void **values) {
  return inContext("cuModuleLoadDataEx", [&](CUctx_st &context) -> CUresult {
    JitOptions jit(count, options, values);
    return load(context, module, image, jit);
  });
}

PTX_API cuModuleLoad(CUmodule *module, const char *path) {
  return inContext("cuModuleLoad", [&](CUctx_st &context) -> CUresult {
    if (!path)
      return CUDA_ERROR_INVALID_VALUE;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) {
      explain("cuModuleLoad", std::string(path) + ": " + std::strerror(errno));
      return CUDA_ERROR_FILE_NOT_FOUND;
    }
    JitOptions none(0, nullptr, nullptr);
    return load(context, module, std::move(text).str().c_str(), none);
  });
}

PTX_API cuModuleUnload(CUmodule module) {
  return inContext("cuModuleUnload", [&](CUctx_st &) -> CUresult {
    if (!isLive(module))
      return CUDA_ERROR_INVALID_HANDLE;
    module->context->device.unload(module->module);
    module->context->modules.erase(module);
    delete module;
    return CUDA_SUCCESS;
  });
}

PTX_API cuModuleGetFunction(CUfunction *function, CUmodule module,
                            const char *name) {
  return inContext("cuModuleGetFunction", [&](CUctx_st &) -> CUresult {
    if (!function || !name)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(module))
      return CUDA_ERROR_INVALID_HANDLE;
    auto found = module->functions.find(std::string_view(name));
    if (found == module->functions.end())
      return CUDA_ERROR_NOT_FOUND;
    *function = found->second.get();
    return CUDA_SUCCESS;
  });
}

PTX_API cuModuleGetFunctionCount(unsigned *count, CUmodule module) {
  return inContext("cuModuleGetFunctionCount", [&](CUctx_st &) -> CUresult {
    if (!count)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(module))
      return CUDA_ERROR_INVALID_HANDLE;
    *count = static_cast<unsigned>(module->functions.size());
    return CUDA_SUCCESS;
  });
}

PTX_API cuModuleEnumerateFunctions(CUfunction *functions, unsigned count,
                                   CUmodule module) {
  return inContext("cuModuleEnumerateFunctions", [&](CUctx_st &) -> CUresult {
    if (!functions)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(module))
      return CUDA_ERROR_INVALID_HANDLE;
    for (const auto &[name, function] : module->functions)
      if (count > 0) {
        *functions++ = function.get();
        --count;
      }
    return CUDA_SUCCESS;
  });
}

PTX_API cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes,
                             CUmodule module, const char *name) {
  return inContext("cuModuleGetGlobal", [&](CUctx_st &) -> CUresult {
    if (!name || (!address && !bytes))
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(module))
      return CUDA_ERROR_INVALID_HANDLE;
    const auto &variables = module->module.variables();
    auto found = variables.find(std::string_view(name));
    if (found == variables.end())
      return CUDA_ERROR_NOT_FOUND;
    if (address)
      *address = module->context->device.variable(module->module, name);
    if (bytes)
      *bytes = found->second.size;
    return CUDA_SUCCESS;
  });
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static int functionAttribute(const CUfunc_st &function, int attribute) {
  const KernelInfo &kernel = *function.kernel;
  const unsigned sm = state().sm;
  const Dim3 &cluster = kernel.reqCluster;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    return static_cast<int>(kernel.reqntid.count()   ? kernel.reqntid.count()
                            : kernel.maxntid.count() ? kernel.maxntid.count()
                                                     : kThreadsPerBlock);
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    return static_cast<int>(kernel.staticShared);
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    return static_cast<int>(kernel.localBytes);
  case CU_FUNC_ATTRIBUTE_NUM_REGS: // no assembler decides them here
    return kernel.maxRegisters ? static_cast<int>(kernel.maxRegisters) : 32;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    return static_cast<int>(function.module->module.sm());
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    return static_cast<int>(sm);
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    return static_cast<int>(
        std::max(function.dynamicShared,
                 kStaticSharedLimit -
                     std::min(kernel.staticShared, kStaticSharedLimit)));
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    return function.carveout;
  case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
    return kernel.explicitCluster && cluster.count() == 0;
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    return static_cast<int>(cluster.x ? cluster.x : function.clusterSize[0]);
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    return static_cast<int>(cluster.y ? cluster.y : function.clusterSize[1]);
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    return static_cast<int>(cluster.z ? cluster.z : function.clusterSize[2]);
  case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    return function.nonPortableCluster;
  case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    return function.clusterPolicy;
  default: // constants and the cache mode
    return 0;
  }
}

PTX_API cuFuncGetAttribute(int *value, CUfunction_attribute attribute,
                           CUfunction function) {
  return inContext("cuFuncGetAttribute", [&](CUctx_st &) -> CUresult {
    if (!value || attribute < 0 || attribute > 15)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(function))
      return CUDA_ERROR_INVALID_HANDLE;
    *value = functionAttribute(*function, attribute);
    return CUDA_SUCCESS;
  });
}

static CUresult setAttribute(CUfunc_st &function, int attribute, int value) {
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    if (value < 0 || function.kernel->staticShared + uint64_t(value) >
                         limitsOf(state().sm).sharedPerBlock)
      return CUDA_ERROR_INVALID_VALUE;
    function.dynamicShared = static_cast<uint32_t>(value);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    if (value < -1 || value > 100)
      return CUDA_ERROR_INVALID_VALUE;
    function.carveout = value;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
    function.nonPortableCluster = value != 0;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
    function.clusterPolicy = value;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
  case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
    if (value < 1 || function.kernel->reqCluster.count() != 0)
      return CUDA_ERROR_INVALID_VALUE;
    function.clusterSize[attribute - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH] =
        static_cast<unsigned>(value);
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

PTX_API cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute,
                           int value) {
  return inContext("cuFuncSetAttribute", [&](CUctx_st &) -> CUresult {
    if (!isLive(function))
      return CUDA_ERROR_INVALID_HANDLE;
    return setAttribute(*function, attribute, value);
  });
}

PTX_API cuFuncSetCacheConfig(CUfunction function, int) {
  return inContext("cuFuncSetCacheConfig", [&](CUctx_st &) -> CUresult {
    return isLive(function) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
  });
}

PTX_API cuFuncGetModule(CUmodule *module, CUfunction function) {
  return inContext("cuFuncGetModule", [&](CUctx_st &) -> CUresult {
    if (!module)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(function))
      return CUDA_ERROR_INVALID_HANDLE;
    *module = function->module;
    return CUDA_SUCCESS;
  });
}

PTX_API cuFuncGetName(const char **name, CUfunction function) {
  return inContext("cuFuncGetName", [&](CUctx_st &) -> CUresult {
    if (!name)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(function))
      return CUDA_ERROR_INVALID_HANDLE;
    *name = function->kernel->name.c_str();
    return CUDA_SUCCESS;
  });
}

PTX_API cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset,
                           size_t *size) {
  return inContext("cuFuncGetParamInfo", [&](CUctx_st &) -> CUresult {
    if (!offset)
      return CUDA_ERROR_INVALID_VALUE;
    if (!isLive(function))
      return CUDA_ERROR_INVALID_HANDLE;
    if (index >= function->kernel->params.size())
      return CUDA_ERROR_INVALID_VALUE;
    *offset = function->kernel->params[index].offset;
    if (size)
      *size = function->kernel->params[index].size;
    return CUDA_SUCCESS;
  });
}
