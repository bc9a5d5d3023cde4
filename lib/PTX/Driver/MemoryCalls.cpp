// Memory, copies, fills.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Driver/DriverState.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace ptx;
using namespace ptx::driver;

namespace {
CUresult allocate(CUctx_st &context, CUdeviceptr *address, size_t bytes) {
  if (!address || bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  try {
    *address = context.device.allocate(bytes);
  } catch (const Error &error) {
    explain("cuMemAlloc", error.what());
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  return CUDA_SUCCESS;
}

CUresult release(CUctx_st &context, CUdeviceptr address) {
  if (address == 0)
    return CUDA_SUCCESS;
  context.device.free(address);
  auto managed = context.managed.find(address);
  if (managed != context.managed.end()) {
    std::free(managed->second);
    context.managed.erase(managed);
  }
  return CUDA_SUCCESS;
}

/// Host memory that kernels may use too, aligned like device memory.
void *allocateHost(CUctx_st &context, size_t bytes, const char *name) {
  try {
    context.device.requireRoom(bytes);
  } catch (const Error &error) {
    explain(name, error.what());
    throw std::bad_alloc();
  }
  void *memory = std::aligned_alloc(256, (bytes + 511) / 256 * 256);
  if (!memory)
    throw std::bad_alloc();
  try {
    context.device.adopt(memory, bytes, name);
  } catch (...) {
    std::free(memory);
    throw;
  }
  return memory;
}

const void *hostPointer(CUdeviceptr address) {
  return reinterpret_cast<const void *>(address);
}

/// Copies between host and device addresses, whichever each one is.
CUresult copyUnified(CUctx_st &context, CUdeviceptr to, CUdeviceptr from,
                     size_t bytes) {
  bool toDevice = context.device.find(to).has_value();
  bool fromDevice = context.device.find(from).has_value();
  if (toDevice && fromDevice)
    context.device.copy(to, from, bytes);
  else if (toDevice)
    context.device.copyIn(to, hostPointer(from), bytes);
  else if (fromDevice)
    context.device.copyOut(reinterpret_cast<void *>(to), from, bytes);
  else
    std::memmove(reinterpret_cast<void *>(to), hostPointer(from), bytes);
  return CUDA_SUCCESS;
}

/// \p count elements of \p bytes bytes in each of \p rows rows.
CUresult fill(CUctx_st &context, CUdeviceptr to, size_t pitch, uint32_t value,
              unsigned bytes, size_t count, size_t rows) {
  if (to % bytes != 0 || (rows > 1 && pitch < count * bytes))
    return CUDA_ERROR_INVALID_VALUE;
  std::vector<char> row(count * bytes);
  for (size_t i = 0; i < count; ++i)
    std::memcpy(row.data() + i * bytes, &value, bytes);
  for (size_t r = 0; r < rows; ++r)
    context.device.copyIn(to + r * pitch, row.data(), row.size());
  return CUDA_SUCCESS;
}
} // namespace

//===----------------------------------------------------------------------===//
// Allocation
//===----------------------------------------------------------------------===//

PTX_API cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  return inContext("cuMemAlloc", [&](CUctx_st &context) {
    return allocate(context, address, bytes);
  });
}

PTX_API cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream) {
  return inContext("cuMemAllocAsync", [&](CUctx_st &context) -> CUresult {
    if (!isLive(stream))
      return CUDA_ERROR_INVALID_HANDLE;
    return allocate(context, address, bytes);
  });
}

PTX_API cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width,
                           size_t height, unsigned element) {
  return inContext("cuMemAllocPitch", [&](CUctx_st &context) -> CUresult {
    if (!pitch || (element != 4 && element != 8 && element != 16))
      return CUDA_ERROR_INVALID_VALUE;
    *pitch = (width + 511) / 512 * 512;
    return allocate(context, address, *pitch * height);
  });
}

PTX_API cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned) {
  return inContext("cuMemAllocManaged", [&](CUctx_st &context) -> CUresult {
    if (!address || bytes == 0)
      return CUDA_ERROR_INVALID_VALUE;
    void *memory = allocateHost(context, bytes, "managed memory");
    *address = reinterpret_cast<CUdeviceptr>(memory);
    context.managed[*address] = memory;
    return CUDA_SUCCESS;
  });
}

PTX_API cuMemFree_v2(CUdeviceptr address) {
  return inContext("cuMemFree", [&](CUctx_st &context) {
    return release(context, address);
  });
}

PTX_API cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
  return inContext("cuMemFreeAsync", [&](CUctx_st &context) -> CUresult {
    if (!isLive(stream))
      return CUDA_ERROR_INVALID_HANDLE;
    return release(context, address);
  });
}

