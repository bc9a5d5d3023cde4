// Mma.sync.m8n8k4 of f16: its layouts and how it adds up.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FormRun.h"
#include "ProductReference.h"
#include "Tensor/Spelling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

using namespace ptx;
using namespace ptx::test;
using tensor::Accumulator;

namespace {

constexpr unsigned kQuads = 4;

/// Words of 32 lanes: [register][lane].
struct Operand {
  Registers registers;
  bool half;
  Operand(unsigned count, bool half)
      : registers(count, Type::B32), half(half) {}
  void set(unsigned lane, unsigned i, uint64_t bits) {
    registers.set(half ? i / 2 : i, lane, half ? i % 2 : 0, half ? 16 : 32,
                  bits);
  }
  uint32_t get(unsigned lane, unsigned i) const {
    return static_cast<uint32_t>(registers.get(
        half ? i / 2 : i, lane, half ? i % 2 : 0, half ? 16 : 32));
  }
};

/// The places of the manual: row and column of element \p i of a lane, in the
/// matrix of the lane's quad pair.
struct Place {
  unsigned row, column;
};
Place placeOfA(bool rows, unsigned lane, unsigned i) {
  const unsigned high = lane < 16 ? 0 : 4;
  return rows ? Place{lane % 4 + high, i} : Place{i + high, lane % 4};
}
Place placeOfB(bool rows, unsigned lane, unsigned i) {
  const unsigned high = lane < 16 ? 0 : 4;
  return rows ? Place{lane % 4, i + high} : Place{i, lane % 4 + high};
}
Place placeOfC(bool half, unsigned lane, unsigned i) {
  const unsigned high = lane < 16 ? 0 : 4;
  if (half)
    return {lane % 4 + high, i};
  return {(lane & 1) + (i & 2) + high, (i & 4) + (lane & 2) + (i & 1)};
}

unsigned quadOf(unsigned lane) { return lane % 16 / 4; }

struct Form {
  bool rowsOfA, rowsOfB, halfD, halfC;
};

/// Four products of 8 x 8 x 4, as bits.
struct Quads {
  uint32_t a[kQuads][8][4], b[kQuads][4][8], c[kQuads][8][8], d[kQuads][8][8];
};

void run(const Row &row, const Form &form, Quads &q,
         const std::string &target) {
  Operand a(2, true), b(2, true), c(form.halfC ? 4 : 8, form.halfC),
      d(form.halfD ? 4 : 8, form.halfD);
  for (unsigned lane = 0; lane < 32; ++lane) {
    for (unsigned i = 0; i < 4; ++i) {
      Place at = placeOfA(form.rowsOfA, lane, i);
      a.set(lane, i, q.a[quadOf(lane)][at.row][at.column]);
      at = placeOfB(form.rowsOfB, lane, i);
      b.set(lane, i, q.b[quadOf(lane)][at.row][at.column]);
    }
    for (unsigned i = 0; i < 8; ++i) {
      const Place at = placeOfC(form.halfC, lane, i);
      c.set(lane, i, q.c[quadOf(lane)][at.row][at.column]);
    }
  }
  std::string body =
      loadRegisters("a", a.registers) + loadRegisters("b", b.registers) +
      loadRegisters("c", c.registers) + loadRegisters("d", d.registers);
  body += spelled(row) + " " + list("d", d.registers.count) + ", " +
          list("a", 2) + ", " + list("b", 2) + ", " +
          list("c", c.registers.count) + ";\n" +
          storeRegisters("d", d.registers);
  runEntry(body, {"a", "b", "c", "d"},
           {&a.registers.data, &b.registers.data, &c.registers.data,
            &d.registers.data},
           32, 0, Completion::Latest, target);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 8; ++i) {
      const Place at = placeOfC(form.halfD, lane, i);
      q.d[quadOf(lane)][at.row][at.column] = d.get(lane, i);
    }
}

float valueOfHalf(uint32_t bits) {
  return static_cast<float>(test::valueOf(tensor::Format::F16, bits));
}

