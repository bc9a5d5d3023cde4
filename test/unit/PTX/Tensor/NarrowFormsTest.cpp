// Every form of mma and mma.sp with a `.kind`.
//
// Walks the instruction table: each form is executed by the machine on small
// integers, which every rule keeps exact, and compared with the product of the
// scaled matrices. What the manual calls padding is random, and so are the
// bytes of scales that nothing selects.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FormRun.h"
#include "Tensor/Spelling.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace ptx;
using namespace ptx::test;

namespace {

bool has(const Row &row, const char *modifier) {
  return tensor::hasModifier(row, modifier);
}

/// What a row says of A and B, straight from its modifiers.
struct Form {
  tensor::Spelling s;
  Type a, b, d;
  bool packed, sparse, ue4m3;
  unsigned chunks = 0; ///< scales of a row

  explicit Form(const Row &row)
      : s(tensor::spellingOf(row)), a(s.types.at(1)), b(s.types.at(2)),
        d(s.types.at(0)), packed(s.k >= 64 && has(row, ".block_scale") &&
                                 !has(row, ".kind::mxf8f6f4")),
        sparse(has(row, ".sp::ordered_metadata")), ue4m3(has(row, ".ue4m3")) {
    if (has(row, ".block_scale"))
      chunks = !packed ? 1 : ue4m3 ? 4 : 2;
  }
  unsigned width() const { return packed ? 4 : 8; }
};

/// An element in its container, padding at random.
uint64_t contained(Type type, unsigned width, int value, std::mt19937 &random) {
  const uint64_t bits = encode(type, value);
  if (width == 4 || bitWidth(type) == 8)
    return bits;
  if (bitWidth(type) == 6)
    return bits | (random() & 3) << 6;
  return bits << 2 | (random() & 3) << 6 | (random() & 3);
}

/// Fragments: word q of a line in lane 4 (line % 8) + q % 4.
void packA(const Matrix &a, Type type, unsigned width, Registers &out,
           std::mt19937 &random) {
  const unsigned e = 32 / width;
  for (unsigned i = 0; i < out.count; ++i)
    for (unsigned l = 0; l < 32; ++l)
      for (unsigned j = 0; j < e; ++j)
        out.set(i, l, j, width,
                contained(type, width,
                          a.at(l / 4 + 8 * (i % 2),
                               e * (l % 4) + 4 * e * (i / 2) + j),
                          random));
}
void packB(const Matrix &b, Type type, unsigned width, Registers &out,
           std::mt19937 &random) {
  const unsigned e = 32 / width;
  for (unsigned i = 0; i < out.count; ++i)
    for (unsigned l = 0; l < 32; ++l)
      for (unsigned j = 0; j < e; ++j)
        out.set(i, l, j, width,
                contained(type, width, b.at(e * (l % 4) + 4 * e * i + j, l / 4),
                          random));
}

/// Which byte and which thread give the scales.
struct Selector {
  unsigned byte = 0, thread = 0;
};

/// Random scales 1, 2, 4 (and 3 in ue4m3) for \p lines rows or columns, and
/// the register that has them.
struct Scales {
  Matrix values;
  Registers data;