static CUresult allocateHostCall(const char *name, void **memory,
                                 size_t bytes) {
  return inContext(name, [&](CUctx_st &context) -> CUresult {
    if (!memory || bytes == 0)
      return CUDA_ERROR_INVALID_VALUE;
    *memory = allocateHost(context, bytes, "host memory");
    context.hostMemory[*memory] = bytes;
    return CUDA_SUCCESS;
  });
}

PTX_API cuMemAllocHost_v2(void **memory, size_t bytes) {
  return allocateHostCall("cuMemAllocHost", memory, bytes);
}

PTX_API cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  return allocateHostCall("cuMemHostAlloc", memory, bytes);
}

PTX_API cuMemFreeHost(void *memory) {
  return inContext("cuMemFreeHost", [&](CUctx_st &context) -> CUresult {
    if (context.hostMemory.erase(memory) == 0)
      return CUDA_ERROR_INVALID_VALUE;
    context.device.free(reinterpret_cast<CUdeviceptr>(memory));
    std::free(memory);
    return CUDA_SUCCESS;
  });
}

PTX_API cuMemHostRegister_v2(void *memory, size_t bytes, unsigned) {
  return inContext("cuMemHostRegister", [&](CUctx_st &context) -> CUresult {
    if (!memory || bytes == 0)
      return CUDA_ERROR_INVALID_VALUE;
    context.device.adopt(memory, bytes, "registered host memory");
    return CUDA_SUCCESS;
  });
}

PTX_API cuMemHostUnregister(void *memory) {
  return inContext("cuMemHostUnregister", [&](CUctx_st &context) -> CUresult {
    auto found = context.device.find(reinterpret_cast<CUdeviceptr>(memory));
    if (!found || found->owned)
      return CUDA_ERROR_INVALID_VALUE;
    context.device.free(found->address);
    return CUDA_SUCCESS;
  });
}

PTX_API cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *memory,
                                     unsigned) {
  return inContext("cuMemHostGetDevicePointer",
                   [&](CUctx_st &context) -> CUresult {
                     auto at = reinterpret_cast<CUdeviceptr>(memory);
                     if (!address || !context.device.find(at))
                       return CUDA_ERROR_INVALID_VALUE;
                     *address = at;
                     return CUDA_SUCCESS;
                   });
}

PTX_API cuMemGetInfo_v2(size_t *free, size_t *total) {
  return inContext("cuMemGetInfo", [&](CUctx_st &context) -> CUresult {
    if (!free || !total)
      return CUDA_ERROR_INVALID_VALUE;
    *total = context.device.limit;
    *free = context.device.limit - context.device.bytesAllocated();
    return CUDA_SUCCESS;
  });
}

PTX_API cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes,
                                CUdeviceptr address) {
  return inContext("cuMemGetAddressRange", [&](CUctx_st &context) -> CUresult {
    auto found = context.device.find(address);
    if (!found)
      return CUDA_ERROR_NOT_FOUND;
    if (base)
      *base = found->address;
    if (bytes)
      *bytes = found->bytes;
    return CUDA_SUCCESS;
  });
}

/// CUpointer_attribute: context 1, memory type 2, device pointer 3, host
/// pointer 4, managed 8, device ordinal 9, range start 11, range size 12.
PTX_API cuPointerGetAttribute(void *data, int attribute, CUdeviceptr address) {
  return inContext("cuPointerGetAttribute", [&](CUctx_st &context) -> CUresult {
    auto found = context.device.find(address);
    if (!data || !found)
      return CUDA_ERROR_INVALID_VALUE;
    auto give = [&](auto value) {
      std::memcpy(data, &value, sizeof value);
      return CUDA_SUCCESS;
    };
    switch (attribute) {
    case 1:
      return give(&context);
    case 2:
      return give(found->owned ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST);
    case 3:
      return give(address);
    case 4:
      return give(found->owned ? CUdeviceptr{0} : address);
    case 8:
      return give(context.managed.count(found->address) != 0);
    case 9:
      return give(int{0});
    case 11:
      return give(found->address);
    case 12:
      return give(found->bytes);
    default:
      return CUDA_ERROR_INVALID_VALUE;
    }
  });
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

/// A copy and its asynchronous form, which is done when it returns as well.
#define PTX_COPY(NAME, SYMBOL, ASYNC_SYMBOL, TO, FROM, BODY)                   \
  static CUresult copy##NAME(CUctx_st &context, TO to, FROM from,              \
                             size_t bytes) {                                   \
    if (bytes == 0)                                                            \
      return CUDA_SUCCESS;                                                     \
    if (!to || !from)                                                          \
      return CUDA_ERROR_INVALID_VALUE;                                         \
    BODY;                                                                      \
    return CUDA_SUCCESS;                                                       \
  }                                                                            \
  PTX_API SYMBOL(TO to, FROM from, size_t bytes) {                             \
    return inContext("cuMemcpy" #NAME, [&](CUctx_st &context) {                \
      return copy##NAME(context, to, from, bytes);                             \
    });                                                                        \
  }                                                                            \
  PTX_API ASYNC_SYMBOL(TO to, FROM from, size_t bytes, CUstream stream) {      \
    return inContext("cuMemcpy" #NAME "Async",                                 \
                     [&](CUctx_st &context) -> CUresult {                      \
                       if (!isLive(stream))                                    \
                         return CUDA_ERROR_INVALID_HANDLE;                     \
                       return copy##NAME(context, to, from, bytes);            \
                     });                                                       \
  }

