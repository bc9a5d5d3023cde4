// Streams and events.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Driver/DriverState.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::driver;

static CUresult createStream(const char *name, CUstream *stream, unsigned flags,
                             int priority) {
  return inContext(name, [&](CUctx_st &context) -> CUresult {
    if (!stream || flags > 1)
      return CUDA_ERROR_INVALID_VALUE;
    *stream = new CUstream_st{&context, flags, std::clamp(priority, -5, 0),
                              state().nextId++};
    context.streams.insert(*stream);
    return CUDA_SUCCESS;
  });
}

PTX_API cuStreamCreate(CUstream *stream, unsigned flags) {
  return createStream("cuStreamCreate", stream, flags, 0);
}

PTX_API cuStreamCreateWithPriority(CUstream *stream, unsigned flags,
                                   int priority) {
  return createStream("cuStreamCreateWithPriority", stream, flags, priority);
}

/// A call on a stream; \p body gets null for a default stream.
template <class Body>
static CUresult onStream(const char *name, CUstream stream, Body body) {
  return inContext(name, [&](CUctx_st &context) -> CUresult {
    if (!isLive(stream))
      return CUDA_ERROR_INVALID_HANDLE;
    return body(context,
                reinterpret_cast<uintptr_t>(stream) <= 2 ? nullptr : stream);
  });
}

PTX_API cuStreamDestroy_v2(CUstream stream) {
  return onStream("cuStreamDestroy", stream,
                  [](CUctx_st &, CUstream own) -> CUresult {
                    if (!own)
                      return CUDA_ERROR_INVALID_HANDLE;
                    own->context->streams.erase(own);
                    delete own;
                    return CUDA_SUCCESS;
                  });
}

PTX_API cuStreamSynchronize(CUstream stream) {
  return onStream("cuStreamSynchronize", stream,
                  [](CUctx_st &, CUstream) { return CUDA_SUCCESS; });
}

PTX_API cuStreamQuery(CUstream stream) {
  return onStream("cuStreamQuery", stream,
                  [](CUctx_st &, CUstream) { return CUDA_SUCCESS; });
}

PTX_API cuStreamGetFlags(CUstream stream, unsigned *flags) {
  return onStream("cuStreamGetFlags", stream,
                  [&](CUctx_st &, CUstream own) -> CUresult {
                    if (!flags)
                      return CUDA_ERROR_INVALID_VALUE;
                    *flags = own ? own->flags : 0;
                    return CUDA_SUCCESS;
                  });
}

PTX_API cuStreamGetPriority(CUstream stream, int *priority) {
  return onStream("cuStreamGetPriority", stream,
                  [&](CUctx_st &, CUstream own) -> CUresult {
                    if (!priority)
                      return CUDA_ERROR_INVALID_VALUE;
                    *priority = own ? own->priority : 0;
                    return CUDA_SUCCESS;
                  });
}

PTX_API cuStreamGetCtx(CUstream stream, CUcontext *result) {
  return onStream("cuStreamGetCtx", stream,
                  [&](CUctx_st &context, CUstream own) -> CUresult {
                    if (!result)
                      return CUDA_ERROR_INVALID_VALUE;
                    *result = own ? own->context : &context;
                    return CUDA_SUCCESS;
                  });
}

PTX_API cuStreamGetId(CUstream stream, unsigned long long *id) {
  return onStream("cuStreamGetId", stream,
                  [&](CUctx_st &, CUstream own) -> CUresult {
                    if (!id)
                      return CUDA_ERROR_INVALID_VALUE;
                    *id = own ? own->id : 0;
                    return CUDA_SUCCESS;
                  });
}

PTX_API cuStreamWaitEvent(CUstream stream, CUevent event, unsigned) {
  return onStream(
      "cuStreamWaitEvent", stream, [&](CUctx_st &, CUstream) -> CUresult {
        return isLive(event) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
      });
}

/// The function runs at once, outside the driver's lock.
PTX_API cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data) {
  CUresult result =
      onStream("cuLaunchHostFunc", stream, [&](CUctx_st &, CUstream) {
        return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
      });
  if (result == CUDA_SUCCESS)
    function(data);
  return result;
}

PTX_API cuStreamAddCallback(CUstream stream,
                            void (*callback)(CUstream, CUresult, void *),
                            void *data, unsigned flags) {
  CUresult result =
      onStream("cuStreamAddCallback", stream, [&](CUctx_st &, CUstream) {
        return callback && flags == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
      });
  if (result == CUDA_SUCCESS)
    callback(stream, CUDA_SUCCESS, data);
  return result;
}

//===----------------------------------------------------------------------===//
// Events
//===----------------------------------------------------------------------===//

static constexpr unsigned kDisableTiming = 2;

PTX_API cuEventCreate(CUevent *event, unsigned flags) {
  return inContext("cuEventCreate", [&](CUctx_st &context) -> CUresult {
    if (!event || flags > 7)
      return CUDA_ERROR_INVALID_VALUE;
    *event = new CUevent_st{&context, flags, false, {}};
    context.events.insert(*event);
    return CUDA_SUCCESS;
  });
}

template <class Body>
static CUresult onEvent(const char *name, CUevent event, Body body) {
  return inContext(name, [&](CUctx_st &) -> CUresult {
    return isLive(event) ? body(*event) : CUDA_ERROR_INVALID_HANDLE;
  });
}

PTX_API cuEventDestroy_v2(CUevent event) {
  return onEvent("cuEventDestroy", event, [](CUevent_st &own) {
    own.context->events.erase(&own);
    delete &own;
    return CUDA_SUCCESS;
  });
}

static CUresult record(const char *name, CUevent event, CUstream stream) {
  return onEvent(name, event, [&](CUevent_st &own) -> CUresult {
    if (!isLive(stream))
      return CUDA_ERROR_INVALID_HANDLE;
    own.recorded = true;
    own.time = std::chrono::steady_clock::now();
    return CUDA_SUCCESS;
  });
}

PTX_API cuEventRecord(CUevent event, CUstream stream) {
  return record("cuEventRecord", event, stream);
}

PTX_API cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned) {
  return record("cuEventRecordWithFlags", event, stream);
}

PTX_API cuEventSynchronize(CUevent event) {
  return onEvent("cuEventSynchronize", event,
                 [](CUevent_st &) { return CUDA_SUCCESS; });
}

PTX_API cuEventQuery(CUevent event) {
  return onEvent("cuEventQuery", event,
                 [](CUevent_st &) { return CUDA_SUCCESS; });
}

static CUresult elapsed(float *milliseconds, CUevent begin, CUevent end) {
  return onEvent("cuEventElapsedTime", begin, [&](CUevent_st &first) {
    if (!isLive(end) || !first.recorded || !end->recorded ||
        ((first.flags | end->flags) & kDisableTiming))
      return CUDA_ERROR_INVALID_HANDLE;
    if (!milliseconds)
      return CUDA_ERROR_INVALID_VALUE;
    std::chrono::duration<float, std::milli> time = end->time - first.time;
    *milliseconds = time.count();
    return CUDA_SUCCESS;
  });
}

PTX_API cuEventElapsedTime(float *milliseconds, CUevent begin, CUevent end) {
  return elapsed(milliseconds, begin, end);
}

PTX_API cuEventElapsedTime_v2(float *milliseconds, CUevent begin, CUevent end) {
  return elapsed(milliseconds, begin, end);
}
