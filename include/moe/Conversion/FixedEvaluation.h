// The fixed evaluation of scores, as IR: the same bits on every target.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_CONVERSION_FIXEDEVALUATION_H
#define MOE_CONVERSION_FIXEDEVALUATION_H

#include "mlir/IR/ImplicitLocOpBuilder.h"
#include <functional>

namespace mlir::moe {

/// Emits the functions of the fixed evaluation on f32 or vectors of f32.
///
/// Every function is made of add, sub, mul, div, sqrt, compare, select, small
/// int to float and integer bit operations, each rounded to nearest even, in
/// one fixed order, without fused multiply-add and without fastmath flags. So
/// equal inputs give equal bits on every target, at every vector width, and in
/// NumPy; a pass that contracts or reassociates would break that.
///
/// Values are of one float type, f32 or a vector of f32; integers have the same
/// shape, of i32. Emission is at the builder's insertion point.
class FixedEvaluation {
public:
  /// How a target spells the correctly rounded square root. `math.sqrt` is one
  /// on a CPU; where a target's lowering of it approximates, pass its own op.
  using SquareRoot = std::function<Value(ImplicitLocOpBuilder &, Value)>;

  explicit FixedEvaluation(ImplicitLocOpBuilder &builder,
                           SquareRoot squareRoot = nullptr)
      : b(builder), squareRoot(std::move(squareRoot)) {}

  /// e^x, less than 0.9 ulp; NaN gives the one NaN 0x7FC00000.
  Value exp(Value x);
  /// The natural logarithm, less than 0.9 ulp; 0x7FC00000 below zero.
  Value log(Value x);
  /// 1 / (1 + e^-x), less than 2.5 ulp, in canonical form.
  Value sigmoid(Value x);
  /// sqrt(log(1 + e^x)), less than 1.7 ulp, in canonical form.
  Value sqrtsoftplus(Value x);
  /// The zero rule: |v| < 2^-125 becomes +0, so that FTZ and DAZ modes of the
  /// machine cannot matter.
  Value tiny(Value v);
  /// The canonical form: the zero rule, and every NaN is 0x7FC00000.
  Value canon(Value v);
  /// An i32 that orders, compared as *signed* numbers, as the scores do: NaN
  /// is the least number, +0 is 0. Of canonical scores only. With the sign bit
  /// flipped it orders as unsigned numbers do.
  Value key(Value score);
  /// The canonical score of a key.
  Value unkey(Value key);
  /// The larger of two, `a` where they compare neither way: a NaN in `b` loses.
  Value larger(Value a, Value b);
  /// The largest lane of a vector, in all lanes; NaN lanes lose to `-inf`.
  Value largestLane(Value x);
  /// The sum of 32 partial sums in all lanes of a vector: `partials` are
  /// vectors whose concatenation has 32 elements. Adds by the contract's tree:
  /// distances 16, 8, 4, 2, 1.
  Value sumOfPartials(ArrayRef<Value> partials);

  /// Number of partial sums of a softmax.
  static constexpr int64_t kPartials = 32;

  /// A float constant by its bit pattern; of the shape of the type `like`.
  Value constant(Type like, uint32_t bits);
  /// An i32 constant of the shape of the type `like`.
  Value integer(Type like, uint32_t bits);
  /// The bit pattern of a float value, and the float of a bit pattern.
  Value bits(Value x);
  Value fromBits(Value pattern);

private:
  Value constant(Value like, uint32_t bits) {
    return constant(like.getType(), bits);
  }
  Value integer(Value like, uint32_t bits) {
    return integer(like.getType(), bits);
  }
  Value logOf(Value u, Value exact);
  Value horner(Value r, ArrayRef<uint32_t> coefficients);
  Value isNaN(Value x);
  Value isTiny(Value x);

  ImplicitLocOpBuilder &b;
  SquareRoot squareRoot;
};

} // namespace mlir::moe

#endif // MOE_CONVERSION_FIXEDEVALUATION_H
