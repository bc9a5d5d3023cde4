// The logits of a routing kernel that computes them itself.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_ROUTERPRODUCT_H
#define MOE_LIB_CONVERSION_GPU_ROUTERPRODUCT_H

#include "RouteLayout.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::moe {

/// Kernel arguments of a moe.idx.route with a router, and memory.
struct RouterOperands {
  Value input, weight, logits;
  SmallVector<Value, 1> biases;
  /// What the region uses from outside.
  IRMapping outside;
  /// Shared memory of RouteLayout::routerWords words.
  Value partialSums;
};

/// Writes the logits of a block's tokens, by tensor cores.
///
/// A product is of 16 experts and 8 tokens, so that the few tokens of a block
/// fill it. A warp takes 16 experts, or a part of the steps along H where there
/// are more warps. Fragments come straight from global memory: each weight is
/// read once by a block, and a lane reads 16 bytes that follow each other,
/// because products may take the values of H in any order that both sides have.
class RouterProduct {
public:
  RouterProduct(KernelBuilder &b, IdxRouteOp op, const RouteLayout &layout,
                const RouterOperands &operands);

  /// For `numTokens` tokens from row `firstRow` on; all threads of the block
  /// take part, and see the logits afterwards.
  void emit(Value firstRow, Value numTokens);

private:
  using Values = KernelBuilder::Values;

  /// What a lane multiplies in 32 of H: four words of each of its two experts,
  /// and of one of each eight tokens.
  struct Step {
    Values weights, tokens;
  };

  void emitTokens(Value first);
  void findTokens(Value first);
  void findExperts(Value block);
  Values sumsOf(Value part);
  Values sumsOfRest(ValueRange sums, int64_t first);
  Values addParts(ValueRange sums, Value part);
  Step loadStep(int64_t ahead, Value input, Value weight);
  Step loadRest(int64_t first);
  Values loadChunk(Value pointer, std::optional<int64_t> first = {});
  Values loadColumns(Value pointer, std::optional<int64_t> first = {});
  Value loadColumnPair(Value pointer);
  void multiply(const Step &step, SmallVectorImpl<Value> &sums);
  Value fragment(Value word);
  void write(ArrayRef<Value> sums);
  Value number(float value);

  KernelBuilder &b;
  IdxRouteOp op;
  const RouteLayout &layout;
  const RouterOperands &operands;
  Type element;
  /// H; steps of 32 of it whose loads are in flight together; lanes' groups of
  /// eight tokens; warps that share 16 experts.
  int64_t depth, stepsAtOnce, groups, parts;
  bool byDepth;
  Value lane, warp, inQuad, quad;
  // Where this lane stands.
  Value firstRow, numTokens;
  Values tokens; // the first of its two results of each eight
  Values tokenRows;
  Value experts[2], weightRows[2];
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_ROUTERPRODUCT_H
