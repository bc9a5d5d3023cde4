// Every form of wgmma.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FormRun.h"
#include "Tensor/Spelling.h"

#include <gtest/gtest.h>

#include <algorithm>

using namespace ptx;
using namespace ptx::test;

namespace {

/// A matrix of rows of K in cores of eight rows by 16 bytes, without swizzle:
/// 128 bytes to the next 16 bytes of K, K bytes * 8 to the next eight rows.
void placeInCores(const Matrix &x, Type type, std::vector<std::byte> &image,
                  size_t base) {
  const unsigned bits = bitWidth(type);
  for (unsigned r = 0; r < x.rows; ++r)
    for (unsigned k = 0; k < x.columns; ++k) {
      const unsigned byte = k * bits / 8;
      const size_t at = base + r / 8 * (x.columns * bits) + byte / 16 * 128 +
                        r % 8 * 16 + byte % 16;
      const uint64_t value = encode(type, x.at(r, k)) << k * bits % 8;
      for (unsigned i = 0; i < std::max(bits / 8, 1u); ++i)
        image[at + i] |= static_cast<std::byte>(value >> 8 * i);
    }
}

uint64_t descriptor(size_t base, Type type, unsigned k) {
  const uint64_t leading = 128 / 16, stride = k * bitWidth(type) / 16;
  return base / 16 | leading << 16 | stride << 32;
}

/// Calls body(register, thread, element, row, column).
template <class Body> void forEachOfD(unsigned n, Type type, Body body) {
  const bool packed = type == Type::F16;
  for (unsigned i = 0; i < n / (packed ? 4 : 2); ++i)
    for (unsigned t = 0; t < 128; ++t)
      for (unsigned j = 0; j < (packed ? 2 : 1); ++j) {
        const unsigned at = packed ? 2 * i + j : i, l = t % 32;
        body(i, t, j, t / 32 * 16 + l / 4 + 8 * (at / 2 % 2),
             8 * (at / 4) + 2 * (l % 4) + at % 2);
      }
}

struct Form {
  Type d, a, b;
  unsigned n, k;
  bool registers; ///< A
  bool sparse;
};

Form formOf(const Row &row) {
  const auto s = tensor::spellingOf(row);
  return {s.types.at(0),
          s.types.at(1),
          s.types.at(2),
          s.n,
          s.k,
          row.operands[1].kind == OperandKind::Vector,
          row.written[1] == ".sp"};
}

Matrix transposed(const Matrix &x) {
  Matrix y(x.columns, x.rows);
  for (unsigned r = 0; r < x.rows; ++r)
    for (unsigned c = 0; c < x.columns; ++c)
      y.at(c, r) = x.at(r, c);
  return y;
}

void packRowsOfA(const Matrix &a, Type type, Registers &out) {
  const unsigned e = 32 / bitWidth(type);
  for (unsigned i = 0; i < 4; ++i)
    for (unsigned t = 0; t < 128; ++t)
      for (unsigned j = 0; j < e; ++j)
        out.set(i, t, j, bitWidth(type),
                encode(type, a.at(t / 32 * 16 + t % 32 / 4 + 8 * (i % 2),
                                  e * (t % 4) + 4 * e * (i / 2) + j)));
}

std::string copyImage(size_t bytes) {
  std::string text =
      ".reg .b32 v, s; mov.u32 s, sm; shl.b32 v, t, 2; add.u32 s, s, v;\n"
      "mul.wide.u32 o, t, 4; add.u64 o, o, p_image;\n";
  for (size_t at = 0; at < bytes; at += 512)
    text += "ld.global.b32 v, [o+" + std::to_string(at) +
            "]; st.shared.b32 [s+" + std::to_string(at) + "], v;\n";
  return text + "fence.proxy.async; bar.sync 0;\n";
}

std::string descriptorText(const std::string &name, uint64_t value) {
  return ".reg .b64 " + name +
         "; mov.u32 v, sm; shr.u32 v, v, 4; "
         "cvt.u64.u32 " +
         name + ", v; add.u64 " + name + ", " + name + ", " +
         std::to_string(value) + ";\n";
}

/// What follows the descriptor of B.
std::string tailOf(const Form &f, bool accumulate, unsigned selector) {
  std::string tail = f.sparse ? ", e0, " + std::to_string(selector) : "";
  tail += accumulate ? ", 1" : ", 0";
  if (isFloat(f.a))
    tail += ", 1, 1";
  if (bitWidth(f.a) == 16)
    tail += f.registers ? ", 0" : ", 0, 0";
  return tail;
}

void run(const Row &row, bool accumulate, unsigned selector,
         Completion completion, std::mt19937 &random) {
  const Form f = formOf(row);
  Matrix a(64, f.k), b(f.k, f.n), c(64, f.n);
  fillFor(f.a, a, random);
  Matrix stored = a;
  Registers re(1, Type::B32, 128);
  if (f.sparse) {
    Sparse s = makeSparse(f.a, 64, f.k, selector, random);
    a = s.dense;
    stored = s.compressed;
    re = s.metadata;
  }
  fillFor(f.b, b, random);
  c.fill(random, -9, 9);
  const size_t sizeOfA = 64 * stored.columns * bitWidth(f.a) / 8,
               sizeOfB = size_t{f.n} * f.k * bitWidth(f.a) / 8;
  std::vector<std::byte> image((sizeOfA + sizeOfB + 511) / 512 * 512);
  placeInCores(stored, f.a, image, 0);
  placeInCores(transposed(b), f.b, image, sizeOfA);
  Registers ra(4, Type::B32, 128), rd(row.operands[0].count, f.d, 128);
  if (f.registers)
    packRowsOfA(stored, f.a, ra);
  forEachOfD(f.n, f.d, [&](auto i, auto t, auto j, auto r, auto q) {
    rd.set(i, t, j, bitWidth(f.d), encode(f.d, c.at(r, q)));
  });
  const std::string body =
      copyImage(image.size()) +
      descriptorText("x", descriptor(0, f.a, stored.columns)) +
      descriptorText("y", descriptor(sizeOfA, f.b, f.k)) +
      loadRegisters("a", ra) + loadRegisters("d", rd) + loadRegisters("e", re) +
      "wgmma.fence.sync.aligned;\n" + spelled(row) + " " + list("d", rd.count) +
      ", " + (f.registers ? list("a", 4) : "x") + ", y" +
      tailOf(f, accumulate, selector) + ";\n" +
      "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;\n" +
      storeRegisters("d", rd);
  runEntry(body, {"image", "a", "d", "e"},
           {&image, &ra.data, &rd.data, &re.data}, 128,
           static_cast<uint32_t>(image.size()), completion);
  if (!accumulate)
    std::fill(c.values.begin(), c.values.end(), 0);
  const Matrix want = product(a, b, c);
  forEachOfD(f.n, f.d, [&](auto i, auto t, auto j, auto r, auto q) {
    ASSERT_EQ(decode(f.d, rd.get(i, t, j, bitWidth(f.d))), want.at(r, q))
        << spelled(row) << " row " << r << " column " << q;
  });
}

TEST(WgmmaForms, EveryFormGivesTheProduct) {
  std::mt19937 random(3);
  unsigned forms = 0;
  for (const auto &row : IsaTable::get().rows())
    if (row->opcode == "wgmma" && row->written[0] == ".mma_async") {
      const bool chooses =
          row->written[1] == ".sp" && row->operands[4].maximum == 1;
      run(*row, forms % 3, chooses ? forms / 4 % 2 : 0,
          forms % 2 ? Completion::Latest : Completion::Earliest, random);
      ++forms;
    }
  EXPECT_GT(forms, 1600u);
}

} // namespace
