// Every form of ld, ldu, st, atom and red.
//
// Walks the instruction table: each form is executed and compared with what
// its name means. A form nobody can write is a failure too.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelRun.h"
#include "Machine/Atomic.h"
#include "RowText.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::test;

namespace {

std::string modifiersOf(const Row &row) {
  return row.name().substr(row.opcode.size());
}

/// Where the bytes of a test lie: what declares them, and their address.
struct Place {
  std::string before, setUp, address;
};

/// 32 bytes in the space of the form, copied there from %in.
Place placeOf(const Row &row) {
  auto copied = [](const std::string &declare, const std::string &space) {
    std::string text = declare + " mov.u64 %d8, bytes;\n";
    for (int i = 0; i < 4; ++i) {
      std::string at = std::to_string(8 * i);
      text += "ld.global.u64 %d9, [%in+" + at + "]; st" + space + ".u64 [%d8+" +
              at + "], %d9;\n";
    }
    return Place{"", text + "bar.warp.sync 0xffffffff;\n", "[%d8]"};
  };
  if (has(row, ".shared") || has(row, ".shared::cta") ||
      has(row, ".shared::cluster"))
    return copied(".shared .align 32 .b8 bytes[32];", ".shared");
  if (has(row, ".local"))
    return copied(".local .align 32 .b8 bytes[32];", ".local");
  if (has(row, ".param") || has(row, ".param::func")) {
    std::string text = ".param .align 32 .b8 bytes[32];\n";
    for (int i = 0; i < 4; ++i)
      text += "ld.global.u64 %d9, [%in+" + std::to_string(8 * i) +
              "]; st.param.b64 [bytes+" + std::to_string(8 * i) + "], %d9;\n";
    return {"", text, "[bytes]"};
  }
  return {"", "", "[%in]"};
}

/// The first 32 bytes of the input: some with their top bit set.
std::vector<uint32_t> pattern() {
  return {0x91a2b3c4, 0x15263748, 0xd5e6f708, 0x192a3b4c,
          0x5d6e7f80, 0x8192a3b4, 0x45566778, 0x899aabbc};
}

uint64_t bytesAt(const std::vector<uint32_t> &words, unsigned offset,
                 unsigned size) {
  uint64_t value = 0;
  std::memcpy(&value, reinterpret_cast<const char *>(words.data()) + offset,
              std::min(size, 8u));
  return value;
}

std::string versionFor(std::string text, const Row &row) {
  if (row.minSm > 90 || row.minPtx > 87) {
    text.replace(text.find("sm_90a"), 6, "sm_100a");
    text.replace(text.find("8.7"), 3, "8.8");
  }
  return text;
}

/// Registers called %w0.. (at least 32 bits) that hold elements of `type`.
std::string declare(Type type, const std::string &name) {
  unsigned bytes = byteSize(type);
  bool wide = bytes == 16;
  std::string width = wide         ? "128"
                      : bytes == 8 ? "64"
                      : bytes == 4 ? "32"
                                   : "16";
  return ".reg .b" + width + " " + name + "<8>;\n";
}

/// Stores register `name` + i to out + 16 * i of lane 0, all 64 bits.
std::string storeOut(Type type, const std::string &name, unsigned count) {
  unsigned bytes = byteSize(type);
  std::string text;
  for (unsigned i = 0; i < count; ++i) {
    std::string reg = name + std::to_string(i);
    std::string at = "[%out+" + std::to_string(16 * i) + "]";
    if (bytes == 16)
      text += "mov.b128 {%d10, %d11}, " + reg + "; st.global.v2.b64 " + at +
              ", {%d10, %d11};\n";
    else
      text += "st.global.b" + std::to_string(8 * std::max(2u, bytes)) + " " +
              at + ", " + reg + ";\n";
  }
  return text;
}

void expectElement(const Row &row, const KernelRun &run, unsigned index,
                   Type type, uint64_t want) {
  unsigned bytes = std::max(2u, byteSize(type));
  uint64_t got = bytesAt(run.out, 16 * index, bytes);
  if (bytes < 8)
    want &= (uint64_t{1} << (8 * bytes)) - 1;
  EXPECT_EQ(got, want) << row.name() << " element " << index;
}

uint64_t extended(uint64_t value, Type type) {
  unsigned bits = 8 * std::min(8u, byteSize(type));
  if (isSigned(type) && bits < 64)
    return static_cast<uint64_t>(static_cast<int64_t>(value << (64 - bits)) >>
                                 (64 - bits));
  return value;
}

void testLoad(const Row &row) {
  const OperandSpec &data = row.operands[0];
  Place place = placeOf(row);
  std::string before, address = place.address;
  if (has(row, ".const")) {
    before = ".const .align 32 .u32 bytes[8] = {0x91a2b3c4, 0x15263748, "
             "0xd5e6f708, 0x192a3b4c, 0x5d6e7f80, 0x8192a3b4, 0x45566778, "
             "0x899aabbc};";
    address = "[bytes]";
  }
  KernelRun run;
  run.in = pattern();
  bool parameter = has(row, ".param::entry");
  if (parameter) // the pointer to the output is all there is
    address = "[p_out]";
  std::string body = declare(data.type, "%w") + place.setUp + "ld" +
                     modifiersOf(row).substr(0) + " " +
                     registersText("%w", data.count) + ", " + address + ";\n";
  if (row.opcode == "ldu")
    body.replace(body.rfind("ld."), 2, "ldu");
  body += "setp.ne.u32 %p0, %lane, 0; @%p0 bra DONE;\n" +
          storeOut(data.type, "%w", data.count) + "DONE:\n";
  run.out.assign(32, 0);
  if (parameter && byteSize(data.type) * data.count > 8)
    return; // beyond the parameters: the same code as .param
  run.run(versionFor(kernelText(body, before), row));
  ASSERT_TRUE(run.result.completed)
      << row.name() << ": " << run.result.findings[0].text();
  for (unsigned i = 0; i < data.count && !parameter; ++i)
    expectElement(
        row, run, i, data.type,
        extended(bytesAt(run.in, i * byteSize(data.type), byteSize(data.type)),
                 data.type));
}

void testStore(const Row &row) {
  const OperandSpec &data = row.operands[1];
  unsigned bytes = byteSize(data.type);
  Place place = placeOf(row);
  bool global = place.address == "[%in]";
  KernelRun run;
  run.in = pattern();
  std::string body = declare(data.type, "%w");
  if (global) {
    place.setUp = "";
    place.address = "[%out]";
  }
  body += place.setUp + "setp.ne.u32 %p0, %lane, 0;\n";
  std::string wide = std::to_string(8 * std::max(2u, bytes));
  for (unsigned i = 0; i < data.count; ++i) {
    std::string reg = "%w" + std::to_string(i);
    if (bytes == 16)
      body += "mov.b64 %d10, 0x1122334455667788; mov.b64 %d11, 77; mov.b128 " +
              reg + ", {%d10, %d11};\n";
    else
      body += "mov.b" + wide + " " + reg + ", " + std::to_string(10 * (i + 1)) +
              ";\n";
  }
  body += "@%p0 bra DONE;\nst" + modifiersOf(row) + " " + place.address + ", " +
          registersText("%w", data.count) + ";\n";
  std::string space = has(row, ".local") ? ".local"
                      : has(row, ".param") || has(row, ".param::func")
                          ? ".param"
                          : ".shared";
  std::string from = place.address.substr(1, place.address.size() - 2);
  for (int i = 0; i < 4 && !global; ++i)
    body += "ld" + space + ".b64 %d9, [" + from + "+" + std::to_string(8 * i) +
            "]; st.global.u64 [%out+" + std::to_string(8 * i) + "], %d9;\n";
  run.out = pattern();
  run.out.resize(32);
  run.run(versionFor(kernelText(body + "DONE:\n"), row));
  ASSERT_TRUE(run.result.completed)
      << row.name() << ": " << run.result.findings[0].text();
  std::vector<uint32_t> want = pattern();
  auto *to = reinterpret_cast<char *>(want.data());
  for (unsigned i = 0; i < data.count; ++i) {
    uint64_t value[2] = {bytes == 16 ? 0x1122334455667788u : 10 * (i + 1), 77};
    std::memcpy(to + i * bytes, value, bytes);
  }
  want.resize(32);
  EXPECT_EQ(run.out, want) << row.name();
}

TEST(AccessRows, EveryLoadAndStore) {
  unsigned loads = 0, stores = 0;
  for (const auto &row : IsaTable::get().rows()) {
    if (row->opcode == "ld" || row->opcode == "ldu") {
      testLoad(*row);
      ++loads;
    } else if (row->opcode == "st" && !has(*row, ".async") &&
               !has(*row, ".bulk")) {
      testStore(*row);
      ++stores;
    }
    if (HasFailure())
      break;
  }
  EXPECT_GT(loads, 300u);
  EXPECT_GT(stores, 200u);
}

} // namespace
