// Loops over the elements of a row: by vectors, then one by one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_VECTORLOOP_H
#define MOE_LIB_CONVERSION_VECTORLOOP_H

#include "LoopBuilder.h"

namespace mlir::moe {

/// Calls body(position, lanes) for the positions of [0, length): for groups of
/// `lanes` elements as long as they fit if `vectorize` is set, then with
/// lanes = 0, which means one scalar.
void forEachVector(LoopBuilder &b, Value length, int64_t lanes, bool vectorize,
                   function_ref<void(Value position, int64_t lanes)> body);

/// memref[indices], or the `lanes` elements that start there.
Value loadLanes(LoopBuilder &b, Value memref, ValueRange indices,
                int64_t lanes);
/// `scalar`, or a vector with it in each of `lanes` lanes.
Value broadcastLanes(LoopBuilder &b, Value scalar, int64_t lanes);
/// Stores what loadLanes loads.
void storeLanes(LoopBuilder &b, Value value, Value memref, ValueRange indices,
                int64_t lanes);

/// target[i] = convert(source[i]) for i < length, of two 1-d memrefs.
void copyElements(
    LoopBuilder &b, Value source, Value target, Value length, int64_t lanes,
    function_ref<Value(Value)> convert = [](Value v) { return v; });

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_VECTORLOOP_H