  Scales(const Form &form, bool ofA, Selector from, std::mt19937 &random)
      : values(ofA ? 16 : 8, form.chunks), data(1, Type::B32) {
    for (unsigned l = 0; l < 32; ++l)
      data.set(0, l, 0, 32, random());
    for (unsigned line = 0; line < values.rows; ++line)
      for (unsigned j = 0; j < form.chunks; ++j) {
        const unsigned log = random() % 3;
        int value = 1 << log;
        uint64_t bits = 127 + log;
        if (form.ue4m3) {
          value = 1 + static_cast<int>(random() % 4);
          bits = encode(Type::E4M3, value);
        }
        values.at(line, j) = value;
        const unsigned lane = ofA ? 4 * (line % 8) + 2 * from.thread + line / 8
                                  : 4 * line + from.thread;
        data.set(0, lane, from.byte + j, 8, bits);
      }
  }
};

/// Multiplies the elements by the scales of their chunks of K.
void scaleRows(Matrix &a, const Matrix &scales) {
  for (unsigned r = 0; r < a.rows; ++r)
    for (unsigned k = 0; k < a.columns; ++k)
      a.at(r, k) *= scales.at(r, k * scales.columns / a.columns);
}
void scaleColumns(Matrix &b, const Matrix &scales) {
  for (unsigned n = 0; n < b.columns; ++n)
    for (unsigned k = 0; k < b.rows; ++k)
      b.at(k, n) *= scales.at(n, k * scales.columns / b.rows);
}

/// Calls use(register, lane, element, row, column) for C and D.
template <class Use> void forEachOfC(bool half, Use use) {
  for (unsigned i = 0; i < (half ? 2 : 4); ++i)
    for (unsigned l = 0; l < 32; ++l)
      for (unsigned j = 0; j < (half ? 2 : 1); ++j)
        use(i, l, j, l / 4 + 8 * (half ? i : i / 2),
            2 * (l % 4) + (half ? j : i % 2));
}

/// The operands behind C, with the selectors as constants or in registers that
/// \p body gets.
std::string scaleOperands(Selector ofA, Selector ofB, bool inRegisters,
                          std::string &body) {
  auto number = [](unsigned x) { return std::to_string(x); };
  if (!inRegisters)
    return ", x0, {" + number(ofA.byte) + ", " + number(ofA.thread) +
           "}, y0, {" + number(ofB.byte) + ", " + number(ofB.thread) + "}";
  body += ".reg .b16 s<4>;\n";
  const unsigned values[] = {ofA.byte, ofA.thread, ofB.byte, ofB.thread};
  for (unsigned i = 0; i < 4; ++i)
    body += "mov.b16 s" + number(i) + ", " + number(values[i]) + ";\n";
  return ", {x0}, {s0, s1}, {y0}, {s2, s3}";
}

void runNarrow(const Row &row, Selector ofA, Selector ofB, bool inRegisters,
               std::mt19937 &random) {
  const Form form(row);
  Matrix a(16, form.s.k), b(form.s.k, 8), c(16, 8);
  fillFor(form.a, a, random);
  fillFor(form.b, b, random);
  c.fill(random, -9, 9);
  Registers ra(row.operands[1].count, Type::B32),
      rb(row.operands[2].count, Type::B32), rc(row.operands[3].count, form.d),
      rd(row.operands[0].count, form.d), re(1, Type::B32);
  std::string tail;
  if (form.sparse) {
    Sparse s =
        makeSparse(form.packed ? Type::S4 : Type::S8, 16, form.s.k, 0, random);
    a = s.dense;
    packA(s.compressed, form.a, form.width(), ra, random);
    re = s.metadata;
    tail = ", e0, 0";
  } else {
    packA(a, form.a, form.width(), ra, random);
  }
  packB(b, form.b, form.width(), rb, random);
  Form unscaled = form;
  unscaled.chunks = std::max(unscaled.chunks, 1u);
  Scales sa(unscaled, true, ofA, random), sb(unscaled, false, ofB, random);
  std::string body;
  if (form.chunks) {
    tail += scaleOperands(ofA, ofB, inRegisters, body);
    scaleRows(a, sa.values);
    scaleColumns(b, sb.values);
  }
  const bool half = form.d == Type::F16;
  forEachOfC(half, [&](auto i, auto l, auto j, auto r, auto n) {
    rc.set(i, l, j, bitWidth(form.d), encode(form.d, c.at(r, n)));
  });
  body += loadRegisters("a", ra) + loadRegisters("b", rb) +
          loadRegisters("c", rc) + loadRegisters("d", rd) +
          loadRegisters("e", re) + loadRegisters("x", sa.data) +
          loadRegisters("y", sb.data);
  body += spelled(row) + " " + list("d", rd.count) + ", " +
          list("a", ra.count) + ", " + list("b", rb.count) + ", " +
          list("c", rc.count) + tail + ";\n" + storeRegisters("d", rd);
  runEntry(body, {"a", "b", "c", "d", "e", "x", "y"},
           {&ra.data, &rb.data, &rc.data, &rd.data, &re.data, &sa.data.data,
            &sb.data.data},
           32, 0, Completion::Latest, targetOf(row));
  const Matrix want = product(a, b, c);
  forEachOfC(half, [&](auto i, auto l, auto j, auto r, auto n) {
    ASSERT_EQ(decode(form.d, rd.get(i, l, j, bitWidth(form.d))), want.at(r, n))
        << spelled(row) << " row " << r << " column " << n;
  });
}

std::vector<const Row *> rowsWithKinds() {
  std::vector<const Row *> rows;
  for (const auto &row : IsaTable::get().rows())
    if (row->opcode == "mma" &&
        spelled(*row).find(".kind::") != std::string::npos)
      rows.push_back(row.get());
  return rows;
}

/// The selectors that a form may have, at random.
Selector randomSelector(const Form &form, unsigned threads,
                        std::mt19937 &random) {
  if (!form.chunks)
    return {};
  return {static_cast<unsigned>(random() % (4 / form.chunks)) * form.chunks,
          static_cast<unsigned>(random() % threads)};
}

TEST(NarrowForms, EveryFormGivesTheProduct) {
  std::mt19937 random(1);
  const auto rows = rowsWithKinds();
  EXPECT_EQ(rows.size(), 25u * 4 + 4 * 2 + 25 * 2 * 2 + 4 * 2);
  for (const Row *row : rows)
    for (unsigned round = 0; round < 2; ++round) {
      const Form form(*row);
      runNarrow(*row, randomSelector(form, 2, random),
                randomSelector(form, 4, random), round, random);
      if (!form.chunks)
        break;
    }
}

TEST(NarrowForms, EverySelectorFindsItsScales) {
  std::mt19937 random(2);
  for (const Row *row : rowsWithKinds()) {
    const Form form(*row);
    if (form.sparse || !form.chunks ||
        (!form.packed && (form.a != Type::E4M3 || form.b != Type::E4M3)))
      continue;
    for (unsigned byte = 0; byte < 4; byte += form.chunks)
      for (unsigned thread = 0; thread < 2; ++thread)
        runNarrow(*row, {byte, thread}, {}, thread, random);
    for (unsigned byte = 0; byte < 4; byte += form.chunks)
      for (unsigned thread = 0; thread < 4; ++thread)
        runNarrow(*row, {}, {byte, thread}, thread & 1, random);
  }
}

} // namespace
