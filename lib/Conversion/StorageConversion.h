// Between the types of storage (f32, bf16, f16) and f32, for scalars and
// vectors, on every target without a library call.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_STORAGECONVERSION_H
#define MOE_LIB_CONVERSION_STORAGECONVERSION_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

/// `element`, or a vector of it if `like` is a vector type.
Type withElement(Type like, Type element);

/// `value` splatted to `type`, a scalar or vector type.
Value splatConstant(ImplicitLocOpBuilder &b, Type type, double value);

/// The exact f32 of an f32, bf16 or f16. `hasF16` says that the target
/// converts f16 by itself; elsewhere arith.extf would become a library call.
Value widenToF32(ImplicitLocOpBuilder &b, Value value, bool hasF16);

/// An f32 rounded once, to nearest even, to `element` (f32, bf16 or f16).
Value roundFromF32(ImplicitLocOpBuilder &b, Value value, Type element,
                   bool hasF16);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_STORAGECONVERSION_H
