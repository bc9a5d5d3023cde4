// Devices and contexts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Driver/DriverState.h"
#include "Machine/Limits.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

using namespace ptx;
using namespace ptx::driver;

static constexpr uint64_t kDeviceBytes = uint64_t{80} << 30;

PTX_API cuInit(unsigned flags) {
  return guarded("cuInit", [&]() -> CUresult {
    if (flags != 0)
      return CUDA_ERROR_INVALID_VALUE;
    if (const char *arch = std::getenv("PTX_ARCH")) {
      const char *digits = std::strncmp(arch, "sm_", 3) == 0 ? arch + 3 : arch;
      unsigned long sm = std::strtoul(digits, nullptr, 10);
      if (sm < 75 || sm > 200) {
        std::fprintf(stderr, "cuInit: PTX_ARCH=%s: expected sm_75 to sm_121\n",
                     arch);
        return CUDA_ERROR_NO_DEVICE;
      }
      state().sm = static_cast<unsigned>(sm);
    }
    state().initialised = true;
    return CUDA_SUCCESS;
  });
}

PTX_API cuDriverGetVersion(int *version) {
  return guarded("cuDriverGetVersion", [&]() -> CUresult {
    if (!version)
      return CUDA_ERROR_INVALID_VALUE;
    *version = kDriverVersion;
    return CUDA_SUCCESS;
  });
}

PTX_API cuDeviceGetCount(int *count) {
  return initialised("cuDeviceGetCount", [&]() -> CUresult {
    if (!count)
      return CUDA_ERROR_INVALID_VALUE;
    *count = 1;
    return CUDA_SUCCESS;
  });
}

PTX_API cuDeviceGet(CUdevice *device, int ordinal) {
  return initialised("cuDeviceGet", [&]() -> CUresult {
    if (!device)
      return CUDA_ERROR_INVALID_VALUE;
    if (ordinal != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    *device = 0;
    return CUDA_SUCCESS;
  });
}

PTX_API cuDeviceGetName(char *name, int length, CUdevice device) {
  return onDevice("cuDeviceGetName", device, [&]() -> CUresult {
    if (!name || length <= 0)
      return CUDA_ERROR_INVALID_VALUE;
    std::snprintf(name, static_cast<size_t>(length), "PTX emulator (%s, sm_%u)",
                  limitsOf(state().sm).chip, state().sm);
    return CUDA_SUCCESS;
  });
}

PTX_API cuDeviceGetUuid_v2(char *uuid, CUdevice device) {
  return onDevice("cuDeviceGetUuid", device, [&]() -> CUresult {
    if (!uuid)
      return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(uuid, "PTX emulator dev", 16);
    return CUDA_SUCCESS;
  });
}

PTX_API cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  return onDevice("cuDeviceTotalMem", device, [&]() -> CUresult {
    if (!bytes)
      return CUDA_ERROR_INVALID_VALUE;
    *bytes = kDeviceBytes;
    return CUDA_SUCCESS;
  });
}

