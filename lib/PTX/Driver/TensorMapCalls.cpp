// CuTensorMapEncodeTiled.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Driver/DriverState.h"
#include "ptx/TensorMap.h"

#include <algorithm>
#include <cstring>

using namespace ptx;
using namespace ptx::driver;

/// \p interleave: 0 none, 1 16 bytes, 2 32 bytes; \p swizzle: 0 none, 1 32, 2
/// 64, 3 128 bytes, 4 and 6 those with 32 and 64 bytes kept together, 5 that
/// with 32 which flips;
/// \p promotion into the L2 changes no result.
PTX_API cuTensorMapEncodeTiled(void *result, int type, uint32_t rank,
                               void *address, const uint64_t *size,
                               const uint64_t *strides, const uint32_t *box,
                               const uint32_t *elementStrides, int interleave,
                               int swizzle, int promotion, int fill) {
  return initialised("cuTensorMapEncodeTiled", [&]() -> CUresult {
    if (!result || !size || !box || !elementStrides || rank < 1 || rank > 5 ||
        (rank > 1 && !strides) || reinterpret_cast<uintptr_t>(result) % 64 ||
        type < 0 || type > static_cast<int>(TensorElement::B6x16Padded) ||
        interleave < 0 || interleave > 2 || promotion < 0 || promotion > 3 ||
        fill < 0 || fill > 1 || swizzle < 0 || swizzle > 6)
      return CUDA_ERROR_INVALID_VALUE;
    TensorMap map;
    map.element = static_cast<TensorElement>(type);
    map.rank = rank;
    map.address = reinterpret_cast<uint64_t>(address);
    std::copy(size, size + rank, map.size.begin());
    if (rank > 1)
      std::copy(strides, strides + rank - 1, map.stride.begin());
    std::copy(box, box + rank, map.box.begin());
    std::copy(elementStrides, elementStrides + rank, map.elementStride.begin());
    map.swizzle = swizzle ? 16u << std::min(swizzle, 3) : 0;
    map.atomicity = swizzle == 6 ? 64 : swizzle >= 4 ? 32 : 16;
    map.flips = swizzle == 5;
    map.interleave = interleave ? 8u << interleave : 0;
    map.nanFill = fill == 1;
    map.validate();
    auto bytes = map.encode();
    std::memcpy(result, bytes.data(), bytes.size());
    return CUDA_SUCCESS;
  });
}

PTX_API cuTensorMapReplaceAddress(void *tensorMap, void *address) {
  return initialised("cuTensorMapReplaceAddress", [&]() -> CUresult {
    if (!tensorMap)
      return CUDA_ERROR_INVALID_VALUE;
    TensorMap map = TensorMap::decode(static_cast<std::byte *>(tensorMap));
    map.address = reinterpret_cast<uint64_t>(address);
    map.validate();
    auto bytes = map.encode();
    std::memcpy(tensorMap, bytes.data(), bytes.size());
    return CUDA_SUCCESS;
  });
}
