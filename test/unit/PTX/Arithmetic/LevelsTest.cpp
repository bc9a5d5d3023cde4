// Every lane-wise handler at every CPU level.
//
// Whatever a form computes (the Python tests know what it should): its handlers
// for all CPU levels give equal bits, lanes that do not execute keep theirs,
// and the result may lie in the register of a source.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/DecodeContext.h"
#include "Isa/IsaTable.h"
#include "Machine/Warp.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace ptx {
void registerIntegerRows(IsaTable &table);
void registerLogicRows(IsaTable &table);
void registerFloatRows(IsaTable &table);
void registerDoubleRows(IsaTable &table);
void registerHalfRows(IsaTable &table);
void registerCompareRows(IsaTable &table);
void registerApproximateRows(IsaTable &table);
void registerMoveRows(IsaTable &table);
void registerConvertIntegerRows(IsaTable &table);
void registerConvertFloatRows(IsaTable &table);
} // namespace ptx

using namespace ptx;

namespace {
const IsaTable &laneWise() {
  static const IsaTable table = [] {
    IsaTable built;
    registerIntegerRows(built);
    registerLogicRows(built);
    registerFloatRows(built);
    registerDoubleRows(built);
    registerHalfRows(built);
    registerCompareRows(built);
    registerApproximateRows(built);
    registerMoveRows(built);
    registerConvertIntegerRows(built);
    registerConvertFloatRows(built);
    return built;
  }();
  return table;
}

/// The rows' own decoding asks nothing.
struct NoQuestions : DecodeContext {
  bool has(std::string_view) const override { return false; }
  std::string_view option(std::string_view) const override { return {}; }
  std::optional<uint64_t> constant(unsigned) const override { return {}; }
  unsigned registerBits(unsigned) const override { return 0; }
  std::string_view part(unsigned) const override { return {}; }
  bool minus(unsigned) const override { return false; }
  unsigned sm() const override { return 100; }
  unsigned ptxVersion() const override { return 88; }
  void fail(std::string why) const override { throw std::move(why); }
  void own(std::shared_ptr<const void>) override {}
};

constexpr unsigned kRegisterBytes = 512, kRegisters = 16;

/// A register file in which each operand has 512 bytes.
struct File {
  alignas(64) std::byte bytes[kRegisters * kRegisterBytes];
};

Width widthOf(Type type) {
  switch (bitWidth(type)) {
  case 1:
    return Width::Predicate;
  case 8:
  case 16:
    return Width::Half;
  case 32:
    return Width::Word;
  case 64:
    return Width::Double;
  default:
    return Width::Quad;
  }
}

/// A pattern that means something to at least one type.
uint64_t pattern(std::mt19937_64 &random) {
  static constexpr uint64_t edges[] = {0,
                                       1,
                                       2,
                                       31,
                                       32,
                                       255,
                                       0x7f800000,
                                       0xff800000,
                                       0x7fc00000,
                                       0x7f800001,
                                       0x00800000,
                                       0x007fffff,
                                       0x80000000,
                                       0x3f800000,
                                       0xbf800000,
                                       0x7c00fc00,
                                       0x3c003c00,
                                       0x04000400,
                                       0x7f803f80,
                                       0x00800080,
                                       0x7ff0000000000000,
                                       0xfff0000000000001,
                                       0x3ff0000000000000,
                                       0x0010000000000000,
                                       0x8000000000000000,
                                       0xffffffffffffffff};
  uint64_t bits = random();
  switch (random() % 4) {
  case 0:
    return edges[bits % std::size(edges)];
  case 1:
    return bits >> (random() % 64);
  case 2: // near one as f32, and as f64
    return (bits & 0xbfffffffbfffffffu) | 0x3f0000003f000000u;
  default:
    return bits;
  }
}

/// One form, laid out in a register file.
class Form {
public:
  explicit Form(const Row &row) : row(row) {
    for (size_t i = 0; i < row.operands.size(); ++i) {
      const OperandSpec &spec = row.operands[i];
      unsigned count = spec.kind == OperandKind::Vector ? spec.count : 1;
      for (unsigned k = 0; k < count; ++k) {
        slots.push_back(static_cast<Slot>(slots.size()) * kRegisterBytes);
        widths.push_back(widthOf(spec.type));
      }
      if (i < row.resultCount)
        results = slots.size();
    }
  }

  void fill(File &file, std::mt19937_64 &random) const {
    std::memset(file.bytes, 0, sizeof(file.bytes));
    for (size_t i = 0; i < slots.size(); ++i)
      fillRegister(file.bytes + slots[i], widths[i], random);
    // The table of lop3 is the same in all lanes, and at most 255.
    if (row.opcode == "lop3")
      for (unsigned lane = 0; lane < kLanes; ++lane)
        words<uint32_t>(file, results + 3)[lane] = 0x96;
  }

  /// Executes a handler; the carry flag is returned.
  uint32_t run(Handler handler, File &file, LaneMask active,
               const std::vector<Slot> &at) const {
    Warp warp;
    warp.base[0] = file.bytes;
    warp.active = active;
    warp.carry = 0x5a5a1234;
    Instruction in;
    in.operand = at.data();
    in.width = widths.data();
    in.row = &row;
    in.resultCount = static_cast<uint16_t>(results);
    in.operandCount = static_cast<uint16_t>(at.size());
    NoQuestions questions;
    if (row.decode)
      row.decode(questions, in);
    handler(warp, in);
    return warp.carry;
  }

