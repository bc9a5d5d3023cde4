// Products of 6- and 4-bit floats, and with block scaling.
//
// Every kernel at every CPU level against the definition in exact integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductReference.h"
#include "Tensor/Fragment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace ptx;
using namespace ptx::tensor;
using namespace ptx::test;

namespace {

constexpr Format kNarrow[] = {Format::E4M3, Format::E5M2, Format::E3M2,
                              Format::E2M3, Format::E2M1};

std::vector<const Kernels *> levels() {
  __builtin_cpu_init();
  std::vector<const Kernels *> found = {&kBaselineKernels};
  if (__builtin_cpu_supports("x86-64-v3"))
    found.push_back(&kAvx2Kernels);
  if (__builtin_cpu_supports("x86-64-v4"))
    found.push_back(&kAvx512Kernels);
  return found;
}

using Random = std::mt19937;

/// Everything random, padding of containers too; f32 sums of exponents around
/// \p exponent, now and then zero, an infinity or a NaN.
Operands randomOperands(const Product &p, Random &random, int exponent) {
  Operands o;
  auto matrix = [&](unsigned count, Format format) {
    const uint32_t mask = (1u << bitsOf(format)) - 1;
    std::vector<std::vector<uint32_t>> lines(count);
    const bool sparse = random() % 3 == 0;
    for (auto &line : lines)
      for (unsigned k = 0; k < p.depth; ++k)
        line.push_back(sparse && random() % 4 ? 0 : random() & mask);
    return lines;
  };
  o.rows = matrix(16, p.a);
  o.columns = matrix(p.columns, p.b);
  o.c.resize(16);
  for (auto &line : o.c)
    for (unsigned n = 0; n < p.columns; ++n) {
      if (p.c == Accumulator::F16) {
        line.push_back(random() & 0xffff);
        continue;
      }
      const int field = std::clamp(
          127 + exponent - 30 + static_cast<int>(random() % 60), 0, 254);
      uint32_t c = (random() & 0x807fffff) | static_cast<uint32_t>(field) << 23;
      const unsigned kind = random() % 32;
      line.push_back(kind == 0   ? 0
                     : kind == 1 ? 0x7f800000 | (random() & 0x80000000)
                     : kind == 2 ? 0x7fc00001
                                 : c);
    }
  o.pack(p);
  return o;
}

Product narrow(Format a, Format b, Accumulator d, unsigned sm) {
  Product p;
  p.a = a;
  p.b = b;
  p.c = p.d = d;
  p.depth = 32;
  p.rule = ruleFor(Family::Mma, sm, a);
  return p;
}

TEST(ScaledProduct, SmallFormatsAddUpInOneSum) {
  Random random(1);
  for (const Kernels *kernels : levels())
    for (Format a : kNarrow)
      for (Format b : kNarrow)
        for (Accumulator d : {Accumulator::F32, Accumulator::F16})
          for (unsigned round = 0; round < 4; ++round) {
            const Product p = narrow(a, b, d, 120);
            ASSERT_EQ(p.rule.fraction, 25);
            ASSERT_FALSE(p.rule.splitPairs);
            Operands o = randomOperands(p, random, 0);
            kernels->exact(p, o.packedRows.data(), o.packedColumns.data(),
                           o.packedC.data());
            for (unsigned m = 0; m < 16; ++m)
              for (unsigned n = 0; n < p.columns; ++n)
                ASSERT_EQ(o.result(p, m, n),
                          fusedReference(p, o.rows[m], o.columns[n], o.c[m][n]))
                    << unsigned(a) << " " << unsigned(b) << " row " << m
                    << " column " << n;
          }
}

/// Scale words of sixteen rows and eight columns: random within \p spread of
/// \p around, and sometimes anything.
struct RandomScales {
  uint32_t rows[16], columns[8];
  RandomScales(Random &random, unsigned around, unsigned spread) {
    auto fill = [&](uint32_t &word) {
      word = 0;
      for (unsigned i = 0; i < 4; ++i) {
        unsigned byte = around + random() % (2 * spread) - spread;
        if (random() % 16 == 0)
          byte = random();
        word |= (byte & 255) << 8 * i;
      }
    };
    std::for_each(rows, rows + 16, fill);
    std::for_each(columns, columns + 8, fill);
  }
};

TEST(ScaledProduct, PowersOfTwoMoveTheProducts) {
  Random random(2);
  for (const Kernels *kernels : levels())
    for (Format a : kNarrow)
      for (Format b : kNarrow)
        for (unsigned around : {127u, 60u, 190u, 8u, 240u}) {
          Product p = narrow(a, b, Accumulator::F32, 120);
          RandomScales scales(random, around, 8);
          p.scales = {scales.rows, scales.columns, 1, false};
          const int sum = 2 * (static_cast<int>(around) - 127);
          Operands o = randomOperands(p, random, sum);
          kernels->exact(p, o.packedRows.data(), o.packedColumns.data(),
                         o.packedC.data());
          for (unsigned m = 0; m < 16; ++m)
            for (unsigned n = 0; n < p.columns; ++n)
              ASSERT_EQ(o.result(p, m, n),
                        fusedReference(p, o.rows[m], o.columns[n], o.c[m][n],
                                       scales.rows[m] & 255,
                                       scales.columns[n] & 255))
                  << unsigned(a) << " " << unsigned(b) << " scales near "
                  << around << " row " << m << " column " << n;
        }
}

Product packed(unsigned depth, unsigned chunks, const RandomScales &scales) {
  Product p;
  p.a = p.b = Format::PackedE2M1;
  p.depth = depth;
  p.rule = ruleFor(Family::Mma, 120, p.a, depth == 128);
  p.scales = {scales.rows, scales.columns, static_cast<uint8_t>(chunks),
              chunks == 4};
  return p;
}

TEST(ScaledProduct, GroupsOfPackedNumbers) {
  Random random(3);
  for (const Kernels *kernels : levels())
    for (unsigned depth : {64u, 128u})
      for (unsigned chunks : {2u, 4u})
        for (unsigned round = 0; round < 40; ++round) {
          const unsigned around = chunks == 4 ? random() % 120 : 120;
          RandomScales scales(random, around, chunks == 4 ? 9 : 20);
          const Product p = packed(depth, chunks, scales);
          ASSERT_EQ(p.rule.fraction, 35);
          const int sum =
              chunks == 4 ? 2 * (static_cast<int>(around / 8) - 7) : -14;
          Operands o = randomOperands(p, random, sum);
          if (depth == 128) // two of four pairs are zero
            for (auto &row : o.rows)
              for (unsigned k = 0; k < depth; ++k)
                row[k] = k % 8 < 4 ? row[k] : 0;
          o.pack(p);
          kernels->exactGroups(p, o.packedRows.data(), o.packedColumns.data(),
                               o.packedC.data());
          for (unsigned m = 0; m < 16; ++m)
            for (unsigned n = 0; n < p.columns; ++n)
              ASSERT_EQ(o.result(p, m, n),
                        groupReference(p, o.rows[m], o.columns[n], o.c[m][n],
                                       scales.rows[m], scales.columns[n]))
                  << depth << " " << chunks << " round " << round << " row "
                  << m << " column " << n;
        }
}

/// 35 bits below the larger of C and the scales are kept: of two groups of
/// 2^-34 and 2^-36 beside 1, the second is cut.
TEST(ScaledProduct, GroupsAreCutBelowTheLargestScale) {
  for (const Kernels *kernels : levels()) {
    Random random(4);
    RandomScales scales(random, 127, 1);
    for (uint32_t &word : scales.columns)
      word = 127 | 127 << 8;
    scales.rows[0] = 127 | (127 - 34) << 8;
    scales.rows[1] = 127 | (127 - 36) << 8;
    const Product p = packed(64, 2, scales);
    Operands o = randomOperands(p, random, 0);
    for (auto *side : {&o.rows, &o.columns})
      for (auto &line : *side)
        std::fill(line.begin(), line.end(), 0u);
    // 1 * 1 - 1 * 1 in the first groups of a chunk of scale one, 1 in the
    // second chunk.
    for (unsigned m : {0, 1})
      o.rows[m][0] = 2, o.rows[m][16] = 10, o.rows[m][32] = 2;
    for (unsigned k : {0, 16, 32})
      o.columns[0][k] = 2;
    for (auto &line : o.c)
      std::fill(line.begin(), line.end(), 0u);
    o.pack(p);
    kernels->exactGroups(p, o.packedRows.data(), o.packedColumns.data(),
                         o.packedC.data());
    EXPECT_EQ(o.result(p, 0, 0), (127u - 34) << 23);
    EXPECT_EQ(o.result(p, 1, 0), 0u);
  }
}

/// The fast mode: each chunk in f32, then times its scales, added to C.
TEST(ScaledProduct, FastModeAddsChunks) {
  Random random(5);
  for (const Kernels *kernels : levels())
    for (unsigned kind = 0; kind < 3; ++kind)
      for (unsigned round = 0; round < 20; ++round) {
        RandomScales scales(random, kind == 2 ? 60 : 127, 8);
        Product p = packed(64, kind == 2 ? 4 : 2, scales);
        if (kind == 0) {
          p = narrow(kNarrow[round % 5], kNarrow[round / 5], Accumulator::F32,
                     120);
          p.scales = {scales.rows, scales.columns, 1, false};
        }
        Operands o = randomOperands(p, random, 0);
        kernels->fastScaled(p, o.packedRows.data(), o.packedColumns.data(),
                            o.packedC.data());
        const unsigned length = p.depth / p.scales.chunks;
        for (unsigned m = 0; m < 16; ++m)
          for (unsigned n = 0; n < p.columns; ++n) {
            float want;
            std::memcpy(&want, &o.c[m][n], 4);
            for (unsigned chunk = 0; chunk < p.scales.chunks; ++chunk) {
              float sum = 0;
              for (unsigned k = chunk * length; k < (chunk + 1) * length; ++k)
                sum = std::fmaf(
                    static_cast<float>(valueOf(p.a, o.rows[m][k])),
                    static_cast<float>(valueOf(p.b, o.columns[n][k])), sum);
              const double scale =
                  scaleValue(p.scales.ue4m3,
                             scales.rows[m] >> 8 * chunk & 255) *
                  scaleValue(p.scales.ue4m3,
                             scales.columns[n] >> 8 * chunk & 255);
              want = static_cast<float>(sum * scale + want);
            }
            uint32_t bits;
            std::memcpy(&bits, &want, 4);
            ASSERT_EQ(o.result(p, m, n), std::isnan(want) ? 0x7fffffff : bits)
                << kind << " round " << round << " row " << m << " column "
                << n;
          }
      }
}

} // namespace
