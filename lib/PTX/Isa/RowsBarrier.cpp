// Barriers and fences.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/DecodeContext.h"
#include "Isa/IsaTable.h"
#include "Machine/Handlers.h"

#include <string>

namespace ptx {
namespace {

using Modifiers = std::vector<std::string>;

//===----------------------------------------------------------------------===//
// bar, barrier
//===----------------------------------------------------------------------===//

void decodeBarrier(DecodeContext &context, Instruction &in) {
  BarrierInfo info;
  unsigned next = in.resultCount;
  info.arriveOnly = context.has(".arrive");
  if (context.has(".red"))
    info.reduction = context.has(".popc")  ? Reduction::Popc
                     : context.has(".and") ? Reduction::And
                                           : Reduction::Or;
  info.number = static_cast<uint8_t>(next++);
  // A count is there if one more operand is than the form needs.
  bool reduces = info.reduction != Reduction::None;
  if (in.operandCount > next + reduces)
    info.count = static_cast<int8_t>(next++);
  if (reduces)
    info.predicate = static_cast<uint8_t>(next);
  if (auto number = context.constant(info.number); number && *number > 15)
    context.fail("there is no barrier " + std::to_string(*number) +
                 "; the last one is 15");
  if (info.count >= 0)
    if (auto count = context.constant(static_cast<unsigned>(info.count));
        count && (*count % 32 || !*count))
      context.fail("the thread count of a barrier is a multiple of 32");
  in.extra = context.keep(info);
}

/// `bar` is `barrier.aligned`. Both exist with and without `.cta`.
void addBarrierForms(IsaTable &table, const char *opcode, Modifiers operation,
                     bool aligned, Type result) {
  for (bool cta : {false, true})
    for (bool count : {false, true}) {
      bool arrives = operation[0] == ".arrive";
      if (arrives && !count)
        continue; // an arrival says for how many
      Row row;
      row.opcode = opcode;
      if (cta)
        row.modifiers.push_back(".cta");
      row.modifiers.insert(row.modifiers.end(), operation.begin(),
                           operation.end());
      bool isBar = row.opcode == "bar";
      if (!isBar && aligned)
        row.modifiers.insert(row.modifiers.begin() + cta + 1, ".aligned");
      row.aligned = aligned;
      row.resultCount = result != Type::None;
      if (result == Type::Pred)
        row.operands.push_back(operand::predicate());
      else if (result != Type::None)
        row.operands.push_back(operand::reg(result));
      row.operands.push_back(operand::source(Type::U32));
      if (count)
        row.operands.push_back(operand::source(Type::U32));
      if (row.resultCount)
        row.operands.push_back(operand::predicate(operand::Negate));
      row.minPtx = cta ? 78 : isBar ? 0 : 60;
      row.cost = Cost::Barrier;
      row.handlers = handleBarrier;
      row.decode = decodeBarrier;
      table.add(std::move(row));
    }
}

void addNamedBarriers(IsaTable &table) {
  struct Kind {
    const char *opcode;
    bool aligned;
  };
  for (Kind kind :
       {Kind{"bar", true}, Kind{"barrier", true}, Kind{"barrier", false}}) {
    addBarrierForms(table, kind.opcode, {".sync"}, kind.aligned, Type::None);
    addBarrierForms(table, kind.opcode, {".arrive"}, kind.aligned, Type::None);
    addBarrierForms(table, kind.opcode, {".red", ".popc", ".u32"}, kind.aligned,
                    Type::U32);
    for (const char *op : {".and", ".or"})
      addBarrierForms(table, kind.opcode, {".red", op, ".pred"}, kind.aligned,
                      Type::Pred);
  }
  Row row;
  row.opcode = "bar";
  row.modifiers = {".warp", ".sync"};
  row.operands = {operand::source(Type::B32)};
  row.resultCount = 0;
  row.memberMask = 0;
  row.minPtx = 60;
  row.cost = Cost::Barrier;
  row.handlers = handleWarpBarrier;
  table.add(row);
}

void addClusterBarriers(IsaTable &table) {
  auto add = [&](const char *step, const char *order, bool aligned,
                 unsigned ptx) {
    Row row;
    row.opcode = "barrier";
    row.modifiers = {".cluster", step};
    if (*order)
      row.modifiers.push_back(order);
    if (aligned)
      row.modifiers.push_back(".aligned");
    row.resultCount = 0;
    row.aligned = aligned;
    row.minSm = 90;
    row.minPtx = ptx;
    row.cost = Cost::Barrier;
    bool arrives = row.modifiers[1] == ".arrive";
    row.handlers = arrives ? handleClusterArrive : handleClusterWait;
    row.decode = [](DecodeContext &context, Instruction &in) {
      BarrierInfo info;
      info.relaxed = context.has(".relaxed");
      in.extra = context.keep(info);
    };
    table.add(std::move(row));
  };
  for (bool aligned : {false, true}) {
    add(".arrive", "", aligned, 78);
    add(".arrive", ".release", aligned, 80);
    add(".arrive", ".relaxed", aligned, 80);
    add(".wait", "", aligned, 78);
    add(".wait", ".acquire", aligned, 80);
  }
}

//===----------------------------------------------------------------------===//
// fence, membar
//===----------------------------------------------------------------------===//

Scope scopeOf(const DecodeContext &context) {
  if (context.has(".cta"))
    return Scope::Cta;
  if (context.has(".cluster"))
    return Scope::Cluster;
  return context.has(".sys") ? Scope::Sys : Scope::Gpu;
}

void decodeFence(DecodeContext &context, Instruction &in) {
  FenceInfo info;
  info.scope = scopeOf(context);
  if (context.has(".acquire"))
    info.order = Order::Acquire;
  else if (context.has(".release"))
    info.order = Order::Release;
  in.extra = context.keep(info);
}

Row fence(const char *opcode, Modifiers modifiers, unsigned sm, unsigned ptx,
          float weight) {
  Row row;
  row.opcode = opcode;
  row.modifiers = std::move(modifiers);
  row.resultCount = 0;
  row.minSm = sm;
  row.minPtx = ptx;
  row.cost = Cost::Barrier;
  row.machineWeight = weight;
  row.handlers = handleFence;
  row.decode = decodeFence;
  return row;
}

void addFences(IsaTable &table) {
  for (const char *scope : {".cta", ".cluster", ".gpu", ".sys"}) {
    bool cluster = std::string(scope) == ".cluster";
    unsigned sm = cluster ? 90 : 70, ptx = cluster ? 78 : 60;
    for (const char *order : {".sc", ".acq_rel"})
      table.add(fence("fence", {order, scope}, sm, ptx, 2));
    for (const char *order : {".acquire", ".release"})
      table.add(fence("fence", {order, scope}, sm, ptx, 2));
    table.add(fence("fence", {scope}, sm, ptx, 2)); // acq_rel
  }
  // Of one direction, for synchronisation through one kind of memory: weaker
  // than the plain ones, as which they are executed.
  table.add(fence("fence",
                  {".acquire", ".sync_restrict::shared::cluster", ".cluster"},
                  90, 86, 2));
  table.add(fence("fence",
                  {".release", ".sync_restrict::shared::cta", ".cluster"}, 90,
                  86, 2));
  for (const char *level : {".cta", ".gl", ".sys"})
    table.add(fence("membar", {level}, 0, 0, 2));
}

} // namespace

void registerBarrierRows(IsaTable &table) {
  addNamedBarriers(table);
  addClusterBarriers(table);
  addFences(table);
}

} // namespace ptx