PTX_COPY(HtoD, cuMemcpyHtoD_v2, cuMemcpyHtoDAsync_v2, CUdeviceptr, const void *,
         context.device.copyIn(to, from, bytes))
PTX_COPY(DtoH, cuMemcpyDtoH_v2, cuMemcpyDtoHAsync_v2, void *, CUdeviceptr,
         context.device.copyOut(to, from, bytes))
PTX_COPY(DtoD, cuMemcpyDtoD_v2, cuMemcpyDtoDAsync_v2, CUdeviceptr, CUdeviceptr,
         context.device.copy(to, from, bytes))
PTX_COPY(, cuMemcpy, cuMemcpyAsync, CUdeviceptr, CUdeviceptr,
         return copyUnified(context, to, from, bytes))

static CUresult copyRows(CUctx_st &context, const CUDA_MEMCPY2D *copy) {
  if (!copy || copy->srcMemoryType == CU_MEMORYTYPE_ARRAY ||
      copy->dstMemoryType == CU_MEMORYTYPE_ARRAY)
    return copy ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
  auto address = [](CUmemorytype type, const void *host, CUdeviceptr device) {
    return type == CU_MEMORYTYPE_HOST ? reinterpret_cast<CUdeviceptr>(host)
                                      : device;
  };
  CUdeviceptr from =
      address(copy->srcMemoryType, copy->srcHost, copy->srcDevice);
  CUdeviceptr to = address(copy->dstMemoryType, copy->dstHost, copy->dstDevice);
  size_t fromPitch = std::max(copy->srcPitch, copy->WidthInBytes);
  size_t toPitch = std::max(copy->dstPitch, copy->WidthInBytes);
  for (size_t row = 0; row < copy->Height; ++row)
    copyUnified(context, to + (copy->dstY + row) * toPitch + copy->dstXInBytes,
                from + (copy->srcY + row) * fromPitch + copy->srcXInBytes,
                copy->WidthInBytes);
  return CUDA_SUCCESS;
}

PTX_API cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy) {
  return inContext("cuMemcpy2D",
                   [&](CUctx_st &context) { return copyRows(context, copy); });
}

PTX_API cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream) {
  return inContext("cuMemcpy2DAsync", [&](CUctx_st &context) -> CUresult {
    if (!isLive(stream))
      return CUDA_ERROR_INVALID_HANDLE;
    return copyRows(context, copy);
  });
}

//===----------------------------------------------------------------------===//
// Fills
//===----------------------------------------------------------------------===//

#define PTX_FILL(NAME, TYPE)                                                   \
  PTX_API cuMemset##NAME##_v2(CUdeviceptr to, TYPE value, size_t count) {      \
    return inContext("cuMemset" #NAME, [&](CUctx_st &context) {                \
      return fill(context, to, 0, value, sizeof(TYPE), count, 1);              \
    });                                                                        \
  }                                                                            \
  PTX_API cuMemset##NAME##Async(CUdeviceptr to, TYPE value, size_t count,      \
                                CUstream stream) {                             \
    return inContext(                                                          \
        "cuMemset" #NAME "Async", [&](CUctx_st &context) -> CUresult {         \
          if (!isLive(stream))                                                 \
            return CUDA_ERROR_INVALID_HANDLE;                                  \
          return fill(context, to, 0, value, sizeof(TYPE), count, 1);          \
        });                                                                    \
  }
#define PTX_FILL_ROWS(NAME, TYPE)                                              \
  PTX_API cuMemset##NAME##_v2(CUdeviceptr to, size_t pitch, TYPE value,        \
                              size_t width, size_t height) {                   \
    return inContext("cuMemset" #NAME, [&](CUctx_st &context) {                \
      return fill(context, to, pitch, value, sizeof(TYPE), width, height);     \
    });                                                                        \
  }

PTX_FILL(D8, unsigned char)
PTX_FILL(D16, unsigned short)
PTX_FILL(D32, unsigned)
PTX_FILL_ROWS(D2D8, unsigned char)
PTX_FILL_ROWS(D2D16, unsigned short)
PTX_FILL_ROWS(D2D32, unsigned)
