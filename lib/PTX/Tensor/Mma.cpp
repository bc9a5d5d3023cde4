// Mma.sync, mma.sp and wmma.mma.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Mma.h"

#include "Decode/DecodeContext.h"
#include "Machine/Block.h"
#include "Machine/PoisonPlan.h"
#include "Tensor/MatrixPoison.h"
#include "Tensor/Spelling.h"

namespace ptx::tensor {

MmaShape mmaShapeOf(const Row &row) {
  const Spelling s = spellingOf(row);
  MmaShape shape;
  shape.m = s.m;
  shape.n = s.n;
  shape.k = s.k;
  shape.d = accumulatorOf(s.types.at(0));
  shape.a = formatOf(s.types.at(1));
  shape.b = formatOf(s.types.at(2));
  shape.c = accumulatorOf(s.types.at(3));
  shape.saturate = hasModifier(row, ".satfinite");
  shape.exclusive = hasModifier(row, ".xor");
  shape.sparse =
      hasModifier(row, ".sp") || hasModifier(row, ".sp::ordered_metadata");
  return shape;
}

MmaShape wmmaShapeOf(const Row &row) {
  const Spelling s = spellingOf(row);
  MmaShape shape;
  if (s.types.size() == 4) {
    shape = mmaShapeOf(row);
  } else { // f16: only D and C are written
    shape.m = s.m;
    shape.n = s.n;
    shape.k = s.k;
    shape.d = accumulatorOf(s.types.at(0));
    shape.c = accumulatorOf(s.types.at(1));
  }
  // A block has sixteen rows: 8 x 32 is computed as its transpose.
  shape.swapped = shape.m == 8 && shape.n == 32;
  if (shape.swapped) {
    std::swap(shape.m, shape.n);
    std::swap(shape.a, shape.b);
  }
  return shape;
}

void decodeMma(DecodeContext &context, Instruction &in) {
  MmaExtra extra;
  extra.shape = mmaShapeOf(*in.row);
  extra.registersOfA = extra.shape.registersOfA();
  extra.registersOfB = extra.shape.registersOfB();
  if (extra.shape.sparse)
    extra.selector = static_cast<unsigned>(
        context.constant(in.operandCount - 1u).value_or(0));
  extra.warp = extra.shape.n == 8 && isWarpShape(extra.shape);
  in.extra = context.keep(extra);
}

void decodeWmmaMma(DecodeContext &context, Instruction &in) {
  MmaExtra extra;
  extra.shape = wmmaShapeOf(*in.row);
  extra.registersOfA = in.row->operands[1].count;
  extra.registersOfB = in.row->operands[2].count;
  in.extra = context.keep(extra);
}

namespace {

constexpr unsigned kMostSources = 3 * 8 + 2;

/// Undefined lanes of a source register, all its words.
LaneMask poisonOf(const Warp &warp, const Instruction &in, unsigned source) {
  return anyPoison(warp, in, in.resultCount + source);
}

/// Whether any lane of any source is undefined, which is rare.
bool anySourcePoison(const Warp &warp, const Instruction &in) {
  LaneMask any = 0;
  for (unsigned i = in.resultCount; i < in.operandCount; ++i)
    if (!(in.operand[i] & kConstant)) {
      const LaneMask *words = warp.poison + in.operand[i] / 128;
      any |= words[0] | (in.width[i] == Width::Double ? words[1] : 0);
    }
  return any != 0;
}

/// What of D is undefined, register by register. A 8 x 32 product is its
/// transpose: the first operand holds columns then.
void findPoison(const Warp &warp, const Instruction &in, const MmaExtra &extra,
                LaneMask *undefined) {
  const MmaShape &shape = extra.shape;
  const unsigned groups = shape.m / 8;
  UndefinedLines lines;
  const unsigned a = shape.swapped ? extra.registersOfA : 0;
  const unsigned b = shape.swapped ? 0 : extra.registersOfA;
  for (unsigned i = 0; i < shape.registersOfA(); ++i)
    lines.addRows(poisonOf(warp, in, a + i), 8 * (i % groups));
  const unsigned perColumns = shape.registersOfB() / (shape.n / 8);
  for (unsigned i = 0; i < shape.registersOfB(); ++i)
    lines.addColumns(poisonOf(warp, in, b + i), 8 * (i / perColumns));
  const unsigned c = extra.registersOfA + extra.registersOfB;
  if (shape.sparse) {
    const LaneMask metadata =
        poisonOf(warp, in, c + shape.registersOf(shape.c));
    lines.addRows(metadata, 0);
    lines.addRows(metadata, 8);
  }
  const bool packed = shape.d == Accumulator::F16;
  for (unsigned i = 0; i < in.resultCount; ++i) {
    undefined[i] = lines.any() ? lines.lanesOf(i, groups, packed) : 0;
    if (shape.c == shape.d)
      undefined[i] |= poisonOf(warp, in, c + i);
    else // a pair of f32 and one f16x2
      undefined[i] |= packed ? poisonOf(warp, in, c + 2 * i) |
                                   poisonOf(warp, in, c + 2 * i + 1)
                             : poisonOf(warp, in, c + i / 2);
  }
}

/// What matrix kernels in the fast mode spend their time with: m16n8.
template <const Kernels &kernels>
void runWarpShape(const Warp &warp, const Instruction &in,
                  const MmaShape &shape) {
  const unsigned quads = shape.words() / 4;
  const Slot *slot = in.operand;
  auto lanes = [&] { return warp.lanes<uint32_t>(*slot++); };
  uint32_t *d[4];
  const uint32_t *a[4], *b[2], *c[4];
  for (uint32_t *&pointer : d)
    pointer = lanes();
  for (unsigned i = 0; i < 2 * quads; ++i)
    a[i] = lanes();
  for (unsigned i = 0; i < quads; ++i)
    b[i] = lanes();
  for (const uint32_t *&pointer : c)
    pointer = lanes();
  kernels.warp(shape.a, quads, a, b, c, d);
}

template <const Kernels &kernels>
void runMma(Warp &warp, const Instruction &in) {
  const auto &extra = *static_cast<const MmaExtra *>(in.extra);
  if (extra.warp && !warp.poison &&
      warp.block->grid->options->tensor == TensorMode::Fast)
    return runWarpShape<kernels>(warp, in, extra.shape);
  const MmaShape &shape = extra.shape;
  const Grid &grid = *warp.block->grid;
  const uint32_t *sources[kMostSources];
  uint32_t *results[8];
  for (unsigned i = 0; i < in.resultCount; ++i)
    results[i] = warp.lanes<uint32_t>(in.operand[i]);
  for (unsigned i = 0; i < in.operandCount - in.resultCount; ++i)
    sources[i] = warp.lanes<uint32_t>(in.source(i));
  Registers a = sources, b = a + extra.registersOfA;
  Registers c = b + extra.registersOfB;
  const uint32_t *metadata =
      shape.sparse ? c[shape.registersOf(shape.c)] : nullptr;
  LaneMask undefined[8] = {};
  if (warp.poison && anySourcePoison(warp, in))
    findPoison(warp, in, extra, undefined);
  multiply(kernels, shape, ruleFor(Family::Mma, grid.sm, shape.a, shape.sparse),
           grid.options->tensor == TensorMode::Exact, shape.swapped ? b : a,
           shape.swapped ? a : b, c, results, metadata, extra.selector);
  if (warp.poison)
    for (unsigned i = 0; i < in.resultCount; ++i)
      writePoison(warp, in, i, kAllLanes, undefined[i]);
}

} // namespace

HandlerSet mmaHandlers() {
  return {runMma<kBaselineKernels>, runMma<kAvx2Kernels>,
          runMma<kAvx512Kernels>};
}

} // namespace ptx::tensor
