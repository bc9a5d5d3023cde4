// Mma.sync, mma.sp and wmma.mma.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Mma.h"

#include "Decode/DecodeContext.h"
#include "Machine/Block.h"
#include "Machine/PoisonPlan.h"
#include "Tensor/MatrixPoison.h"
#include "Tensor/Spelling.h"

#include <string>

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
  for (const char *rounding : {".rz", ".rm", ".rp"})
    if (hasModifier(row, rounding))
      shape.rounding = static_cast<uint8_t>(rounding[2]);
  if (hasModifier(row, ".kind::mxf4") || hasModifier(row, ".kind::mxf4nvf4"))
    shape.a = shape.b = Format::PackedE2M1;
  shape.ue4m3 = hasModifier(row, ".ue4m3");
  if (hasModifier(row, ".block_scale"))
    shape.chunks = hasModifier(row, ".scale_vec::4X") ? 4
                   : shape.a == Format::PackedE2M1    ? 2
                                                      : 1;
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

/// Which byte and which thread of four give the scales of A (\p of 0) or B:
/// empty if the two may be.
static std::string selectorProblem(const MmaShape &shape, unsigned of,
                                   uint64_t byte, uint64_t thread) {
  const char name = of ? 'b' : 'a';
  const unsigned threads = of ? 4 : 2;
  if (byte > 3 || byte % shape.chunks)
    return std::string("byte-id-") + name + " is " + std::to_string(byte) +
           ": it must be " +
           (shape.chunks == 1   ? "0 to 3"
            : shape.chunks == 2 ? "0 or 2"
                                : "0") +
           " with " + std::to_string(shape.chunks) + " scales a row";
  if (thread >= threads)
    return std::string("thread-id-") + name + " is " + std::to_string(thread) +
           ": it must be 0 to " + std::to_string(threads - 1);
  return {};
}

/// Refuses selectors that are wrong constants.
static void checkScaleSelectors(const DecodeContext &context,
                                const MmaExtra &extra, unsigned firstSource) {
  for (unsigned of : {0, 1}) {
    const unsigned at = firstSource + extra.scales + 3 * of + 1;
    std::string problem =
        selectorProblem(extra.shape, of, context.constant(at).value_or(0),
                        context.constant(at + 1).value_or(0));
    if (!problem.empty())
      context.fail(std::move(problem));
  }
}

void decodeMma(DecodeContext &context, Instruction &in) {
  MmaExtra extra;
  extra.shape = mmaShapeOf(*in.row);
  extra.registersOfA = extra.shape.registersOfA();
  extra.registersOfB = extra.shape.registersOfB();
  const unsigned behindC = in.resultCount + extra.registersOfA +
                           extra.registersOfB +
                           extra.shape.registersOf(extra.shape.c);
  if (extra.shape.sparse)
    extra.selector =
        static_cast<unsigned>(context.constant(behindC + 1).value_or(0));
  if (extra.shape.chunks) {
    extra.scales = behindC + (extra.shape.sparse ? 2 : 0) - in.resultCount;
    checkScaleSelectors(context, extra, in.resultCount);
  }
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

constexpr unsigned kMostSources = 3 * 8 + 2 + 6;

/// The scales of a block, as selected.
struct SelectedScales {
  uint32_t rows[kRows], columns[8];
};

/// The lane that holds the scales of row (or column) \p line.
unsigned laneOfScale(unsigned of, unsigned line, unsigned thread) {
  return of ? 4 * line + thread : 4 * (line % 8) + 2 * thread + line / 8;
}

/// A selector, which all lanes must agree on.
unsigned uniform(Warp &warp, const Instruction &in, const uint32_t *lanes) {
  for (unsigned l = 1; l < kLanes; ++l)
    if (lanes[l] != lanes[0])
      warp.fail(FindingKind::IllegalInstruction, in, LaneMask{1} << l,
                "the lanes select the scales differently");
  return lanes[0];
}

/// Picks the scales of A and B; \p sources: those of the instruction.
void selectScales(Warp &warp, const Instruction &in, const MmaExtra &extra,
                  Registers sources, SelectedScales &out) {
  for (unsigned of : {0, 1}) {
    Registers at = sources + extra.scales + 3 * of;
    const unsigned byte = uniform(warp, in, at[1]),
                   thread = uniform(warp, in, at[2]);
    std::string problem = selectorProblem(extra.shape, of, byte, thread);
    if (!problem.empty())
      warp.fail(FindingKind::IllegalInstruction, in, kAllLanes,
                std::move(problem));
    uint32_t *to = of ? out.columns : out.rows;
    for (unsigned line = 0; line < (of ? 8 : kRows); ++line)
      to[line] = at[0][laneOfScale(of, line, thread)] >> 8 * byte;
  }
}

/// Rows and columns whose scales are undefined. Undefined selectors spoil all.
void addScalePoison(const Warp &warp, const Instruction &in,
                    const MmaExtra &extra, UndefinedLines &lines) {
  for (unsigned of : {0, 1}) {
    const unsigned at = in.resultCount + extra.scales + 3 * of;
    const LaneMask data = anyPoison(warp, in, at);
    const bool unknown =
        anyPoison(warp, in, at + 1) || anyPoison(warp, in, at + 2);
    const unsigned thread = warp.lanes<uint32_t>(in.operand[at + 2])[0];
    for (unsigned line = 0; line < (of ? 8 : kRows); ++line)
      if (unknown || data >> laneOfScale(of, line, thread) & 1) {
        if (of)
          lines.columns.set(line);
        else
          lines.rows.set(line);
      }
  }
}

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
  if (shape.chunks)
    addScalePoison(warp, in, extra, lines);
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
  const bool poisoned = warp.poison && anySourcePoison(warp, in);
  if (extra.warp && !poisoned &&
      warp.block->grid->options->tensor == TensorMode::Fast) {
    for (unsigned i = 0; warp.poison && i < in.resultCount; ++i)
      writePoison(warp, in, i, kAllLanes, 0);
    return runWarpShape<kernels>(warp, in, extra.shape);
  }
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
  Extras extras;
  if (shape.sparse)
    extras = {c[shape.registersOf(shape.c)], extra.selector, {}};
  alignas(64) SelectedScales scales;
  if (shape.chunks) {
    selectScales(warp, in, extra, sources, scales);
    extras.scales = {scales.rows, scales.columns, shape.chunks, shape.ue4m3};
  }
  LaneMask undefined[8] = {};
  if (poisoned)
    findPoison(warp, in, extra, undefined);
  multiply(kernels, shape, ruleFor(Family::Mma, grid.sm, shape.a, shape.sparse),
           grid.options->tensor == TensorMode::Exact, shape.swapped ? b : a,
           shape.swapped ? a : b, c, results, extras);
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
