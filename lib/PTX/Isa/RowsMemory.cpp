// Loads and stores.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/DecodeContext.h"
#include "Isa/IsaTable.h"
#include "Machine/Memory.h"

#include <string>

namespace ptx {
namespace {

//===----------------------------------------------------------------------===//
// ld, st
//===----------------------------------------------------------------------===//

struct SpaceForm {
  const char *modifier; ///< "" for generic
  Space space;
  Cost cost;
  unsigned sm, ptx;
};
const SpaceForm kSpaces[] = {
    {"", Space::Generic, Cost::Global, 0, 0},
    {".global", Space::Global, Cost::Global, 0, 0},
    {".shared", Space::Shared, Cost::Shared, 0, 0},
    {".shared::cta", Space::Shared, Cost::Shared, 30, 78},
    {".shared::cluster", Space::Shared, Cost::Shared, 90, 78},
    {".local", Space::Local, Cost::Local, 0, 0},
    {".param", Space::Param, Cost::Constant, 0, 0},
    {".param::entry", Space::Param, Cost::Constant, 0, 83},
    {".param::func", Space::Param, Cost::Constant, 0, 83},
    {".const", Space::Constant, Cost::Constant, 0, 0},
};

const Type kMemoryTypes[] = {Type::B8,  Type::U8,  Type::S8,  Type::B16,
                             Type::U16, Type::S16, Type::B32, Type::U32,
                             Type::S32, Type::F32, Type::B64, Type::U64,
                             Type::S64, Type::F64};

OptionGroup order(bool load) {
  OptionGroup group{"order", {".weak", ".volatile", ".relaxed"}};
  group.choices.push_back(load ? ".acquire" : ".release");
  return group;
}
/// Accesses of mapped devices: never left out or joined, as none is here.
OptionGroup mapped() { return {"mmio", {".mmio"}, 70, 82}; }
OptionGroup scopes() { return {"scope", {".cta", ".cluster", ".gpu", ".sys"}}; }
OptionGroup eviction() {
  return {"eviction",
          {".L1::evict_normal", ".L1::evict_unchanged", ".L1::evict_first",
           ".L1::evict_last", ".L1::no_allocate"},
          70,
          74};
}
OptionGroup secondEviction() {
  return {"eviction in L2",
          {".L2::evict_normal", ".L2::evict_first", ".L2::evict_last"},
          100,
          88};
}
OptionGroup hint() { return {"hint", {".L2::cache_hint"}, 80, 74}; }
OptionGroup prefetchSize() {
  return {"prefetch", {".L2::64B", ".L2::128B", ".L2::256B"}, 75, 74};
}

Order orderOf(const DecodeContext &context) {
  std::string_view order = context.option("order");
  if (order == ".volatile")
    return Order::Volatile;
  if (order == ".relaxed")
    return Order::Relaxed;
  if (order == ".acquire")
    return Order::Acquire;
  return order == ".release" ? Order::Release : Order::Weak;
}

Scope scopeOf(const DecodeContext &context) {
  std::string_view scope = context.option("scope");
  return scope == ".cta"       ? Scope::Cta
         : scope == ".cluster" ? Scope::Cluster
         : scope == ".gpu"     ? Scope::Gpu
         : scope == ".sys"     ? Scope::Sys
                               : Scope::None;
}

/// Orders have scopes, weak accesses have none.
void checkOrder(DecodeContext &context, const MemoryInfo &info) {
  bool scoped = info.scope != Scope::None;
  bool needs = info.order >= Order::Relaxed;
  if (needs != scoped)
    context.fail(needs ? "'" + std::string(context.option("order")) +
                             "' needs a scope: .cta, .cluster, .gpu or .sys"
                       : "a scope needs .relaxed, .acquire or .release");
  if (context.has(".mmio") &&
      (info.order != Order::Relaxed || info.scope != Scope::Sys ||
       info.count > 1 ||
       (info.space != Space::Global && info.space != Space::Generic)))
    context.fail("'.mmio' needs .relaxed.sys, global memory and no vector");
  if (info.scope == Scope::Cluster && context.sm() < 90)
    context.fail("the scope .cluster needs sm_90");
  if (info.order != Order::Weak &&
      (info.space == Space::Local || info.space == Space::Param ||
       info.space == Space::Constant))
    context.fail("accesses of this state space have no memory order");
  if (info.order != Order::Weak && !context.option("cache").empty())
    context.fail("'" + std::string(context.option("cache")) +
                 "' is for accesses without a memory order");
  if (context.has(".L2::256B") && context.sm() < 80)
    context.fail("'.L2::256B' needs sm_80");
}

/// `.L2::cache_hint` and the operand with the policy come together.
void checkPolicy(DecodeContext &context, const Instruction &in,
                 unsigned position) {
  bool policy = position < in.operandCount && in.operand[position] != kNoSlot;
  bool written = !context.option("hint").empty();
  if (written && !policy)
    context.fail("'.L2::cache_hint' needs a cache policy as last operand");
  if (!written && policy)
    context.fail("a cache policy needs '.L2::cache_hint'");
}

/// What ld and st forms say about an access; the rest comes from operands.
MemoryInfo describe(DecodeContext &context, const Row &row, Type type,
                    unsigned count) {
  MemoryInfo info;
  info.space = Space::Generic;
  for (const SpaceForm &form : kSpaces)
    if (*form.modifier && context.has(form.modifier))
      info.space = form.space;
  info.bytes = static_cast<uint8_t>(byteSize(type));
  info.count = static_cast<uint8_t>(count);
  info.isSigned = isSigned(type);
  info.order = orderOf(context);
  info.scope = scopeOf(context);
  info.nonCoherent = !context.option("nc").empty();
  std::string_view cache = context.option("cache");
  info.pastL1 = cache == ".cg" || cache == ".cv";
  checkOrder(context, info);
  return info;
}

/// How the elements lie in the registers that \p in names for them.
ElementForm formOf(const Instruction &in, const MemoryInfo &info) {
  for (unsigned e = 0; e < info.count; ++e) {
    bool sink = in.operand[info.data + e] == kNoSlot;
    Width width = in.width[info.data + e];
    if (sink ? !in.resultCount || info.count == 1
             : bytesOf(width) != info.bytes &&
                   (info.bytes > 2 || width == Width::Double))
      return ElementForm::Other;
  }
  switch (info.bytes) {
  case 1:
    return info.count == 1 ? ElementForm::Byte : ElementForm::Other;
  case 2:
    return info.count == 1 ? ElementForm::Half : ElementForm::Other;
  case 4:
    return info.count == 1   ? ElementForm::Word
           : info.count == 2 ? ElementForm::Words2
           : info.count == 4 ? ElementForm::Words4
                             : ElementForm::Other;
  case 8:
    return info.count == 1   ? ElementForm::Double
           : info.count == 2 ? ElementForm::Doubles2
                             : ElementForm::Other;
  default:
    return ElementForm::Other;
  }
}

void decodeLoad(DecodeContext &context, Instruction &in) {
  const OperandSpec &data = in.row->operands[0];
  MemoryInfo info = describe(context, *in.row, data.type, data.count);
  info.data = 0;
  info.address = static_cast<uint8_t>(in.resultCount);
  if (info.nonCoherent && info.order != Order::Weak)
    context.fail("'.nc' has no memory order");
  checkPolicy(context, in, info.address + 1u);
  info.form = formOf(in, info);
  in.extra = context.keep(info);
}

void decodeStore(DecodeContext &context, Instruction &in) {
  const OperandSpec &data = in.row->operands[1];
  MemoryInfo info = describe(context, *in.row, data.type, data.count);
  info.address = 0;
  info.data = 1;
  checkPolicy(context, in, info.data + info.count);
  info.form = formOf(in, info);
  in.extra = context.keep(info);
}

OperandSpec dataOperand(Type type, unsigned count, bool load) {
  if (count > 1)
    return operand::vector(count, type).wider();
  return (load ? operand::reg(type) : operand::source(type)).wider();
}

/// Whether a vector of this form exists, and since when.
bool vectorVersion(const SpaceForm &space, Type type, unsigned count,
                   Row &row) {
  unsigned bytes = byteSize(type) * count;
  if (bytes <= 16)
    return true;
  // 256 bits: global memory of sm_100.
  if (bytes != 32 ||
      (space.space != Space::Global && space.space != Space::Generic) ||
      !((count == 8 && byteSize(type) == 4) ||
        (count == 4 && byteSize(type) == 8)))
    return false;
  row.minSm = 100;
  row.minPtx = 88;
  return true;
}

void addAccess(IsaTable &table, const SpaceForm &space, Type type,
               unsigned count, bool load) {
  Row row;
  row.opcode = load ? "ld" : "st";
  row.minSm = space.sm;
  row.minPtx = space.ptx;
  if (count > 1 && !vectorVersion(space, type, count, row))
    return;
  if (*space.modifier)
    row.modifiers.push_back(space.modifier);
  if (count > 1)
    row.modifiers.push_back(".v" + std::to_string(count));
  row.modifiers.push_back(std::string(typeName(type)));
  OperandSpec data = dataOperand(type, count, load);
  if (load)
    row.operands = {data, operand::address()};
  else
    row.operands = {operand::address(), data};
  row.resultCount = load;
  row.cost = space.cost;
  bool cached = space.space == Space::Generic || space.space == Space::Global;
  row.options = {order(load), mapped(), scopes()};
  if (load)
    row.options.push_back({"cache", {".ca", ".cg", ".cs", ".lu", ".cv"}});
  else
    row.options.push_back({"cache", {".wb", ".cg", ".cs", ".wt"}});
  if (cached) {
    row.options.push_back(eviction());
    if (byteSize(type) * count == 32)
      row.options.push_back(secondEviction());
    row.options.push_back(hint());
    if (load) {
      row.options.push_back(prefetchSize());
    }
    row.operands.push_back(operand::source(Type::B64).optional());
  }
  if (load && space.space == Space::Global)
    row.options.push_back({"nc", {".nc"}});
  if (load)
    row.handlers = {baseline::handleLoad, avx2::handleLoad, avx512::handleLoad};
  else
    row.handlers = {baseline::handleStore, avx2::handleStore,
                    avx512::handleStore};
  row.decode = load ? decodeLoad : decodeStore;
  table.add(std::move(row));
}

void addLoadsAndStores(IsaTable &table) {
  for (const SpaceForm &space : kSpaces)
    for (bool load : {true, false}) {
      bool readOnly = space.space == Space::Constant ||
                      std::string(space.modifier) == ".param::entry";
      if (!load && readOnly)
        continue;
      for (Type type : kMemoryTypes)
        for (unsigned count : {1u, 2u, 4u, 8u})
          addAccess(table, space, type, count, load);
      // 128 bits in one register.
      SpaceForm wide = space;
      wide.sm = std::max(70u, space.sm);
      wide.ptx = std::max(83u, space.ptx);
      addAccess(table, wide, Type::B128, 1, load);
    }
}

/// Loads through the read-only path, from before `.nc`.
void addUniformLoad(IsaTable &table, const SpaceForm &space, Type type,
                    unsigned count) {
  if (byteSize(type) * count > 16)
    return;
  Row row;
  row.opcode = "ldu";
  if (*space.modifier)
    row.modifiers.push_back(space.modifier);
  if (count > 1)
    row.modifiers.push_back(".v" + std::to_string(count));
  row.modifiers.push_back(std::string(typeName(type)));
  row.operands = {dataOperand(type, count, true), operand::address()};
  row.cost = Cost::Global;
  if (type == Type::B128) {
    row.minSm = 70;
    row.minPtx = 83;
  }
  row.handlers = {baseline::handleLoad, avx2::handleLoad, avx512::handleLoad};
  row.decode = [](DecodeContext &context, Instruction &in) {
    const OperandSpec &data = in.row->operands[0];
    MemoryInfo info = describe(context, *in.row, data.type, data.count);
    info.address = static_cast<uint8_t>(in.resultCount);
    info.nonCoherent = true;
    info.form = formOf(in, info);
    in.extra = context.keep(info);
  };
  table.add(std::move(row));
}

void addUniformLoads(IsaTable &table) {
  for (const SpaceForm &space : kSpaces) {
    if (space.space != Space::Generic && space.space != Space::Global)
      continue;
    for (Type type : kMemoryTypes)
      for (unsigned count : {1u, 2u, 4u})
        addUniformLoad(table, space, type, count);
    addUniformLoad(table, space, Type::B128, 1);
  }
}

} // namespace

void registerMemoryRows(IsaTable &table) {
  addLoadsAndStores(table);
  addUniformLoads(table);
}

} // namespace ptx