/// CUdevice_attribute values that are equal for all modelled architectures.
static std::optional<int> commonAttribute(int attribute) {
  static const std::map<int, int> values{
      {1, 1024}, // threads a block
      {2, 1024},
      {3, 1024},       // block x, y
      {4, 64},         // block z
      {5, 0x7fffffff}, // grid x
      {6, 65535},
      {7, 65535},              // grid y, z
      {8, kStaticSharedLimit}, // shared memory a block
      {9, 65536},              // constant memory
      {10, 32},                // warp size
      {13, 1755000},           // clock, kHz
      {19, 1},                 // can map host memory
      {31, 1},                 // concurrent kernels
      {36, 2619000},           // memory clock, kHz
      {37, 5120},              // memory bus, bits
      {38, 50 << 20},          // L2 bytes
      {40, 1},                 // copy engines
      {41, 1},                 // unified addressing
      {78, 1},                 // stream priorities
      {79, 1},
      {80, 1}, // L1 caches
      {83, 1}, // managed memory
      {95, 1}, // cooperative launch
  };
  auto found = values.find(attribute);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

/// Value of a CUdevice_attribute by its number; -1 for one that says nothing
/// here.
static int deviceAttribute(int attribute, const Limits &limits) {
  if (auto common = commonAttribute(attribute))
    return *common;
  switch (attribute) {
  case 12:
    return static_cast<int>(limits.registersPerSm); // a block
  case 16:
    return static_cast<int>(limits.multiprocessors);
  case 39:
    return static_cast<int>(limits.threadsPerSm);
  case 75:
    return static_cast<int>(limits.sm / 10);
  case 76:
    return static_cast<int>(limits.sm % 10);
  case 81:
    return static_cast<int>(limits.sharedPerSm);
  case 82:
    return static_cast<int>(limits.registersPerSm);
  case 97:
    return static_cast<int>(limits.sharedPerBlock); // opt-in
  case 106:
    return static_cast<int>(limits.blocksPerSm);
  case 111:
    return static_cast<int>(limits.sharedReserved);
  case 120:
    return limits.clusters; // cluster launch
  case 127:
    return limits.clusters; // tensor maps
  default:
    return attribute > 0 && attribute < 148 ? 0 : -1;
  }
}

PTX_API cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  return onDevice("cuDeviceGetAttribute", device, [&]() -> CUresult {
    if (!value)
      return CUDA_ERROR_INVALID_VALUE;
    int found = deviceAttribute(attribute, limitsOf(state().sm));
    if (found < 0)
      return CUDA_ERROR_INVALID_VALUE;
    *value = found;
    return CUDA_SUCCESS;
  });
}

//===----------------------------------------------------------------------===//
// Contexts
//===----------------------------------------------------------------------===//

static std::unique_ptr<CUctx_st> makeContext(unsigned flags) {
  auto context = std::make_unique<CUctx_st>();
  context->device.limit = kDeviceBytes;
  context->flags = flags;
  context->id = state().nextId++;
  return context;
}

