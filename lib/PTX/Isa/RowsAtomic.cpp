// Atom and red.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/DecodeContext.h"
#include "Isa/IsaTable.h"
#include "Machine/Atomic.h"

#include <algorithm>
#include <string>

namespace ptx {
namespace {

struct SpaceForm {
  const char *modifier;
  Space space;
  unsigned sm, ptx;
};
const SpaceForm kSpaces[] = {{"", Space::Generic, 0, 0},
                             {".global", Space::Global, 0, 0},
                             {".shared", Space::Shared, 0, 0},
                             {".shared::cta", Space::Shared, 30, 78},
                             {".shared::cluster", Space::Shared, 90, 78}};

/// One operation on one type.
struct Form {
  const char *op;
  AtomicOp code;
  Type type;
  unsigned sm, ptx;
  bool noftz = false;
  bool atomOnly = false;
};

const Form kForms[] = {
    {".add", AtomicOp::Add, Type::U32, 0, 0},
    {".add", AtomicOp::Add, Type::S32, 0, 0},
    {".add", AtomicOp::Add, Type::U64, 0, 0},
    {".add", AtomicOp::Add, Type::F32, 0, 0},
    {".add", AtomicOp::Add, Type::F64, 60, 50},
    {".add", AtomicOp::Add, Type::F16, 70, 63, true},
    {".add", AtomicOp::Add, Type::F16x2, 60, 62, true},
    {".add", AtomicOp::Add, Type::BF16, 90, 78, true},
    {".add", AtomicOp::Add, Type::BF16x2, 90, 78, true},
    {".inc", AtomicOp::Inc, Type::U32, 0, 0},
    {".dec", AtomicOp::Dec, Type::U32, 0, 0},
    {".min", AtomicOp::Min, Type::U32, 0, 0},
    {".min", AtomicOp::Min, Type::S32, 0, 0},
    {".min", AtomicOp::Min, Type::U64, 32, 31},
    {".min", AtomicOp::Min, Type::S64, 32, 31},
    {".max", AtomicOp::Max, Type::U32, 0, 0},
    {".max", AtomicOp::Max, Type::S32, 0, 0},
    {".max", AtomicOp::Max, Type::U64, 32, 31},
    {".max", AtomicOp::Max, Type::S64, 32, 31},
    {".and", AtomicOp::And, Type::B32, 0, 0},
    {".and", AtomicOp::And, Type::B64, 32, 31},
    {".or", AtomicOp::Or, Type::B32, 0, 0},
    {".or", AtomicOp::Or, Type::B64, 32, 31},
    {".xor", AtomicOp::Xor, Type::B32, 0, 0},
    {".xor", AtomicOp::Xor, Type::B64, 32, 31},
    {".exch", AtomicOp::Exchange, Type::B32, 0, 0, false, true},
    {".exch", AtomicOp::Exchange, Type::B64, 0, 0, false, true},
    {".exch", AtomicOp::Exchange, Type::B128, 90, 83, false, true},
    {".cas", AtomicOp::CompareAndSwap, Type::B16, 70, 63, false, true},
    {".cas", AtomicOp::CompareAndSwap, Type::B32, 0, 0, false, true},
    {".cas", AtomicOp::CompareAndSwap, Type::B64, 0, 0, false, true},
    {".cas", AtomicOp::CompareAndSwap, Type::B128, 90, 83, false, true},
};

Order orderOf(const DecodeContext &context) {
  std::string_view order = context.option("order");
  if (order == ".acquire")
    return Order::Acquire;
  if (order == ".release")
    return Order::Release;
  return order == ".acq_rel" ? Order::AcqRel : Order::Relaxed;
}

Scope scopeOf(const DecodeContext &context) {
  std::string_view scope = context.option("scope");
  return scope == ".cta"       ? Scope::Cta
         : scope == ".cluster" ? Scope::Cluster
         : scope == ".sys"     ? Scope::Sys
                               : Scope::Gpu;
}

AtomicOp opOf(const DecodeContext &context) {
  for (const Form &form : kForms)
    if (context.has(form.op))
      return form.code;
  return AtomicOp::Add;
}

Space spaceOf(const DecodeContext &context) {
  for (const SpaceForm &form : kSpaces)
    if (*form.modifier && context.has(form.modifier))
      return form.space;
  return Space::Generic;
}

void checkHint(DecodeContext &context, const Instruction &in, unsigned policy) {
  bool given = policy < in.operandCount && in.operand[policy] != kNoSlot;
  if (given == context.option("hint").empty())
    context.fail(given ? "a cache policy needs '.L2::cache_hint'"
                       : "'.L2::cache_hint' needs a cache policy as last "
                         "operand");
}

void decodeAtomic(DecodeContext &context, Instruction &in) {
  const Row &row = *in.row;
  AtomicInfo info;
  const OperandSpec &data = row.operands[row.resultCount + 1];
  info.op = opOf(context);
  info.type = data.type;
  info.space = spaceOf(context);
  info.returns = row.resultCount && in.operand[0] != kNoSlot;
  for (unsigned i = 1; row.resultCount && i < data.count; ++i)
    info.returns |= in.operand[i] != kNoSlot;
  info.bytes = static_cast<uint8_t>(byteSize(info.type));
  info.count = static_cast<uint8_t>(data.count);
  info.address = static_cast<uint8_t>(in.resultCount);
  info.data = static_cast<uint8_t>(in.resultCount + 1);
  info.swap = static_cast<uint8_t>(info.data + 1);
  info.order = orderOf(context);
  info.scope = scopeOf(context);
  bool cas = info.op == AtomicOp::CompareAndSwap;
  if (!cas && info.type != Type::B128) {
    info.global = combineOf(info.op, info.type, true);
    info.shared = combineOf(info.op, info.type, false);
  }
  if (row.opcode == "red" &&
      (info.order == Order::Acquire || info.order == Order::AcqRel))
    context.fail("red has no result to acquire with");
  if (info.scope == Scope::Cluster && context.sm() < 90)
    context.fail("the scope .cluster needs sm_90");
  checkHint(context, in, info.data + info.count + (cas ? 1u : 0u));
  in.extra = context.keep(info);
}

void addForm(IsaTable &table, const SpaceForm &space, const Form &form,
             bool atom, unsigned count, unsigned sm, unsigned ptx) {
  Row row;
  row.opcode = atom ? "atom" : "red";
  if (*space.modifier)
    row.modifiers.push_back(space.modifier);
  row.modifiers.push_back(form.op);
  if (form.noftz)
    row.modifiers.push_back(".noftz");
  if (count > 1)
    row.modifiers.push_back(".v" + std::to_string(count));
  row.modifiers.push_back(std::string(typeName(form.type)));
  OperandSpec source = count > 1 ? operand::vector(count, form.type)
                                 : operand::source(form.type);
  OperandSpec result =
      count > 1 ? operand::vector(count, form.type) : operand::reg(form.type);
  if (atom)
    row.operands.push_back(result.sink());
  row.resultCount = atom;
  row.operands.push_back(operand::address());
  row.operands.push_back(source);
  if (form.code == AtomicOp::CompareAndSwap)
    row.operands.push_back(source);
  row.operands.push_back(operand::source(Type::B64).optional());
  row.minSm = std::max({sm, space.sm, form.sm});
  row.minPtx = std::max({ptx, space.ptx, form.ptx});
  row.cost = Cost::Atomic;
  row.options = {
      {"order", atom ? std::vector<std::string>{".relaxed", ".acquire",
                                                ".release", ".acq_rel"}
                     : std::vector<std::string>{".relaxed", ".release"}},
      {"scope", {".cta", ".cluster", ".gpu", ".sys"}},
      {"hint", {".L2::cache_hint"}, 80, 74}};
  row.handlers = form.type == Type::B128 ? handleWideAtomic : handleAtomic;
  row.decode = decodeAtomic;
  table.add(std::move(row));
}

/// Vectors: of f32 sums, and of 16-bit sums, minima and maxima.
void addVectors(IsaTable &table, const SpaceForm &space, bool atom) {
  auto add = [&](const char *op, AtomicOp code, Type type, bool noftz,
                 unsigned count) {
    addForm(table, space, {op, code, type, 90, 81, noftz}, atom, count, 90, 81);
  };
  for (unsigned count : {2u, 4u})
    add(".add", AtomicOp::Add, Type::F32, false, count);
  struct Op {
    const char *name;
    AtomicOp code;
  };
  for (Op op : {Op{".add", AtomicOp::Add}, Op{".min", AtomicOp::Min},
                Op{".max", AtomicOp::Max}}) {
    for (Type type : {Type::F16, Type::BF16})
      for (unsigned count : {2u, 4u, 8u})
        add(op.name, op.code, type, true, count);
    for (Type type : {Type::F16x2, Type::BF16x2})
      for (unsigned count : {2u, 4u})
        add(op.name, op.code, type, true, count);
  }
}

} // namespace

void registerAtomicRows(IsaTable &table) {
  for (const SpaceForm &space : kSpaces)
    for (bool atom : {true, false}) {
      for (const Form &form : kForms)
        if (atom || !form.atomOnly)
          addForm(table, space, form, atom, 1, 0, 0);
      if (space.space == Space::Generic || space.space == Space::Global)
        addVectors(table, space, atom);
    }
}

} // namespace ptx
