// The arithmetic of the tensor cores.
//
// Every kernel at every CPU level against the definition, on values that make
// alignment, cancellation, subnormals, overflow and special values likely.
// What a real H100 computed is compared by test/PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductReference.h"
#include "Tensor/Fragment.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

using namespace ptx;
using namespace ptx::tensor;
using namespace ptx::test;

namespace {

struct Level {
  const char *name;
  const Kernels *kernels;
  bool available;
};

std::vector<Level> levels() {
  __builtin_cpu_init();
  return {{"baseline", &kBaselineKernels, true},
          {"avx2", &kAvx2Kernels, !!__builtin_cpu_supports("x86-64-v3")},
          {"avx512", &kAvx512Kernels, !!__builtin_cpu_supports("x86-64-v4")}};
}

using Random = std::mt19937;

/// Bit patterns near one another in exponent, now and then anything.
uint32_t randomElement(Format format, Random &random, unsigned kind) {
  if (isInteger(format))
    return random() & (bitsOf(format) == 32 ? ~0u : (1u << bitsOf(format)) - 1);
  const FormatInfo f = infoOf(format);
  const unsigned bits = f.exponentBits + f.fractionBits + 1;
  const int bias = (1 << (f.exponentBits - 1)) - 1;
  uint32_t x = random() & ((1u << bits) - 1);
  if (kind != 0) {
    int spread = kind == 1 ? 3 : kind == 2 ? 12 : 1;
    int exponent =
        kind == 3 ? static_cast<int>(random() % 2)
                  : bias + static_cast<int>(random() % (2 * spread)) - spread;
    exponent = std::clamp(exponent, 0, (1 << f.exponentBits) - 2);
    x = (random() & 1) << (bits - 1) |
        static_cast<uint32_t>(exponent) << f.fractionBits |
        (random() & ((1u << f.fractionBits) - 1));
    if (random() % 8 == 0)
      x &= 1u << (bits - 1);
  }
  return format == Format::TF32 ? x << 13 | (random() & 0x1fff) : x;
}

uint32_t randomAccumulator(Accumulator format, Random &random, unsigned kind) {
  if (format == Accumulator::S32)
    return random() % 3 ? random() : 0x7fffffff - random() % 64;
  if (format == Accumulator::F16)
    return randomElement(Format::F16, random, kind);
  if (kind == 0)
    return random();
  uint32_t exponent = kind == 3 ? random() % 40 : 127 - 26 + random() % 40;
  return random() % 8 == 0 ? 0 : (random() & 0x807fffff) | exponent << 23;
}

Operands randomOperands(const Product &p, Random &random) {
  Operands o;
  const unsigned kind = random() % 4;
  auto matrix = [&](unsigned count, Format format) {
    std::vector<std::vector<uint32_t>> lines(count);
    for (auto &line : lines)
      for (unsigned k = 0; k < p.depth; ++k)
        line.push_back(randomElement(format, random, kind));
    return lines;
  };
  o.rows = matrix(p.blocks * 16, p.a);
  o.columns = matrix(p.columns, p.b);
  o.c.resize(o.rows.size());
  for (auto &line : o.c)
    for (unsigned n = 0; n < p.columns; ++n)
      line.push_back(randomAccumulator(p.c, random, kind));
  o.pack(p);
  return o;
}

void expectReference(const Product &p, const Level &level, unsigned rounds) {
  Random random(p.depth * 131 + static_cast<unsigned>(p.a) * 7 + p.columns);
  for (unsigned round = 0; round < rounds; ++round) {
    Operands o = randomOperands(p, random);
    const auto run =
        isInteger(p.a) ? level.kernels->integer : level.kernels->exact;
    run(p, o.packedRows.data(), o.packedColumns.data(), o.packedC.data());
    for (unsigned m = 0; m < p.blocks * 16; ++m)
      for (unsigned n = 0; n < p.columns; ++n) {
        uint32_t want =
            isInteger(p.a)
                ? integerReference(p, o.rows[m], o.columns[n], o.c[m][n])
                : fusedReference(p, o.rows[m], o.columns[n], o.c[m][n]);
        ASSERT_EQ(o.result(p, m, n), want) << level.name << " round " << round
                                           << " row " << m << " column " << n;
      }
  }
}

Product product(Format a, Format b, Accumulator c, Accumulator d, unsigned k,
                Rule rule) {
  Product p;
  p.a = a;
  p.b = b;
  p.c = c;
  p.d = d;
  p.depth = k;
  p.rule = rule;
  return p;
}

class ProductTest : public testing::TestWithParam<unsigned> {};

TEST_P(ProductTest, FusedSumOfEveryFormat) {
  const unsigned sm = GetParam();
  const struct {
    Format a, b;
    unsigned k;
  } formats[] = {
      {Format::F16, Format::F16, 16},   {Format::F16, Format::F16, 8},
      {Format::BF16, Format::BF16, 16}, {Format::BF16, Format::BF16, 8},
      {Format::TF32, Format::TF32, 8},  {Format::TF32, Format::TF32, 4},
      {Format::E4M3, Format::E4M3, 32}, {Format::E4M3, Format::E5M2, 32},
      {Format::E5M2, Format::E4M3, 16}, {Format::E5M2, Format::E5M2, 32}};
  for (const Level &level : levels()) {
    if (!level.available)
      continue;
    for (const auto &f : formats)
      for (Family family : {Family::Mma, Family::Wgmma})
        for (Accumulator d : {Accumulator::F32, Accumulator::F16}) {
          Product p = product(f.a, f.b, d, d, f.k, ruleFor(family, sm, f.a));
          expectReference(p, level, 12);
          p.negate = true;
          expectReference(p, level, 2);
        }
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, ProductTest,
                         testing::Values(75, 80, 89, 90, 100, 120));

/// 1 and four times 2^-25: Hopper keeps 25 bits below the largest term, what
/// came before it 24, so that each of the four is cut to nothing.
TEST(Product, TermsAreCutByArchitecture) {
  for (const Level &level : levels())
    for (unsigned sm : {75, 80, 89, 90}) {
      if (!level.available)
        continue;
      Product p =
          product(Format::F16, Format::F16, Accumulator::F32, Accumulator::F32,
                  16, ruleFor(Family::Mma, sm, Format::F16, false));
      Random random(1);
      Operands o = randomOperands(p, random);
      auto clear = [](auto &lines) {
        for (auto &line : lines)
          std::fill(line.begin(), line.end(), 0u);
      };
      clear(o.rows), clear(o.columns), clear(o.c);
      const uint32_t one = 0x3c00, left = 3 << 10 /* 2^-12 */, right = 2 << 10;
      o.rows[0] = {one, left, left, left, left, 0, 0, 0,
                   0,   0,    0,    0,    0,    0, 0, 0};
      o.columns[0] = {one, right, right, right, right, 0, 0, 0,
                      0,   0,     0,     0,     0,     0, 0, 0};
      o.pack(p);
      level.kernels->exact(p, o.packedRows.data(), o.packedColumns.data(),
                           o.packedC.data());
      EXPECT_EQ(o.result(p, 0, 0), sm == 90 ? 0x3f800001u : 0x3f800000u)
          << level.name << " sm_" << sm;
    }
}

TEST(Product, SparseStepsCoverTwiceTheDepth) {
  for (const Level &level : levels())
    if (level.available)
      for (unsigned sm : {80, 90}) {
        expectReference(product(Format::F16, Format::F16, Accumulator::F32,
                                Accumulator::F32, 32,
                                ruleFor(Family::Mma, sm, Format::F16, true)),
                        level, 8);
        expectReference(product(Format::E4M3, Format::E4M3, Accumulator::F32,
                                Accumulator::F32, 64,
                                ruleFor(Family::Mma, sm, Format::E4M3, true)),
                        level, 8);
      }
}

TEST(Product, AccumulatorsMayDiffer) {
  for (const Level &level : levels())
    if (level.available)
      for (unsigned sm : {75, 80, 90})
        for (bool half : {false, true})
          expectReference(product(Format::F16, Format::F16,
                                  half ? Accumulator::F16 : Accumulator::F32,
                                  half ? Accumulator::F32 : Accumulator::F16,
                                  16, ruleFor(Family::Mma, sm, Format::F16)),
                          level, 8);
}

TEST(Product, ManyColumnsAndBlocks) {
  for (const Level &level : levels())
    if (level.available) {
      Product p = product(Format::BF16, Format::BF16, Accumulator::F32,
                          Accumulator::F32, 16,
                          ruleFor(Family::Wgmma, 90, Format::BF16));
      p.blocks = 4;
      for (unsigned n : {8u, 24u, 40u, 256u}) {
        p.columns = n;
        expectReference(p, level, 2);
      }
      p.a = Format::S8;
      p.b = Format::U8;
      p.c = p.d = Accumulator::S32;
      p.depth = 32;
      expectReference(p, level, 2);
    }
}

TEST(Product, IntegersWrapOrClamp) {
  for (const Level &level : levels()) {
    if (!level.available)
      continue;
    for (Format a : {Format::S8, Format::U8, Format::S4, Format::U4})
      for (Format b : {Format::S8, Format::U8, Format::S4, Format::U4})
        for (unsigned k : {16u, 32u, 64u, 128u}) {
          if (bitsOf(a) != bitsOf(b) || k * bitsOf(a) < 128)
            continue;
          Product p = product(a, b, Accumulator::S32, Accumulator::S32, k, {});
          expectReference(p, level, 6);
          p.saturate = true;
          expectReference(p, level, 6);
        }
    for (unsigned k : {128u, 256u})
      for (bool exclusive : {false, true}) {
        Product p = product(Format::B1, Format::B1, Accumulator::S32,
                            Accumulator::S32, k, {});
        p.exclusive = exclusive;
        expectReference(p, level, 6);
      }
  }
}

/// Small integers have one right answer in every mode.
TEST(Product, FastIsExactOnIntegers) {
  Random random(5);
  for (const Level &level : levels()) {
    if (!level.available)
      continue;
    for (Format format :
         {Format::F16, Format::BF16, Format::TF32, Format::E4M3, Format::E5M2})
      for (Accumulator d : {Accumulator::F32, Accumulator::F16}) {
        Product p = product(format, format, d, d, 128 / bitsOf(format) * 2,
                            ruleFor(Family::Mma, 90, format));
        p.columns = 24;
        Operands o;
        // 0, +-1, +-2, exactly in each format.
        const FormatInfo f = infoOf(format);
        const uint32_t bias = (1u << (f.exponentBits - 1)) - 1;
        const unsigned up = format == Format::TF32 ? 13 : 0;
        auto element = [&] {
          uint32_t magnitude[] = {0, bias << f.fractionBits,
                                  (bias + 1) << f.fractionBits};
          return (magnitude[random() % 3] |
                  (random() & 1) << (f.exponentBits + f.fractionBits))
                 << up;
        };
        o.rows.assign(16, std::vector<uint32_t>(p.depth));
        o.columns.assign(p.columns, std::vector<uint32_t>(p.depth));
        o.c.assign(16, std::vector<uint32_t>(p.columns));
        for (auto *side : {&o.rows, &o.columns})
          for (auto &line : *side)
            for (uint32_t &x : line)
              x = element();
        o.pack(p);
        Operands fast = o;
        level.kernels->exact(p, o.packedRows.data(), o.packedColumns.data(),
                             o.packedC.data());
        level.kernels->fast(p, fast.packedRows.data(),
                            fast.packedColumns.data(), fast.packedC.data());
        for (unsigned m = 0; m < 16; ++m)
          for (unsigned n = 0; n < p.columns; ++n) {
            double sum = 0;
            for (unsigned k = 0; k < p.depth; ++k)
              sum += valueOf(format, o.rows[m][k]) *
                     valueOf(format, o.columns[n][k]);
            uint32_t bits = o.result(p, m, n);
            float value;
            std::memcpy(&value, &bits, 4);
            double got = d == Accumulator::F16 ? valueOf(Format::F16, bits)
                                               : double{value};
            ASSERT_EQ(got, sum);
            ASSERT_EQ(valueOf(Format::F16, 0), 0);
            // -0 can come of the ordinary addition only.
            uint32_t sign = d == Accumulator::F16 ? 0x8000 : 0x80000000;
            uint32_t other = fast.result(p, m, n);
            ASSERT_EQ(bits & ~sign, other & ~sign) << level.name;
            if (sum != 0) {
              ASSERT_EQ(bits, other);
            }
          }
      }
  }
}

/// The fast mode on random data: within the rounding of K additions, NaN and
/// infinity where the exact mode has them.
TEST(Product, FastIsCloseToExact) {
  Random random(9);
  for (const Level &level : levels()) {
    if (!level.available)
      continue;
    Product p =
        product(Format::BF16, Format::BF16, Accumulator::F32, Accumulator::F32,
                16, ruleFor(Family::Mma, 90, Format::BF16));
    for (unsigned round = 0; round < 50; ++round) {
      Operands o = randomOperands(p, random);
      level.kernels->fast(p, o.packedRows.data(), o.packedColumns.data(),
                          o.packedC.data());
      for (unsigned m = 0; m < 16; ++m)
        for (unsigned n = 0; n < 8; ++n) {
          float c, got;
          uint32_t bits = o.result(p, m, n);
          std::memcpy(&c, &o.c[m][n], 4);
          std::memcpy(&got, &bits, 4);
          double sum = c, size = std::fabs(c);
          for (unsigned k = 0; k < p.depth; ++k) {
            double term =
                valueOf(p.a, o.rows[m][k]) * valueOf(p.b, o.columns[n][k]);
            sum += term;
            size += std::fabs(term);
          }
          if (std::isnan(sum)) {
            EXPECT_EQ(bits, 0x7fffffffu);
          } else if (size < 1e38) {
            EXPECT_LE(std::fabs(got - sum), size * 0x1p-19 + 1e-44);
          }
        }
    }
  }
}

TEST(Product, DoublesAreChainsOfFusedMultiplyAdds) {
  Random random(3);
  for (const Level &level : levels()) {
    if (!level.available)
      continue;
    for (unsigned round = 0; round < 40; ++round) {
      std::vector<double> a(16 * 16), b(8 * 16), c(8 * 16);
      for (auto *side : {&a, &b, &c})
        for (double &x : *side)
          x = std::ldexp(static_cast<double>(static_cast<int32_t>(random())),
                         static_cast<int>(random() % 80) - 40);
      std::vector<double> d = c;
      level.kernels->f64(16, 8, a.data(), b.data(), d.data());
      for (unsigned n = 0; n < 8; ++n)
        for (unsigned m = 0; m < 16; ++m) {
          double want = c[n * 16 + m];
          for (unsigned k = 0; k < 16; ++k)
            want = std::fma(a[k * 16 + m], b[n * 16 + k], want);
          ASSERT_EQ(d[n * 16 + m], want);
        }
    }
  }
}

TEST(Product, DoublesKeepThePayloadOfANaN) {
  auto fromBits = [](uint64_t bits) {
    double x;
    std::memcpy(&x, &bits, 8);
    return x;
  };
  auto toBits = [](double x) {
    uint64_t bits;
    std::memcpy(&bits, &x, 8);
    return bits;
  };
  const double na = fromBits(0x7ff0000000000001),
               nb = fromBits(0xfff0000000000002),
               nc = fromBits(0x7ff0000000000003);
  auto one = [&](const Kernels &kernels, double a, double b, double c) {
    std::vector<double> as(16, a), bs(8, b), cs(8 * 16, c);
    kernels.f64(1, 8, as.data(), bs.data(), cs.data());
    return toBits(cs[37]);
  };
  for (const Level &level : levels())
    if (level.available) {
      EXPECT_EQ(one(*level.kernels, na, nb, nc), 0xfff8000000000002);
      EXPECT_EQ(one(*level.kernels, na, 1, nc), 0x7ff8000000000003);
      EXPECT_EQ(one(*level.kernels, na, 1, 1), 0x7ff8000000000001);
      EXPECT_EQ(one(*level.kernels, INFINITY, 0, 1), 0xfff8000000000000);
      EXPECT_EQ(one(*level.kernels, INFINITY, 1, -INFINITY),
                0xfff8000000000000);
    }
}

} // namespace
