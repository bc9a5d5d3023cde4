// Fields of the opaque tensor map.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_TENSORMAPFIELDS_H
#define PTX_ASYNC_TENSORMAPFIELDS_H

#include "ptx/TensorMap.h"

#include <cstdint>

namespace ptx::async {

/// Fields of tensormap.replace.
enum class MapField : uint8_t {
  GlobalAddress,
  Rank,
  BoxDim,
  GlobalDim,
  GlobalStride,
  ElementStride,
  ElemType,
  InterleaveLayout,
  SwizzleMode,
  FillMode,
  SwizzleAtomicity,
};

/// Sets one field to what the instruction names it: ranks count from zero,
/// types, swizzles and fills have numbers of their own. \p ordinal: of the
/// fields that are arrays. False if there is no such value.
bool replaceField(std::byte *map, MapField field, unsigned ordinal,
                  uint64_t value);

} // namespace ptx::async

#endif // PTX_ASYNC_TENSORMAPFIELDS_H