static CUresult createContext(const char *name, CUcontext *context,
                              unsigned flags, CUdevice device) {
  return onDevice(name, device, [&]() -> CUresult {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    *context = makeContext(flags).release();
    state().contexts.insert(*context);
    contextStack().push_back(*context);
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device) {
  return createContext("cuCtxCreate", context, flags, device);
}

PTX_API cuCtxCreate_v4(CUcontext *context, void *, unsigned flags,
                       CUdevice device) {
  return createContext("cuCtxCreate", context, flags, device);
}

static void removeContext(CUcontext context) {
  state().contexts.erase(context);
  std::erase(contextStack(), context);
}

PTX_API cuCtxDestroy_v2(CUcontext context) {
  return initialised("cuCtxDestroy", [&]() -> CUresult {
    if (!isLive(context) || context->isPrimary)
      return CUDA_ERROR_INVALID_CONTEXT;
    removeContext(context);
    delete context;
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxPushCurrent_v2(CUcontext context) {
  return initialised("cuCtxPushCurrent", [&]() -> CUresult {
    if (!isLive(context))
      return CUDA_ERROR_INVALID_CONTEXT;
    contextStack().push_back(context);
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxPopCurrent_v2(CUcontext *context) {
  return initialised("cuCtxPopCurrent", [&]() -> CUresult {
    if (contextStack().empty())
      return CUDA_ERROR_INVALID_CONTEXT;
    if (context)
      *context = contextStack().back();
    contextStack().pop_back();
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxSetCurrent(CUcontext context) {
  return initialised("cuCtxSetCurrent", [&]() -> CUresult {
    if (context && !isLive(context))
      return CUDA_ERROR_INVALID_CONTEXT;
    if (!contextStack().empty())
      contextStack().pop_back();
    if (context)
      contextStack().push_back(context);
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxGetCurrent(CUcontext *context) {
  return initialised("cuCtxGetCurrent", [&]() -> CUresult {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    *context = currentContext();
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxGetDevice(CUdevice *device) {
  return inContext("cuCtxGetDevice", [&](CUctx_st &) -> CUresult {
    if (!device)
      return CUDA_ERROR_INVALID_VALUE;
    *device = 0;
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxGetApiVersion(CUcontext context, unsigned *version) {
  return initialised("cuCtxGetApiVersion", [&]() -> CUresult {
    if (!version)
      return CUDA_ERROR_INVALID_VALUE;
    if (context && !isLive(context))
      return CUDA_ERROR_INVALID_CONTEXT;
    *version = kDriverVersion;
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxGetFlags(unsigned *flags) {
  return inContext("cuCtxGetFlags", [&](CUctx_st &context) -> CUresult {
    if (!flags)
      return CUDA_ERROR_INVALID_VALUE;
    *flags = context.flags;
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxSynchronize() {
  return inContext("cuCtxSynchronize",
                   [](CUctx_st &) -> CUresult { return CUDA_SUCCESS; });
}

/// Stack, printf buffer and heap; CUlimit 0, 1, 2.
PTX_API cuCtxSetLimit(int limit, size_t value) {
  return inContext("cuCtxSetLimit", [&](CUctx_st &context) -> CUresult {
    if (limit < 0 || limit > 2)
      return CUDA_ERROR_UNSUPPORTED_LIMIT;
    context.limits[limit] = value;
    if (limit == 2)
      context.device.heapLimit = value;
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxGetLimit(size_t *value, int limit) {
  return inContext("cuCtxGetLimit", [&](CUctx_st &context) -> CUresult {
    if (!value)
      return CUDA_ERROR_INVALID_VALUE;
    if (limit < 0 || limit > 2)
      return CUDA_ERROR_UNSUPPORTED_LIMIT;
    constexpr size_t defaults[] = {1024, 1u << 20, 8u << 20};
    auto set = context.limits.find(limit);
    *value = set != context.limits.end() ? set->second : defaults[limit];
    return CUDA_SUCCESS;
  });
}

PTX_API cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  return inContext("cuCtxGetStreamPriorityRange", [&](CUctx_st &) -> CUresult {
    if (least)
      *least = 0;
    if (greatest)
      *greatest = -5;
    return CUDA_SUCCESS;
  });
}

//===----------------------------------------------------------------------===//
// The primary context
//===----------------------------------------------------------------------===//

PTX_API cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  return onDevice("cuDevicePrimaryCtxRetain", device, [&]() -> CUresult {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    State &driver = state();
    if (!driver.primary) {
      driver.primary = makeContext(driver.primaryFlags);
      driver.primary->isPrimary = true;
      driver.contexts.insert(driver.primary.get());
    }
    ++driver.primaryUses;
    *context = driver.primary.get();
    return CUDA_SUCCESS;
  });
}

static void dropPrimary() {
  if (!state().primary)
    return;
  removeContext(state().primary.get());
  state().primary.reset();
  state().primaryUses = 0;
}

PTX_API cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  return onDevice("cuDevicePrimaryCtxRelease", device, [&]() -> CUresult {
    if (state().primaryUses == 0)
      return CUDA_ERROR_INVALID_CONTEXT;
    if (--state().primaryUses == 0)
      dropPrimary();
    return CUDA_SUCCESS;
  });
}

PTX_API cuDevicePrimaryCtxReset_v2(CUdevice device) {
  return onDevice("cuDevicePrimaryCtxReset", device, [&]() -> CUresult {
    dropPrimary();
    return CUDA_SUCCESS;
  });
}

PTX_API cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  return onDevice("cuDevicePrimaryCtxSetFlags", device, [&]() -> CUresult {
    state().primaryFlags = flags;
    if (state().primary)
      state().primary->flags = flags;
    return CUDA_SUCCESS;
  });
}

PTX_API cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags,
                                   int *active) {
  return onDevice("cuDevicePrimaryCtxGetState", device, [&]() -> CUresult {
    if (flags)
      *flags = state().primaryFlags;
    if (active)
      *active = state().primary != nullptr;
    return CUDA_SUCCESS;
  });
}
