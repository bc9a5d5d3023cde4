// Matrices in the registers of a warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Fragment.h"

#include "Arithmetic/Float64.h"

#include <cassert>
#include <cstring>

namespace ptx::tensor {

Rule ruleFor(Family family, unsigned sm, Format a, bool sparse) {
  Rule rule;
  const unsigned factor = sparse ? 2 : 1;
  if (sm >= 90) {
    // Recorded on an H100: one sum over all of K. Machine code of sm_100 to
    // sm_119 multiplies FP8 by the same instructions; sm_120 has its own.
    if (isFp8(a) && family == Family::Wgmma)
      rule.fraction = rule.keep = 13;
    rule.splitPairs = isFp8(a) && family == Family::Mma && sm < 120;
    // Sums of groups are added there.
    if (a == Format::PackedE2M1)
      rule.fraction = 35;
    return rule;
  }
  rule.fraction = 24;
  rule.step = static_cast<uint8_t>(factor * 8);
  if (a == Format::TF32)
    rule.step = static_cast<uint8_t>(factor * 4);
  if (isFp8(a)) {
    rule.fraction = rule.keep = 13;
    rule.step = static_cast<uint8_t>(factor * 16);
  }
  return rule;
}

unsigned MmaShape::registersOfA() const {
  if (a == Format::F64)
    return m * k / kRows / 2;
  return m * words() / 32 / (sparse ? 2 : 1);
}

unsigned MmaShape::registersOfB() const {
  if (b == Format::F64)
    return n * k / 32;
  return n * words() / 32;
}

unsigned MmaShape::registersOf(Accumulator accumulator) const {
  return m * n / 32 / (accumulator == Accumulator::F16 ? 2 : 1);
}

void gatherA(const Kernels &kernels, unsigned m, unsigned words, Registers a,
             uint32_t *out) {
  const unsigned groups = m / 8; // of eight rows
  for (unsigned row = 0; row < groups; row += 2)
    for (unsigned q = 0; q < words / 4; ++q) {
      Registers first = a + q * groups + row;
      kernels.toRows(first[0], row + 1 < groups ? first[1] : nullptr,
                     out + (row / 2 * words + 4 * q) * kRows, kRows);
    }
}

void gatherB(unsigned n, unsigned words, Registers b, uint32_t *out) {
  for (unsigned column = 0; column < n; ++column)
    for (unsigned q = 0; q < words; q += 4, out += 4)
      std::memcpy(out, b[column / 8 * (words / 4) + q / 4] + 4 * (column % 8),
                  16);
}

void gatherC(const Kernels &kernels, unsigned m, unsigned n, Accumulator type,
             Registers c, uint32_t *out) {
  const unsigned groups = m / 8;
  for (unsigned row = 0; row < groups; row += 2)
    for (unsigned column = 0; column < n; column += 8) {
      uint32_t *to = out + (row / 2 * n + column) * kRows;
      const unsigned at = column / 8 * groups + row;
      const bool two = row + 1 < groups;
      if (type != Accumulator::F16) {
        for (unsigned odd = 0; odd < 2; ++odd)
          kernels.toRows(c[2 * at + odd], two ? c[2 * at + 2 + odd] : nullptr,
                         to + odd * kRows, 2 * kRows);
        continue;
      }
      kernels.toRows(c[at], two ? c[at + 1] : nullptr, to, 2 * kRows);
      for (unsigned t = 0; t < 4; ++t)
        for (unsigned i = 0; i < kRows; ++i) {
          uint32_t pair = to[2 * t * kRows + i];
          to[2 * t * kRows + i] = pair & 0xffff;
          to[(2 * t + 1) * kRows + i] = pair >> 16;
        }
    }
}

void scatterD(const Kernels &kernels, unsigned m, unsigned n, Accumulator type,
              const uint32_t *in, MutableRegisters d) {
  const unsigned groups = m / 8;
  for (unsigned row = 0; row < groups; row += 2)
    for (unsigned column = 0; column < n; column += 8) {
      const uint32_t *from = in + (row / 2 * n + column) * kRows;
      const unsigned at = column / 8 * groups + row;
      const bool two = row + 1 < groups;
      if (type != Accumulator::F16) {
        for (unsigned odd = 0; odd < 2; ++odd)
          kernels.fromRows(from + odd * kRows, 2 * kRows, d[2 * at + odd],
                           two ? d[2 * at + 2 + odd] : nullptr);
        continue;
      }
      alignas(64) uint32_t pairs[4 * kRows];
      for (unsigned t = 0; t < 4; ++t)
        for (unsigned i = 0; i < kRows; ++i)
          pairs[t * kRows + i] =
              from[2 * t * kRows + i] | from[(2 * t + 1) * kRows + i] << 16;
      kernels.fromRows(pairs, kRows, d[at], two ? d[at + 1] : nullptr);
    }
}

namespace {

/// The four bits that place group \p group of four units of row \p row.
/// Units have 16 bits (tf32 counts as two) or 8 (s4 pairs count as one). A row
/// has 4, 8 or 16 groups; which lanes of a quad hold them differs.
unsigned placesOf(const uint32_t *metadata, unsigned unitBits, unsigned groups,
                  unsigned row, unsigned group, unsigned selector) {
  const unsigned quad = 4 * (row % 8), high = row / 8;
  if (unitBits == 16) {
    unsigned lane =
        groups == 4 ? quad + selector : quad + 2 * selector + group / 4;
    return metadata[lane] >> (16 * high + 4 * (group % 4)) & 15;
  }
  unsigned lane =
      groups == 8 ? quad + 2 * selector + high : quad + 2 * (group / 8) + high;
  return metadata[lane] >> 4 * (group % 8) & 15;
}

} // namespace

void spreadSparse(Format format, unsigned words, const uint32_t *compressed,
                  const uint32_t *metadata, unsigned selector, uint32_t *out) {
  const unsigned unitBits = bitsOf(format) >= 16 ? 16 : 8;
  const unsigned perWord = 32 / unitBits, groups = words * perWord / 4;
  const uint32_t mask = (1u << unitBits) - 1;
  std::memset(out, 0, words * kRows * sizeof *out);
  for (unsigned row = 0; row < kRows; ++row)
    for (unsigned group = 0; group < groups; ++group) {
      unsigned places =
          placesOf(metadata, unitBits, groups, row, group, selector);
      for (unsigned j = 0; j < 2; ++j) {
        unsigned from = 2 * group + j, to = 4 * group + (places >> 2 * j & 3);
        uint32_t unit = compressed[from / perWord * kRows + row] >>
                            from % perWord * unitBits &
                        mask;
        uint32_t &word = out[to / perWord * kRows + row];
        unsigned shift = to % perWord * unitBits;
        word = (word & ~(mask << shift)) | unit << shift;
      }
    }
}

namespace {

/// Chains of fused multiply-adds, each rounded in the direction \p R.
template <Round R>
void multiplyRounded(unsigned depth, unsigned columns, const double *a,
                     const double *b, double *c) {
  for (unsigned n = 0; n < columns; ++n)
    for (unsigned m = 0; m < kRows; ++m)
      for (unsigned k = 0; k < depth; ++k)
        c[n * kRows + m] = arithmetic::fmaF64<R>(
            a[k * kRows + m], b[n * depth + k], c[n * kRows + m]);
}

void multiplyDoubles(const Kernels &kernels, const MmaShape &s, Registers a,
                     Registers b, Registers c, MutableRegisters d) {
  alignas(64) double rows[16 * kRows] = {}, columns[8 * 16],
                               sums[8 * kRows] = {};
  const unsigned groups = s.m / 8;
  auto at = [](const uint32_t *lanes, unsigned lane) {
    double x;
    std::memcpy(&x, lanes + 2 * lane, sizeof x);
    return x;
  };
  for (unsigned r = 0; r < s.m; ++r)
    for (unsigned k = 0; k < s.k; ++k)
      rows[k * kRows + r] = at(a[k / 4 * groups + r / 8], 4 * (r % 8) + k % 4);
  for (unsigned n = 0; n < s.n; ++n)
    for (unsigned k = 0; k < s.k; ++k)
      columns[n * s.k + k] = at(b[k / 4], 4 * n + k % 4);
  for (unsigned r = 0; r < s.m; ++r)
    for (unsigned n = 0; n < s.n; ++n)
      sums[n * kRows + r] = at(c[r / 8 * 2 + n % 2], 4 * (r % 8) + n / 2);
  auto run = s.rounding == 'z'   ? multiplyRounded<Round::Zero>
             : s.rounding == 'm' ? multiplyRounded<Round::Down>
             : s.rounding == 'p' ? multiplyRounded<Round::Up>
                                 : kernels.f64;
  run(s.k, s.n, rows, columns, sums);
  for (unsigned r = 0; r < s.m; ++r)
    for (unsigned n = 0; n < s.n; ++n)
      std::memcpy(d[r / 8 * 2 + n % 2] + 2 * (4 * (r % 8) + n / 2),
                  &sums[n * kRows + r], sizeof(double));
}

} // namespace

bool isWarpShape(const MmaShape &s) {
  return s.m == 16 && s.n <= 16 && !s.sparse && s.a == s.b &&
         s.a <= Format::TF32 && s.words() <= 8 && s.c == Accumulator::F32 &&
         s.d == Accumulator::F32;
}

void multiply(const Kernels &kernels, const MmaShape &shape, const Rule &rule,
              bool exact, Registers a, Registers b, Registers c,
              MutableRegisters d, const Extras &extras) {
  if (shape.a == Format::F64)
    return multiplyDoubles(kernels, shape, a, b, c, d);
  if (!exact && isWarpShape(shape)) {
    const unsigned quads = shape.words() / 4;
    // D may lie where the operands of the second half do.
    alignas(64) uint32_t sums[8][32];
    uint32_t *to[8];
    for (unsigned i = 0; i < shape.n / 2; ++i)
      to[i] = sums[i];
    for (unsigned i = 0; i < shape.n / 8; ++i)
      kernels.warp(shape.a, quads, a, b + quads * i, c + 4 * i, to + 4 * i);
    for (unsigned i = 0; i < shape.n / 2; ++i)
      std::memcpy(d[i], sums[i], sizeof sums[i]);
    return;
  }
  Product p;
  p.a = shape.a;
  p.b = shape.b;
  p.c = shape.c;
  p.d = shape.d;
  p.depth = shape.k;
  p.columns = shape.n;
  p.blocks = (shape.m + 15) / 16;
  p.saturate = shape.saturate;
  p.exclusive = shape.exclusive;
  p.rule = rule;
  p.scales = extras.scales;
  const unsigned words = p.words();
  alignas(64) uint32_t rows[kMaxWordsOfA], columns[kMaxWordsOfB],
      sums[kMaxWordsOfC];
  if (shape.sparse) {
    alignas(64) uint32_t compressed[kMaxWordsOfA / 2];
    gatherA(kernels, shape.m, words / 2, a, compressed);
    spreadSparse(shape.a, words, compressed, extras.metadata, extras.selector,
                 rows);
  } else {
    gatherA(kernels, shape.m, words, a, rows);
  }
  gatherB(shape.n, words, b, columns);
  gatherC(kernels, shape.m, shape.n, shape.c, c, sums);
  auto run = isInteger(p.a) ? kernels.integer
             : !exact ? p.scales.chunks ? kernels.fastScaled : kernels.fast
             : p.a == Format::PackedE2M1 ? kernels.exactGroups
                                         : kernels.exact;
  run(p, rows, columns, sums);
  scatterD(kernels, shape.m, shape.n, shape.d, sums, d);
}

} // namespace ptx::tensor
