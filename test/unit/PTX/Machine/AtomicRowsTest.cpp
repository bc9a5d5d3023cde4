// Every form of atom and red.
//
// Walks the instruction table: each form combines 3 (in memory) with 5, whose
// results are exact in every type.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"
#include "RowText.h"

#include <algorithm>
#include <map>

using namespace ptx;
using namespace ptx::test;

namespace {

/// A small number as bits of the type; both halves of packed ones.
uint64_t encode(Type type, unsigned number) {
  static const std::map<unsigned, std::array<uint64_t, 4>> floats = {
      {3, {0x4200, 0x4040, 0x40400000, 0x4008000000000000}},
      {5, {0x4500, 0x40a0, 0x40a00000, 0x4014000000000000}},
      {8, {0x4800, 0x4100, 0x41000000, 0x4020000000000000}}};
  switch (type) {
  case Type::F16:
    return floats.at(number)[0];
  case Type::BF16:
    return floats.at(number)[1];
  case Type::F16x2:
    return floats.at(number)[0] * 0x10001;
  case Type::BF16x2:
    return floats.at(number)[1] * 0x10001;
  case Type::F32:
    return floats.at(number)[2];
  case Type::F64:
    return floats.at(number)[3];
  default:
    return number;
  }
}

unsigned resultOf(const Row &row) {
  const std::pair<const char *, unsigned> results[] = {
      {".add", 8}, {".min", 3}, {".max", 5}, {".and", 1},  {".or", 7},
      {".xor", 6}, {".inc", 4}, {".dec", 2}, {".exch", 5}, {".cas", 5}};
  for (auto [op, result] : results)
    if (has(row, op))
      return result;
  ADD_FAILURE() << "unknown operation " << row.name();
  return 0;
}

/// Sets registers name0.. to a number, in the type's bits.
std::string setTo(Type type, const std::string &name, unsigned count,
                  unsigned number) {
  std::string text;
  unsigned bits = 8 * byteSize(type);
  for (unsigned i = 0; i < count; ++i) {
    std::string reg = name + std::to_string(i);
    if (bits == 128)
      text += "mov.b64 %d8, " + std::to_string(number) +
              "; mov.b64 %d9, 0; mov.b128 " + reg + ", {%d8, %d9};\n";
    else
      text += "mov.b" + std::to_string(bits) + " " + reg + ", " +
              std::to_string(encode(type, number)) + ";\n";
  }
  return text;
}

std::string store(Type type, const std::string &base, const std::string &name,
                  unsigned count, unsigned step, unsigned offset = 0) {
  std::string text;
  unsigned bytes = byteSize(type);
  for (unsigned i = 0; i < count; ++i)
    text += "st.b" + std::to_string(8 * bytes) + " [" + base + "+" +
            std::to_string(offset + step * i) + "], " + name +
            std::to_string(i) + ";\n";
  return text;
}

std::string kernelFor(const Row &row) {
  const OperandSpec &data = row.operands[row.resultCount + 1];
  unsigned bytes = byteSize(data.type), count = data.count;
  std::string width = std::to_string(8 * bytes);
  bool shared = row.name().find(".shared") != std::string::npos;
  std::string body = ".reg .b" + width + " %x<8>, %y<8>, %z<8>, %m<8>;\n";
  body += ".shared .align 32 .b8 box[32];\nmov.u64 %d0, box;\n"
          "cvta.shared.u64 %d1, %d0;\n";
  body += shared ? "" : "mov.u64 %d0, %out; mov.u64 %d1, %out;\n";
  body += "setp.ne.u32 %p0, %lane, 0; @%p0 bra DONE;\n";
  body += setTo(data.type, "%m", count, 3) + setTo(data.type, "%y", count, 5) +
          store(data.type, "%d1", "%m", count, bytes);
  std::string modifiers = row.name().substr(row.opcode.size());
  std::string address = has(row, ".global") || shared ? "[%d0]" : "[%d1]";
  body += row.opcode + modifiers + " ";
  if (row.resultCount)
    body += registersText("%x", count) + ", ";
  body += address + ", ";
  bool cas = has(row, ".cas");
  body += registersText(cas ? "%m" : "%y", count);
  if (cas)
    body += ", " + registersText("%y", count);
  body += ";\n";
  if (row.resultCount)
    body += store(data.type, "%out", "%x", count, bytes, 64);
  for (unsigned i = 0; i < count; ++i)
    body += "ld.b" + width + " %z" + std::to_string(i) + ", [%d1+" +
            std::to_string(i * bytes) + "];\n";
  body += store(data.type, "%out", "%z", count, bytes);
  return kernelText(body + "DONE:\n");
}

TEST(AtomicRows, EveryFormCombinesThreeAndFive) {
  unsigned forms = 0;
  for (const auto &row : IsaTable::get().rows()) {
    if (row->opcode != "atom" && (row->opcode != "red" || has(*row, ".async")))
      continue;
    KernelRun run;
    run.run(kernelFor(*row));
    ASSERT_TRUE(run.result.completed)
        << row->name() << ": " << run.result.findings[0].text();
    const OperandSpec &data = row->operands[row->resultCount + 1];
    unsigned bytes = byteSize(data.type);
    const char *out = reinterpret_cast<const char *>(run.out.data());
    for (unsigned i = 0; i < data.count; ++i) {
      uint64_t memory = 0, old = 0;
      std::memcpy(&memory, out + i * bytes, std::min(bytes, 8u));
      std::memcpy(&old, out + 64 + i * bytes, std::min(bytes, 8u));
      EXPECT_EQ(memory, encode(data.type, resultOf(*row))) << row->name();
      if (row->resultCount)
        EXPECT_EQ(old, encode(data.type, 3)) << row->name();
    }
    ++forms;
  }
  EXPECT_GT(forms, 250u);
}

} // namespace
