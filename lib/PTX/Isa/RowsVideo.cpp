// Video instructions: arithmetic on bytes and halves of 32-bit registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/Video.h"
#include "Decode/DecodeContext.h"
#include "Isa/LaneRows.h"

using namespace ptx;
using namespace ptx::operand;
using ptx::video::Op;
using ptx::video::Relation;
using ptx::video::Second;

namespace {
void handleVideo(Warp &warp, const Instruction &in) {
  const auto &form = *static_cast<const video::Form *>(in.extra);
  const uint32_t *a = warp.lanes<uint32_t>(in.source(0));
  const uint32_t *b = warp.lanes<uint32_t>(in.source(1));
  const uint32_t *c =
      in.operandCount > 3 ? warp.lanes<uint32_t>(in.source(2)) : nullptr;
  uint32_t *result = warp.lanes<uint32_t>(in.operand[0]);
  forEachLane(warp.active, [&](unsigned lane) {
    result[lane] = video::evaluate(form, a[lane], b[lane], c ? c[lane] : 0);
  });
}

struct Named {
  const char *name;
  Op op;
};
constexpr Named kOps[] = {{"vadd", Op::Add},
                          {"vsub", Op::Sub},
                          {"vabsdiff", Op::Difference},
                          {"vavrg", Op::Average},
                          {"vmin", Op::Min},
                          {"vmax", Op::Max},
                          {"vshl", Op::ShiftLeft},
                          {"vshr", Op::ShiftRight},
                          {"vset", Op::Set},
                          {"vmad", Op::Multiply}};
struct Compared {
  const char *name;
  Relation relation;
};
constexpr Compared kRelations[] = {
    {".eq", Relation::Equal}, {".ne", Relation::NotEqual},
    {".lt", Relation::Less},  {".le", Relation::AtMost},
    {".gt", Relation::More},  {".ge", Relation::AtLeast}};

//===----------------------------------------------------------------------===//
// What an instruction says
//===----------------------------------------------------------------------===//

Op opOf(const std::string &opcode) {
  std::string name = opcode;
  if (name.back() == '2' || name.back() == '4')
    name.pop_back();
  for (const Named &one : kOps)
    if (name == one.name)
      return one.op;
  return Op::Add;
}

/// The types of the row: result (none for a comparison), a, b.
std::vector<bool> signsOf(const Row &row) {
  std::vector<bool> isSigned;
  for (const std::string &modifier : row.written)
    if (modifier == ".s32" || modifier == ".u32")
      isSigned.push_back(modifier == ".s32");
  return isSigned;
}

[[noreturn]] void failPart(DecodeContext &context, std::string_view text) {
  context.fail("'." + std::string(text) + "' names no part of a register here");
}

/// `b0` to `b3`, `h0`, `h1`.
void readPart(DecodeContext &context, unsigned index, unsigned &bits,
              uint8_t &part) {
  std::string_view text = context.part(index);
  if (text.empty())
    return;
  bool bytes = text[0] == 'b';
  unsigned most = bytes ? 3 : 1;
  if (text.size() != 2 || (!bytes && text[0] != 'h') || text[1] < '0' ||
      static_cast<unsigned>(text[1] - '0') > most)
    failPart(context, text);
  bits = bytes ? 8 : 16;
  part = static_cast<uint8_t>(text[1] - '0');
}

/// `h10`, `b7654`: from the highest part to the lowest, of both operands.
void readParts(DecodeContext &context, unsigned index, unsigned count,
               uint8_t *parts) {
  std::string_view text = context.part(index);
  if (text.empty())
    return;
  char kind = count == 2 ? 'h' : 'b';
  if (text[0] != kind || text.size() != count + 1)
    failPart(context, text);
  for (unsigned k = 0; k < count; ++k) {
    unsigned digit = static_cast<unsigned>(text[count - k] - '0');
    if (digit >= 2 * count)
      failPart(context, text);
    parts[k] = static_cast<uint8_t>(digit);
  }
}

/// `h1`, `b20`: descending, each part once.
uint8_t readMask(DecodeContext &context, unsigned count) {
  std::string_view text = context.part(0);
  if (text.empty())
    return static_cast<uint8_t>((1u << count) - 1);
  unsigned mask = 0, last = count;
  if (text[0] != (count == 2 ? 'h' : 'b') || text.size() < 2)
    failPart(context, text);
  for (char c : text.substr(1)) {
    unsigned digit = static_cast<unsigned>(c - '0');
    if (digit >= last)
      failPart(context, text);
    mask |= 1u << digit;
    last = digit;
  }
  return static_cast<uint8_t>(mask);
}

void readSigns(const Row &row, video::Form &form) {
  std::vector<bool> isSigned = signsOf(row);
  form.signedResult = isSigned.size() > 2 && isSigned[0];
  form.signedA = isSigned[isSigned.size() - 2];
  form.signedB = isSigned.back();
  if (form.op == Op::ShiftLeft || form.op == Op::ShiftRight)
    form.signedB = false;
}

void readSecond(DecodeContext &context, const Row &row, video::Form &form) {
  if (row.operands.size() > 3)
    form.second = context.has(".add")   ? Second::Add
                  : context.has(".min") ? Second::Min
                  : context.has(".max") ? Second::Max
                                        : Second::Merge;
}

video::Form commonOf(DecodeContext &context, const Row &row) {
  video::Form form;
  form.op = opOf(row.opcode);
  for (const Compared &one : kRelations)
    if (context.has(one.name))
      form.relation = one.relation;
  form.saturates = context.has(".sat");
  form.wraps = context.has(".wrap");
  readSigns(row, form);
  readSecond(context, row, form);
  return form;
}

void decodeScalar(DecodeContext &context, Instruction &in) {
  video::Form form = commonOf(context, *in.row);
  readPart(context, 0, form.bitsResult, form.partResult);
  readPart(context, 1, form.bitsA, form.partA[0]);
  readPart(context, 2, form.bitsB, form.partB[0]);
  in.extra = context.keep(form);
}

void decodeParts(DecodeContext &context, Instruction &in) {
  video::Form form = commonOf(context, *in.row);
  form.parts = in.row->opcode.back() == '2' ? 2 : 4;
  for (unsigned k = 0; k < form.parts; ++k) {
    form.partA[k] = static_cast<uint8_t>(k);
    form.partB[k] = static_cast<uint8_t>(form.parts + k);
  }
  form.mask = readMask(context, form.parts);
  readParts(context, 1, form.parts, form.partA);
  readParts(context, 2, form.parts, form.partB);
  in.extra = context.keep(form);
}

void decodeMultiply(DecodeContext &context, Instruction &in) {
  video::Form form = commonOf(context, *in.row);
  readPart(context, 1, form.bitsA, form.partA[0]);
  readPart(context, 2, form.bitsB, form.partB[0]);
  form.second = Second::None;
  form.negatesProduct = context.minus(1) != context.minus(2);
  form.negatesC = context.minus(3);
  form.addsOne = context.has(".po");
  form.scale = context.has(".shr7") ? 7 : context.has(".shr15") ? 15 : 0;
  bool negates = context.minus(1) || context.minus(2) || context.minus(3);
  if (form.addsOne && negates)
    context.fail("'.po' and the negation of an operand exclude each other");
  if (form.negatesProduct && form.negatesC)
    context.fail("the product and c cannot both be negated");
  in.extra = context.keep(form);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

Row makeRow(const std::string &opcode, std::vector<std::string> modifiers,
            unsigned minPtx, float weight) {
  Row row;
  row.opcode = opcode;
  row.modifiers = std::move(modifiers);
  row.minPtx = minPtx;
  row.machineWeight = weight;
  row.handlers = {handleVideo};
  return row;
}

Type typeFor(bool isSigned) { return isSigned ? Type::S32 : Type::U32; }
std::string nameFor(bool isSigned) { return isSigned ? ".s32" : ".u32"; }

/// One part of a register: plain, merged into c, or with a second operation.
void addScalar(IsaTable &table, const std::string &opcode,
               const std::vector<std::string> &modifiers, Type to,
               OperandSpec a, OperandSpec b, bool saturates) {
  auto add = [&](const char *second, std::vector<OperandSpec> operands) {
    std::vector<std::string> all = modifiers;
    if (*second)
      all.push_back(second);
    Row row = makeRow(opcode, all, 20, 4);
    row.operands = std::move(operands);
    if (saturates)
      row.options = {{"saturation", {".sat"}}};
    row.decode = decodeScalar;
    table.add(std::move(row));
  };
  OperandSpec c = source(to);
  add("", {reg(to), a.part(), b.part()});
  add("", {reg(to).with(PartNeeded), a.part(), b.part(), c});
  for (const char *second : {".add", ".min", ".max"})
    add(second, {reg(to), a.part(), b.part(), c});
}

/// Two halves or four bytes: merged into c or added to it.
void addParts(IsaTable &table, const std::string &opcode,
              const std::vector<std::string> &modifiers, Type to, Type a,
              Type b, bool saturates) {
  for (bool adds : {false, true}) {
    std::vector<std::string> all = modifiers;
    if (adds)
      all.push_back(".add");
    Row row = makeRow(opcode, all, 30, 6);
    row.operands = {reg(to).part(), reg(a).part(), reg(b).part(), reg(to)};
    if (saturates && !adds)
      row.options = {{"saturation", {".sat"}}};
    row.decode = decodeParts;
    table.add(std::move(row));
  }
}

template <class Body> void forSigns(Body body) {
  for (bool a : {false, true})
    for (bool b : {false, true})
      body(a, b);
}

void addArithmetic(IsaTable &table, const std::string &name, bool scalar) {
  for (bool to : {false, true})
    forSigns([&](bool a, bool b) {
      std::vector<std::string> types = {nameFor(to), nameFor(a), nameFor(b)};
      if (scalar)
        addScalar(table, name, types, typeFor(to), source(typeFor(a)),
                  source(typeFor(b)), true);
      for (const char *parts : {"2", "4"})
        addParts(table, name + parts, types, typeFor(to), typeFor(a),
                 typeFor(b), true);
    });
}

void addComparisons(IsaTable &table) {
  forSigns([&](bool a, bool b) {
    for (const Compared &one : kRelations) {
      std::vector<std::string> all = {nameFor(a), nameFor(b), one.name};
      addScalar(table, "vset", all, Type::U32, source(typeFor(a)),
                source(typeFor(b)), false);
      for (const char *parts : {"2", "4"})
        addParts(table, std::string("vset") + parts, all, Type::U32, typeFor(a),
                 typeFor(b), false);
    }
  });
}

void addShifts(IsaTable &table) {
  for (const char *name : {"vshl", "vshr"})
    forSigns([&](bool to, bool a) {
      for (const char *mode : {".clamp", ".wrap"})
        addScalar(table, name, {nameFor(to), nameFor(a), ".u32", mode},
                  typeFor(to), source(typeFor(a)), source(Type::U32), true);
    });
}

void addMultiply(IsaTable &table) {
  for (bool to : {false, true})
    forSigns([&](bool a, bool b) {
      Row row = makeRow("vmad", {nameFor(to), nameFor(a), nameFor(b)}, 20, 4);
      row.operands = {reg(typeFor(to)), source(typeFor(a)).part().with(Minus),
                      source(typeFor(b)).part().with(Minus),
                      source(typeFor(to)).with(Minus)};
      row.options = {{"rounding", {".po"}},
                     {"saturation", {".sat"}},
                     {"scale", {".shr7", ".shr15"}}};
      row.decode = decodeMultiply;
      table.add(std::move(row));
    });
}
} // namespace

namespace ptx {
void registerVideoRows(IsaTable &table) {
  for (const char *name : {"vadd", "vsub", "vabsdiff", "vmin", "vmax"})
    addArithmetic(table, name, true);
  addArithmetic(table, "vavrg", false);
  addComparisons(table);
  addShifts(table);
  addMultiply(table);
}
} // namespace ptx
