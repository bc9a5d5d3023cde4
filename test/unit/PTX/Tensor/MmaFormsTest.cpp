// Every form of mma.sync, mma.sp and wmma.
//
// Walks the instruction table: each form is executed by the machine on small
// integers, which every rule keeps exact, and compared with A * B + C. The
// layouts are written down here once more, from the manual.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FormRun.h"
#include "Tensor/Spelling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <utility>

using namespace ptx;
using namespace ptx::test;

namespace {

/// What the row says, straight from its modifiers.
struct Form {
  tensor::Spelling s;
  Type d, a, b, c;
  bool has(const Row &row, const char *modifier) const {
    return std::find(row.written.begin(), row.written.end(), modifier) !=
           row.written.end();
  }
};

Form formOf(const Row &row) {
  Form form;
  form.s = tensor::spellingOf(row);
  form.d = form.s.types.at(0);
  if (form.s.types.size() == 4) {
    form.a = form.s.types[1];
    form.b = form.s.types[2];
    form.c = form.s.types[3];
  } else {
    form.c = form.s.types.at(1);
    form.a = form.b = Type::F16;
  }
  return form;
}

unsigned perRegister(Type type) {
  return type == Type::F64 ? 1 : 32 / bitWidth(type);
}

/// Fragment A of m x k (or compressed k).
void packA(const Matrix &a, Type type, Registers &out) {
  const unsigned e = perRegister(type), groups = a.rows / 8;
  for (unsigned i = 0; i < out.count; ++i)
    for (unsigned l = 0; l < 32; ++l)
      for (unsigned j = 0; j < e; ++j)
        out.set(i, l, j, bitWidth(type),
                encode(type, a.at(l / 4 + 8 * (i % groups),
                                  e * (l % 4) + 4 * e * (i / groups) + j)));
}

void packB(const Matrix &b, Type type, Registers &out) {
  const unsigned e = perRegister(type);
  for (unsigned i = 0; i < out.count; ++i)
    for (unsigned l = 0; l < 32; ++l)
      for (unsigned j = 0; j < e; ++j)
        out.set(i, l, j, bitWidth(type),
                encode(type, b.at(e * (l % 4) + 4 * e * i + j, l / 4)));
}

/// Calls body(register, lane, element, row, column) for C and D.
template <class Body> void forEachOfC(unsigned m, Type type, Body body) {
  const bool packed = type == Type::F16;
  for (unsigned i = 0; i < m / 8 * (packed ? 1 : 2); ++i)
    for (unsigned l = 0; l < 32; ++l)
      for (unsigned j = 0; j < (packed ? 2 : 1); ++j)
        body(i, l, j, l / 4 + 8 * (packed ? i : i / 2),
             2 * (l % 4) + (packed ? j : i % 2));
}

void runMma(const Row &row, unsigned selector, std::mt19937 &random) {
  const Form form = formOf(row);
  const bool sparse = row.operands.size() == 6;
  Matrix a(form.s.m, form.s.k), b(form.s.k, 8), c(form.s.m, 8);
  fillFor(form.a, a, random);
  fillFor(form.b, b, random);
  c.fill(random, -9, 9);
  Registers ra(row.operands[1].count, form.a),
      rb(row.operands[2].count, form.b), rc(row.operands[3].count, form.c),
      rd(row.operands[0].count, form.d), re(1, Type::B32);
  std::string tail;
  if (sparse) {
    Sparse s = makeSparse(form.a, form.s.m, form.s.k, selector, random);
    a = s.dense;
    packA(s.compressed, form.a, ra);
    re = s.metadata;
    tail = ", e0, " + std::to_string(selector);
  } else {
    packA(a, form.a, ra);
  }
  packB(b, form.b, rb);
  forEachOfC(form.s.m, form.c, [&](auto i, auto l, auto j, auto r, auto n) {
    rc.set(i, l, j, bitWidth(form.c), encode(form.c, c.at(r, n)));
  });
  std::string body = loadRegisters("a", ra) + loadRegisters("b", rb) +
                     loadRegisters("c", rc) + loadRegisters("d", rd) +
                     loadRegisters("e", re);
  body += spelled(row) + " " + list("d", rd.count) + ", " +
          list("a", ra.count) + ", " + list("b", rb.count) + ", " +
          list("c", rc.count) + tail + ";\n" + storeRegisters("d", rd);
  runEntry(body, {"a", "b", "c", "d", "e"},
           {&ra.data, &rb.data, &rc.data, &rd.data, &re.data}, 32, 0,
           Completion::Latest, targetOf(row));
  if (form.has(row, ".xor"))
    for (unsigned r = 0; r < a.rows; ++r) // |x ^ y| = x + y - 2 x y
      for (unsigned n = 0; n < 8; ++n)
        for (unsigned k = 0; k < a.columns; ++k)
          c.at(r, n) += a.at(r, k) + b.at(k, n) - 3 * a.at(r, k) * b.at(k, n);
  const Matrix want = product(a, b, c);
  forEachOfC(form.s.m, form.d, [&](auto i, auto l, auto j, auto r, auto n) {
    ASSERT_EQ(decode(form.d, rd.get(i, l, j, bitWidth(form.d))), want.at(r, n))
        << spelled(row) << " row " << r << " column " << n;
  });
}

bool hasKind(const Row &row) {
  return spelled(row).find(".kind::") != std::string::npos;
}

TEST(MmaForms, EveryFormOfMmaGivesTheProduct) {
  std::mt19937 random(1);
  unsigned forms = 0;
  for (const auto &row : IsaTable::get().rows()) {
    // NarrowFormsTest.cpp and QuadFormsTest.cpp have the others.
    if (row->opcode != "mma" || hasKind(*row))
      continue;
    if (const Form form = formOf(*row); form.s.m == 8 && form.a == Type::F16)
      continue;
    unsigned selectors = 1;
    if (row->operands.size() == 6)
      selectors = static_cast<unsigned>(row->operands[5].maximum) + 1;
    for (unsigned selector = 0; selector < selectors; ++selector)
      runMma(*row, selector, random);
    ++forms;
  }
  EXPECT_GT(forms, 150u);
}

/// The rounding that a row of f64 says.
int roundingOf(const Row &row) {
  const std::pair<const char *, int> modes[] = {
      {".rz", FE_TOWARDZERO}, {".rm", FE_DOWNWARD}, {".rp", FE_UPWARD}};
  for (const auto &[modifier, mode] : modes)
    if (tensor::hasModifier(row, modifier))
      return mode;
  return FE_TONEAREST;
}

/// Doubles whose products and sums are inexact.
void runDoubles(const Row &row, std::mt19937 &random) {
  const Form form = formOf(row);
  const unsigned m = form.s.m, k = form.s.k, groups = m / 8;
  auto numbers = [&](unsigned count) {
    std::vector<double> all(count);
    for (double &x : all)
      x = std::ldexp(static_cast<double>(static_cast<int>(random())) +
                         static_cast<double>(random()) * 0x1p-32,
                     -30 - static_cast<int>(random() % 4));
    return all;
  };
  const std::vector<double> a = numbers(m * k), b = numbers(k * 8);
  std::vector<double> want = numbers(m * 8);
  Registers ra(row.operands[1].count, Type::F64),
      rb(row.operands[2].count, Type::F64), rc(groups * 2, Type::F64),
      rd(groups * 2, Type::F64);
  auto bits = [](double x) {
    uint64_t word;
    std::memcpy(&word, &x, sizeof word);
    return word;
  };
  for (unsigned l = 0; l < 32; ++l) {
    for (unsigned i = 0; i < ra.count; ++i)
      ra.set(
          i, l, 0, 64,
          bits(a[(l / 4 + 8 * (i % groups)) * k + l % 4 + 4 * (i / groups)]));
    for (unsigned i = 0; i < rb.count; ++i)
      rb.set(i, l, 0, 64, bits(b[(l % 4 + 4 * i) * 8 + l / 4]));
  }
  forEachOfC(m, Type::F64, [&](auto i, auto l, auto j, auto r, auto n) {
    rc.set(i, l, j, 64, bits(want[r * 8 + n]));
  });
  std::string body = loadRegisters("a", ra) + loadRegisters("b", rb) +
                     loadRegisters("c", rc) + loadRegisters("d", rd);
  body += spelled(row) + " " + list("d", rd.count) + ", " +
          list("a", ra.count) + ", " + list("b", rb.count) + ", " +
          list("c", rc.count) + ";\n" + storeRegisters("d", rd);
  runEntry(body, {"a", "b", "c", "d"},
           {&ra.data, &rb.data, &rc.data, &rd.data});
  std::fesetround(roundingOf(row));
  for (unsigned r = 0; r < m; ++r)
    for (unsigned n = 0; n < 8; ++n)
      for (unsigned q = 0; q < k; ++q)
        want[r * 8 + n] = std::fma(a[r * k + q], b[q * 8 + n], want[r * 8 + n]);
  std::fesetround(FE_TONEAREST);
  forEachOfC(m, Type::F64, [&](auto i, auto l, auto j, auto r, auto n) {
    ASSERT_EQ(rd.get(i, l, j, 64), bits(want[r * 8 + n]))
        << spelled(row) << " row " << r << " column " << n;
  });
}

TEST(MmaForms, DoublesRoundAsWritten) {
  std::mt19937 random(3);
  unsigned forms = 0;
  for (const auto &row : IsaTable::get().rows())
    if (row->opcode == "mma" && !hasKind(*row) && formOf(*row).a == Type::F64) {
      ++forms;
      runDoubles(*row, random);
    }
  EXPECT_EQ(forms, 20u);
}

/// Memory of a matrix in either order, with a stride.
std::vector<std::byte> inMemory(const Matrix &x, Type type, bool rows,
                                unsigned stride) {
  const unsigned bits = bitWidth(type);
  const unsigned lines = rows ? x.rows : x.columns;
  std::vector<std::byte> bytes(size_t{lines} * stride * bits / 8);
  for (unsigned r = 0; r < x.rows; ++r)
    for (unsigned c = 0; c < x.columns; ++c) {
      const size_t at =
          size_t{rows ? r : c} * stride * bits + (rows ? c : r) * bits;
      uint64_t word = 0;
      const unsigned size = std::max(bits / 8, 1u);
      std::memcpy(&word, &bytes[at / 8], size);
      word |= encode(type, x.at(r, c)) << at % 8;
      std::memcpy(&bytes[at / 8], &word, size);
    }
  return bytes;
}

std::string wmmaMove(const std::string &kind, bool rows, const Form &form,
                     Type type, const std::string &registers,
                     const std::string &pointer, unsigned stride) {
  const std::string shape = ".m" + std::to_string(form.s.m) + "n" +
                            std::to_string(form.s.n) + "k" +
                            std::to_string(form.s.k);
  const bool load = kind[0] == 'l';
  const std::string address = "[" + pointer + "]";
  return "wmma." + kind + ".sync.aligned" + (rows ? ".row" : ".col") + shape +
         ".global" + std::string(typeName(type)) + " " +
         (load ? registers + ", " + address : address + ", " + registers) +
         ", " + std::to_string(stride) + ";\n";
}

std::string declare(const std::string &name, unsigned count, Type type) {
  return std::string(".reg ") + (type == Type::F64 ? ".b64 " : ".b32 ") + name +
         "<" + std::to_string(count) + ">;\n";
}

void runWmma(const Row &row, bool rowsOfC, bool rowsOfD, std::mt19937 &random) {
  const Form form = formOf(row);
  const unsigned m = form.s.m, n = form.s.n, k = form.s.k;
  Matrix a(m, k), b(k, n), c(m, n);
  fillFor(form.a, a, random);
  fillFor(form.b, b, random);
  c.fill(random, -9, 9);
  const bool rowsOfA = form.s.rows.at(0), rowsOfB = form.s.rows.at(1);
  // Strides beyond the matrix, but for elements below a byte.
  const unsigned extra = bitWidth(form.a) < 8 ? 0 : 16;
  const unsigned strideA = (rowsOfA ? k : m) + extra,
                 strideB = (rowsOfB ? n : k) + extra,
                 strideC = (rowsOfC ? n : m) + 8,
                 strideD = (rowsOfD ? n : m) + 8;
  auto memoryA = inMemory(a, form.a, rowsOfA, strideA);
  auto memoryB = inMemory(b, form.b, rowsOfB, strideB);
  auto memoryC = inMemory(c, form.c, rowsOfC, strideC);
  auto memoryD = inMemory(Matrix(m, n), form.d, rowsOfD, strideD);
  const unsigned counts[] = {row.operands[0].count, row.operands[1].count,
                             row.operands[2].count, row.operands[3].count};
  std::string body =
      declare("d", counts[0], form.d) + declare("a", counts[1], form.a) +
      declare("b", counts[2], form.b) + declare("c", counts[3], form.c);
  body += wmmaMove("load.a", rowsOfA, form, form.a, list("a", counts[1]), "p_a",
                   strideA);
  body += wmmaMove("load.b", rowsOfB, form, form.b, list("b", counts[2]), "p_b",
                   strideB);
  body += wmmaMove("load.c", rowsOfC, form, form.c, list("c", counts[3]), "p_c",
                   strideC);
  body += spelled(row) + " " + list("d", counts[0]) + ", " +
          list("a", counts[1]) + ", " + list("b", counts[2]) + ", " +
          list("c", counts[3]) + ";\n";
  body += wmmaMove("store.d", rowsOfD, form, form.d, list("d", counts[0]),
                   "p_d", strideD);
  runEntry(body, {"a", "b", "c", "d"},
           {&memoryA, &memoryB, &memoryC, &memoryD});
  if (form.has(row, ".xor"))
    for (unsigned r = 0; r < m; ++r)
      for (unsigned q = 0; q < n; ++q)
        for (unsigned i = 0; i < k; ++i)
          c.at(r, q) += a.at(r, i) + b.at(i, q) - 3 * a.at(r, i) * b.at(i, q);
  // Rounded down, x - x is -0.
  for (size_t at = 0; form.d == Type::F64 && at < memoryD.size(); at += 8) {
    double x;
    std::memcpy(&x, &memoryD[at], sizeof x);
    x = x == 0 ? 0 : x;
    std::memcpy(&memoryD[at], &x, sizeof x);
  }
  const auto want = inMemory(product(a, b, c), form.d, rowsOfD, strideD);
  ASSERT_TRUE(memoryD == want) << spelled(row);
}

TEST(MmaForms, EveryFormOfWmmaGivesTheProduct) {
  std::mt19937 random(2);
  unsigned forms = 0;
  for (const auto &row : IsaTable::get().rows()) {
    if (row->opcode != "wmma" || row->written[0] != ".mma")
      continue;
    ++forms;
    for (unsigned orders = 0; orders < 4; ++orders)
      runWmma(*row, orders & 1, orders & 2, random);
  }
  EXPECT_GT(forms, 60u);
}

} // namespace
