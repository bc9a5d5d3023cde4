// Mma.sync.m8n8k4 of f16.
//
// Four products at once: lanes 4 q to 4 q + 3 and the sixteen above them hold
// the 8 x 8 x 4 product q; call them threads 0 to 7. A by rows: thread r holds
// row r; by columns: threads k and k + 4 hold the upper and the lower half of
// column k. B by columns and by rows likewise. C and D in f16: thread r holds
// row r; in f32 thread t holds rows t % 2 + 4 (t / 4) and the second below it,
// of columns 2 (t / 2 % 2) and the next, and those four further on.
//
// sm_75 adds up as other instructions do, four products at a time. From sm_80
// on the assembler makes single operations in f32 of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/QuadMma.h"

#include "Decode/DecodeContext.h"
#include "Machine/Block.h"
#include "Machine/PoisonPlan.h"
#include "Tensor/Fragment.h"
#include "Tensor/Spelling.h"

#include <bit>
#include <cmath>

namespace ptx::tensor {
namespace {

constexpr unsigned kDepth = 4, kSize = 8, kQuads = 4;
constexpr uint32_t kNaN = 0x7fffffff;

/// Instruction::extra.
struct QuadShape {
  bool rowsOfA = true, columnsOfB = true; ///< each line in one thread
  bool halfD = false, halfC = false;
};

unsigned laneOf(unsigned quad, unsigned thread) {
  return 4 * quad + thread % 4 + 16 * (thread / 4);
}

/// Where a matrix has an element: thread, register, and which half of it.
struct Place {
  unsigned thread, reg, half;
};
/// Element \p k of row (of A) or column (of B) \p line.
Place placeOfFactor(bool lineInThread, unsigned line, unsigned k) {
  if (lineInThread)
    return {line, k / 2, k % 2};
  return {k + 4 * (line / 4), line % 4 / 2, line % 2};
}
Place placeOfSum(bool half, unsigned row, unsigned column) {
  if (half)
    return {row, column / 2, column % 2};
  return {row % 2 + 4 * (row / 4) + column / 2 % 2 * 2,
          column % 2 + row / 2 % 2 * 2 + column / 4 * 4, 0};
}

/// The operands of one product, as Product wants them, and which of their
/// lines are undefined.
struct Quad {
  alignas(64) uint32_t rows[2 * kRows] = {}; ///< [k / 2][16]
  uint32_t columns[kSize * 2] = {};          ///< [column][k / 2]
  alignas(64) uint32_t sums[kSize * kRows] = {};
  bool badRow[kSize] = {}, badColumn[kSize] = {}, badSum[kSize][kSize] = {};
};

struct Operands {
  Registers a, b, c;
  const LaneMask *poison; ///< of a[0], a[1], b[0], b[1], c[0] ...
};

uint32_t halfAt(Registers registers, unsigned lane, Place place) {
  return registers[place.reg][lane] >> 16 * place.half & 0xffff;
}

void gather(const QuadShape &shape, const Operands &from, unsigned quad,
            Quad &to) {
  auto bad = [&](unsigned reg, unsigned lane) {
    return from.poison[reg] >> lane & 1;
  };
  for (unsigned line = 0; line < kSize; ++line)
    for (unsigned k = 0; k < kDepth; ++k) {
      Place place = placeOfFactor(shape.rowsOfA, line, k);
      unsigned lane = laneOf(quad, place.thread);
      to.rows[k / 2 * kRows + line] |= halfAt(from.a, lane, place)
                                       << 16 * (k % 2);
      to.badRow[line] |= bad(place.reg, lane);
      place = placeOfFactor(shape.columnsOfB, line, k);
      lane = laneOf(quad, place.thread);
      to.columns[2 * line + k / 2] |= halfAt(from.b, lane, place)
                                      << 16 * (k % 2);
      to.badColumn[line] |= bad(2 + place.reg, lane);
    }
  for (unsigned r = 0; r < kSize; ++r)
    for (unsigned n = 0; n < kSize; ++n) {
      const Place place = placeOfSum(shape.halfC, r, n);
      const unsigned lane = laneOf(quad, place.thread);
      to.sums[n * kRows + r] =
          shape.halfC ? halfAt(from.c, lane, place) : from.c[place.reg][lane];
      to.badSum[r][n] =
          bad(4 + place.reg, lane) || to.badRow[r] || to.badColumn[n];
    }
}

/// Writes D; \p undefined gets the lanes of each register.
void scatter(const QuadShape &shape, unsigned quad, const Quad &from,
             MutableRegisters d, LaneMask *undefined) {
  for (unsigned r = 0; r < kSize; ++r)
    for (unsigned n = 0; n < kSize; ++n) {
      const Place place = placeOfSum(shape.halfD, r, n);
      const unsigned lane = laneOf(quad, place.thread);
      uint32_t &word = d[place.reg][lane];
      const uint32_t sum = from.sums[n * kRows + r];
      if (!shape.halfD)
        word = sum;
      else
        word = (word & ~(0xffffu << 16 * place.half)) | sum << 16 * place.half;
      if (from.badSum[r][n])
        undefined[place.reg] |= LaneMask{1} << lane;
    }
}

float fromHalf(uint32_t bits) {
  const uint32_t sign = (bits & 0x8000) << 16, magnitude = bits & 0x7fff;
  if (magnitude >= 0x7c00) // infinities and NaNs
    return std::bit_cast<float>(sign | 0x7f800000 | magnitude << 13);
  const float value = static_cast<float>(magnitude & 0x3ff) * 0x1p-24f;
  if (magnitude < 0x400)
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
  return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
}

/// Rounded to nearest even.
uint32_t toHalf(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return 0x7fff;
  if (magnitude >= 0x477ff000) // beyond the largest by half a place
    return sign | 0x7c00;
  if (magnitude < 0x38800000) // an addition rounds at 2^-24
    return sign |
           (std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) -
            0x3f000000);
  return sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
}

/// One element as machine code of sm_80 and later computes it: with D in f16
/// the products in pairs, else in a chain, each added to C.
uint32_t singleOperations(const QuadShape &shape, const float (&a)[kDepth],
                          const float (&b)[kDepth], uint32_t c) {
  float sum = shape.halfC ? fromHalf(c) : std::bit_cast<float>(c);
  if (shape.halfD) {
    sum += std::fma(a[1], b[1], a[0] * b[0]);
    sum += std::fma(a[3], b[3], a[2] * b[2]);
    return toHalf(sum);
  }
  float chain = 0;
  for (unsigned k = 0; k < kDepth; ++k)
    chain = std::fma(a[k], b[k], chain);
  sum += chain;
  return std::isnan(sum) ? kNaN : std::bit_cast<uint32_t>(sum);
}

void multiplySingly(const QuadShape &shape, Quad &quad) {
  for (unsigned r = 0; r < kSize; ++r)
    for (unsigned n = 0; n < kSize; ++n) {
      float a[kDepth], b[kDepth];
      for (unsigned k = 0; k < kDepth; ++k) {
        a[k] = fromHalf(quad.rows[k / 2 * kRows + r] >> 16 * (k % 2));
        b[k] = fromHalf(quad.columns[2 * n + k / 2] >> 16 * (k % 2));
      }
      uint32_t &sum = quad.sums[n * kRows + r];
      sum = singleOperations(shape, a, b, sum);
    }
}

template <const Kernels &kernels>
void multiplyQuad(const QuadShape &shape, unsigned sm, bool exact, Quad &quad) {
  if (exact && sm >= 80)
    return multiplySingly(shape, quad);
  Product p;
  p.c = shape.halfC ? Accumulator::F16 : Accumulator::F32;
  p.d = shape.halfD ? Accumulator::F16 : Accumulator::F32;
  p.depth = kDepth;
  p.columns = kSize;
  p.rule = ruleFor(Family::Mma, sm, Format::F16);
  (exact ? kernels.exact : kernels.fast)(p, quad.rows, quad.columns, quad.sums);
}

template <const Kernels &kernels>
void handleQuadMma(Warp &warp, const Instruction &in) {
  const auto &shape = *static_cast<const QuadShape *>(in.extra);
  const Grid &grid = *warp.block->grid;
  constexpr unsigned kMost = 4 + 8;
  const uint32_t *sources[kMost];
  LaneMask poison[kMost] = {};
  const unsigned count = in.operandCount - in.resultCount;
  for (unsigned i = 0; i < count; ++i) {
    sources[i] = warp.lanes<uint32_t>(in.source(i));
    if (warp.poison)
      poison[i] = readPoison(warp, in, in.resultCount + i, 0);
  }
  // D may lie where the operands do: all is read first.
  Quad quads[kQuads];
  for (unsigned q = 0; q < kQuads; ++q)
    gather(shape, {sources, sources + 2, sources + 4, poison}, q, quads[q]);
  uint32_t *results[kSize];
  for (unsigned i = 0; i < in.resultCount; ++i)
    results[i] = warp.lanes<uint32_t>(in.operand[i]);
  LaneMask undefined[kSize] = {};
  for (unsigned q = 0; q < kQuads; ++q) {
    multiplyQuad<kernels>(shape, grid.sm,
                          grid.options->tensor == TensorMode::Exact, quads[q]);
    scatter(shape, q, quads[q], results, undefined);
  }
  if (warp.poison)
    for (unsigned i = 0; i < in.resultCount; ++i)
      writePoison(warp, in, i, kAllLanes, undefined[i]);
}

} // namespace

void decodeQuadMma(DecodeContext &context, Instruction &in) {
  const Spelling s = spellingOf(*in.row);
  in.extra = context.keep(QuadShape{s.rows.at(0), !s.rows.at(1),
                                    s.types.at(0) == Type::F16,
                                    s.types.at(3) == Type::F16});
}

HandlerSet quadMmaHandlers() {
  return {handleQuadMma<kBaselineKernels>, handleQuadMma<kAvx2Kernels>,
          handleQuadMma<kAvx512Kernels>};
}

} // namespace ptx::tensor