  template <class T> T *words(File &file, size_t operand) const {
    return reinterpret_cast<T *>(file.bytes + slots[operand]);
  }
  /// The bits of an operand in a lane, low and high half.
  std::pair<uint64_t, uint64_t> lane(File &file, size_t operand,
                                     unsigned lane) const {
    switch (widths[operand]) {
    case Width::Predicate:
      return {words<uint32_t>(file, operand)[0] >> lane & 1, 0};
    case Width::Double:
      return {words<uint64_t>(file, operand)[lane], 0};
    case Width::Quad:
      return {words<uint64_t>(file, operand)[lane],
              words<uint64_t>(file, operand)[kLanes + lane]};
    default:
      return {words<uint32_t>(file, operand)[lane], 0};
    }
  }

  const Row &row;
  std::vector<Slot> slots;
  std::vector<Width> widths;
  size_t results = 0;

private:
  static void fillRegister(std::byte *at, Width width,
                           std::mt19937_64 &random) {
    if (width == Width::Predicate) {
      *reinterpret_cast<uint32_t *>(at) = static_cast<uint32_t>(random());
      return;
    }
    unsigned words = width == Width::Quad ? 2 * kLanes : kLanes;
    for (unsigned k = 0; k < words; ++k) {
      uint64_t bits = pattern(random);
      if (width == Width::Double || width == Width::Quad)
        reinterpret_cast<uint64_t *>(at)[k] = bits;
      else
        reinterpret_cast<uint32_t *>(at)[k] =
            static_cast<uint32_t>(width == Width::Half ? bits & 0xffff : bits);
    }
  }
};

/// The handlers of a row that this CPU can run.
std::vector<Handler> handlersOf(const Row &row) {
  std::vector<Handler> handlers = {row.handlers.baseline};
#if defined(__x86_64__)
  if (row.handlers.avx2 && __builtin_cpu_supports("x86-64-v3"))
    handlers.push_back(row.handlers.avx2);
  if (row.handlers.avx512 && __builtin_cpu_supports("x86-64-v4"))
    handlers.push_back(row.handlers.avx512);
#endif
  return handlers;
}

constexpr unsigned kRounds = 6;
constexpr LaneMask kMasks[] = {kAllLanes,  0x00000001, 0x80000000,
                               0x0ffffff0, 0xaaaaaaaa, 0x00010010};
} // namespace

TEST(ArithmeticLevels, AllGiveEqualBits) {
  std::mt19937_64 random(1);
  auto before = std::make_unique<File>(), first = std::make_unique<File>();
  auto other = std::make_unique<File>();
  for (const auto &row : laneWise().rows()) {
    Form form(*row);
    std::vector<Handler> handlers = handlersOf(*row);
    for (unsigned round = 0; round < kRounds; ++round) {
      LaneMask active = kMasks[round];
      form.fill(*before, random);
      *first = *before;
      uint32_t carry = form.run(handlers[0], *first, active, form.slots);
      for (size_t level = 1; level < handlers.size(); ++level) {
        *other = *before;
        EXPECT_EQ(form.run(handlers[level], *other, active, form.slots), carry)
            << row->name();
        EXPECT_EQ(std::memcmp(first->bytes, other->bytes, sizeof(File)), 0)
            << row->name() << " at level " << level;
      }
    }
  }
}

TEST(ArithmeticLevels, OtherLanesKeepTheirRegisters) {
  std::mt19937_64 random(2);
  auto before = std::make_unique<File>(), whole = std::make_unique<File>();
  auto part = std::make_unique<File>();
  for (const auto &row : laneWise().rows()) {
    Form form(*row);
    for (Handler handler : handlersOf(*row)) {
      form.fill(*before, random);
      *whole = *before;
      *part = *before;
      LaneMask active = static_cast<LaneMask>(random()) | 1;
      form.run(handler, *whole, kAllLanes, form.slots);
      form.run(handler, *part, active, form.slots);
      for (size_t i = 0; i < form.results; ++i)
        for (unsigned lane = 0; lane < kLanes; ++lane)
          EXPECT_EQ(form.lane(*part, i, lane),
                    form.lane((active >> lane & 1) ? *whole : *before, i, lane))
              << row->name() << ", lane " << lane;
    }
  }
}

TEST(ArithmeticLevels, ResultMayReplaceASource) {
  std::mt19937_64 random(3);
  auto apart = std::make_unique<File>(), same = std::make_unique<File>();
  unsigned checked = 0;
  for (const auto &row : laneWise().rows()) {
    Form form(*row);
    if (form.results != 1)
      continue;
    for (size_t source = 1; source < form.slots.size(); ++source) {
      if (form.widths[source] != form.widths[0])
        continue;
      ++checked;
      std::vector<Slot> slots = form.slots;
      slots[0] = slots[source];
      for (Handler handler : handlersOf(*row)) {
        form.fill(*apart, random);
        *same = *apart;
        form.run(handler, *apart, 0xfffffff7, form.slots);
        form.run(handler, *same, 0xfffffff7, slots);
        for (unsigned lane = 0; lane < kLanes; ++lane) {
          if (lane == 3)
            continue;
          EXPECT_EQ(form.lane(*apart, 0, lane), form.lane(*same, source, lane))
              << row->name() << ", source " << source << ", lane " << lane;
        }
      }
    }
  }
  EXPECT_GT(checked, 1000u);
}