/// Rounded to nearest even.
uint32_t halfOf(float x) {
  if (std::isnan(x))
    return 0x7fff;
  const uint32_t sign = std::signbit(x) ? 0x8000 : 0;
  const float magnitude = std::fabs(x);
  if (magnitude >= 65520)
    return sign | 0x7c00;
  const int e = magnitude > 0x1p-14f ? std::ilogb(magnitude) : -14;
  const auto places =
      static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - e)));
  return sign | ((static_cast<uint32_t>(e + 14) << 10) + places);
}

/// From sm_80 on: single operations in f32.
uint32_t singly(const Form &form, const uint32_t (&a)[4],
                const uint32_t (&b)[4], uint32_t c) {
  float x[4], y[4], sum;
  for (unsigned k = 0; k < 4; ++k) {
    x[k] = valueOfHalf(a[k]);
    y[k] = valueOfHalf(b[k]);
  }
  std::memcpy(&sum, &c, 4);
  if (form.halfC)
    sum = valueOfHalf(c);
  if (form.halfD) {
    sum = sum + std::fma(x[1], y[1], x[0] * y[0]);
    sum = sum + std::fma(x[3], y[3], x[2] * y[2]);
    return halfOf(sum);
  }
  sum = sum + std::fma(x[3], y[3],
                       std::fma(x[2], y[2], std::fma(x[1], y[1], x[0] * y[0])));
  uint32_t bits;
  std::memcpy(&bits, &sum, 4);
  return std::isnan(sum) ? 0x7fffffff : bits;
}

/// sm_75: one sum of four products and C.
uint32_t fused(const Form &form, const uint32_t (&a)[4], const uint32_t (&b)[4],
               uint32_t c) {
  tensor::Product p;
  p.depth = 4;
  p.c = form.halfC ? Accumulator::F16 : Accumulator::F32;
  p.d = form.halfD ? Accumulator::F16 : Accumulator::F32;
  p.rule = {24, 23, 4, false};
  return fusedReference(p, {a, a + 4}, {b, b + 4}, c);
}

void check(const Row &row, const std::string &target, std::mt19937 &random) {
  const tensor::Spelling s = tensor::spellingOf(row);
  const Form form = {s.rows.at(0), s.rows.at(1), s.types.at(0) == Type::F16,
                     s.types.at(3) == Type::F16};
  // Mostly exponents near one another; now and then anything at all.
  auto half = [&]() -> uint32_t {
    if (random() % 16 == 0)
      return random() & 0xffff;
    return (random() & 0x83ff) | (10 + random() % 10) << 10;
  };
  Quads q;
  for (unsigned i = 0; i < kQuads; ++i) {
    for (auto &line : q.a[i])
      for (uint32_t &x : line)
        x = half();
    for (auto &line : q.b[i])
      for (uint32_t &x : line)
        x = half();
    for (auto &line : q.c[i])
      for (uint32_t &x : line)
        x = form.halfC ? half()
                       : (random() & 0x807fffff) | (115 + random() % 20) << 23;
  }
  run(row, form, q, target);
  for (unsigned i = 0; i < kQuads; ++i)
    for (unsigned r = 0; r < 8; ++r)
      for (unsigned n = 0; n < 8; ++n) {
        const uint32_t b[4] = {q.b[i][0][n], q.b[i][1][n], q.b[i][2][n],
                               q.b[i][3][n]};
        ASSERT_EQ(q.d[i][r][n], (target == "sm_75" ? fused : singly)(
                                    form, q.a[i][r], b, q.c[i][r][n]))
            << spelled(row) << " " << target << " product " << i << " row " << r
            << " column " << n;
      }
}

TEST(QuadForms, EveryFormGivesFourProducts) {
  std::mt19937 random(1);
  unsigned forms = 0;
  for (const auto &row : IsaTable::get().rows()) {
    if (row->opcode != "mma")
      continue;
    const tensor::Spelling s = tensor::spellingOf(*row);
    if (s.m != 8 || s.k != 4 || s.types.at(1) != Type::F16)
      continue;
    ++forms;
    for (const char *target : {"sm_75", "sm_80", "sm_90a"})
      for (unsigned round = 0; round < 4; ++round)
        check(*row, target, random);
  }
  EXPECT_EQ(forms, 12u);
}

} // namespace
