// What the driver keeps between calls.
//
// Environment:
//   PTX_CHECK   what launches check, as ptx-run --check; default: nothing
//   PTX_ARCH    the architecture of the device, "sm_90" by default
//   PTX_THREADS host threads of a launch
//   PTX_SEED    runs warps in random order from this seed
//   PTX_FAIL    CALL[:N[:CODE]]: the N-th call (default 1) of the function
//               fails with CODE (default 999); several, separated by commas
//   PTX_FINDINGS=error  findings of checks make the launch fail
//   PTX_REPORT  h100 or a100: prints the report of every launch
//   PTX_COUNTERS  a file to which each launch appends a line of JSON: its
//               counters, and the modelled times on each chip
//   PTX_TENSOR=fast  tensor cores add up in float32
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DRIVER_DRIVERSTATE_H
#define PTX_DRIVER_DRIVERSTATE_H

#include "Driver/DriverTypes.h"
#include "ptx/Device.h"
#include "ptx/Error.h"
#include "ptx/Launch.h"
#include "ptx/Module.h"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <unordered_set>
#include <vector>

/// A function, an entry of the module's kernels.
struct CUfunc_st {
  CUmodule module = nullptr;
  const ptx::KernelInfo *kernel = nullptr;
  /// What cuFuncSetAttribute allowed beyond 48 KB.
  uint32_t dynamicShared = 0;
  int carveout = -1, clusterPolicy = 0, nonPortableCluster = 0;
  unsigned clusterSize[3] = {0, 0, 0};
};

struct CUmod_st {
  CUcontext context = nullptr;
  ptx::Module module;
  std::map<std::string, std::unique_ptr<CUfunc_st>, std::less<>> functions;
};

/// Everything is done when the call that asked for it returns, so a stream is
/// only a name.
struct CUstream_st {
  CUcontext context = nullptr;
  unsigned flags = 0;
  int priority = 0;
  unsigned long long id = 0;
};

struct CUevent_st {
  CUcontext context = nullptr;
  unsigned flags = 0;
  bool recorded = false;
  std::chrono::steady_clock::time_point time;
};

/// A context: a device memory of its own.
struct CUctx_st {
  ptx::Device device;
  unsigned flags = 0;
  bool isPrimary = false;
  unsigned long long id = 0;
  /// The first error of a kernel stays, as on the hardware.
  CUresult failure = CUDA_SUCCESS;
  std::map<void *, size_t> hostMemory; ///< of cuMemHostAlloc: owned
  std::map<CUdeviceptr, void *> managed;
  std::map<int, size_t> limits;
  std::unordered_set<CUmodule> modules;
  std::unordered_set<CUstream> streams;
  std::unordered_set<CUevent> events;
  ~CUctx_st();
};

namespace ptx::driver {

struct State {
  std::recursive_mutex lock;
  bool initialised = false;
  unsigned sm = 90;
  std::unordered_set<CUcontext> contexts;
  std::unique_ptr<CUctx_st> primary;
  unsigned primaryUses = 0, primaryFlags = 0;
  unsigned long long nextId = 1;
};
State &state();

/// The contexts of this host thread, the current one last.
std::vector<CUcontext> &contextStack();
CUcontext currentContext();

/// The failure PTX_FAIL asks for in this call, or success.
CUresult injected(const char *function);
/// Says on standard error why a call fails, with PTX_VERBOSE set.
void explain(const char *function, const std::string &why);

bool isLive(CUcontext context);
bool isLive(CUmodule module);
bool isLive(CUfunction function);
/// Null and the two default streams are live too.
bool isLive(CUstream stream);
bool isLive(CUevent event);

/// Runs the body of a call: nothing is thrown through C.
template <class Body> CUresult guarded(const char *function, Body body) {
  std::lock_guard<std::recursive_mutex> guard(state().lock);
  try {
    if (CUresult failure = injected(function))
      return failure;
    return body();
  } catch (const Error &error) {
    explain(function, error.what());
    return CUDA_ERROR_INVALID_VALUE;
  } catch (const std::bad_alloc &) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  } catch (...) {
    return CUDA_ERROR_UNKNOWN;
  }
}

/// The same for calls that need cuInit.
template <class Body> CUresult initialised(const char *function, Body body) {
  return guarded(function, [&]() -> CUresult {
    if (!state().initialised)
      return CUDA_ERROR_NOT_INITIALIZED;
    return body();
  });
}

/// The same for calls on a device.
template <class Body>
CUresult onDevice(const char *function, CUdevice device, Body body) {
  return initialised(function, [&]() -> CUresult {
    if (device != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    return body();
  });
}

/// The same for calls that need a current context; \p body gets it.
template <class Body> CUresult inContext(const char *function, Body body) {
  return initialised(function, [&]() -> CUresult {
    CUcontext context = currentContext();
    if (!context)
      return CUDA_ERROR_INVALID_CONTEXT;
    if (!isLive(context))
      return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (context->failure)
      return context->failure;
    return body(*context);
  });
}

} // namespace ptx::driver

#define PTX_API extern "C" __attribute__((visibility("default"))) CUresult

#endif // PTX_DRIVER_DRIVERSTATE_H
