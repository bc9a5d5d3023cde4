// The activation functions of experts, as scalar f32 arithmetic.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_IMPORT_ACTIVATION_H
#define MOE_LIB_IMPORT_ACTIVATION_H

#include "mlir/IR/Builders.h"

namespace mlir::moe {

enum class Activation { SiLU, GELU, GELUTanh, ReLU, ReLU2, ClampedSwiGLU };

/// The words of the marker attribute `activation`, in the order of the enum.
ArrayRef<StringRef> getActivationWords();

/// Whether the function is defined only on a gate and an up value.
bool needsGate(Activation activation);

/// An activation with the constants that clamped_swiglu needs.
struct ActivationFunction {
  Activation kind;
  float limit = 0.0f;
  float alpha = 0.0f;

  /// activation(gate) · up in f32; activation(gate) where `up` is null.
  Value build(OpBuilder &builder, Location loc, Value gate, Value up) const;
};

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_ACTIVATION_H
