// Forms of mbarrier and of proxy fences.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/MbarrierHandlers.h"
#include "Decode/DecodeContext.h"
#include "Isa/IsaTable.h"
#include "Machine/Handlers.h"

#include <string>
#include <vector>

namespace ptx {
namespace {

using namespace async;
using Modifiers = std::vector<std::string>;

OptionGroup ownShared() { return {"space", {".shared", ".shared::cta"}}; }
OptionGroup scopes() { return {"scope", {".cta", ".cluster"}, 80, 80}; }

Row base(Modifiers modifiers, unsigned sm, unsigned ptx, Handler handler) {
  Row row;
  row.opcode = "mbarrier";
  row.modifiers = std::move(modifiers);
  row.resultCount = 0;
  row.minSm = sm;
  row.minPtx = ptx;
  row.cost = Cost::Mbarrier;
  row.handlers = handler;
  row.decode = decodeMbarrier;
  return row;
}

void addLifetime(IsaTable &table) {
  Row init = base({".init", ".b64"}, 80, 70, handleMbarrierInit);
  init.operands = {operand::address(), operand::source(Type::U32)};
  init.options = {ownShared()};
  table.add(std::move(init));
  Row inval = base({".inval", ".b64"}, 80, 70, handleMbarrierInval);
  inval.operands = {operand::address()};
  inval.options = {ownShared()};
  table.add(std::move(inval));
  Row count =
      base({".pending_count", ".b64"}, 80, 70, handleMbarrierPendingCount);
  count.operands = {operand::reg(Type::U32), operand::source(Type::B64)};
  count.resultCount = 1;
  count.decode = nullptr;
  table.add(std::move(count));
}

void addTransactions(IsaTable &table) {
  for (const char *step : {".expect_tx", ".complete_tx"})
    for (bool cluster : {false, true}) {
      Row row = base({step, ".b64"}, 90, 80, handleMbarrierTransaction);
      if (cluster)
        row.modifiers.insert(row.modifiers.begin() + 1, ".shared::cluster");
      else
        row.options = {ownShared()};
      row.options.push_back({"order", {".relaxed"}});
      row.options.push_back(scopes());
      row.operands = {operand::address(), operand::source(Type::U32)};
      table.add(std::move(row));
    }
}

/// One arrival: in the own block's memory with a state as result, or anywhere
/// in the cluster with the sink `_`.
void addArrival(IsaTable &table, Modifiers steps, unsigned sm, unsigned ptx,
                bool hasValue, bool optionalValue) {
  for (bool remote : {false, true}) {
    if (remote && steps.back() == ".noComplete")
      continue; // of the own block only
    Row row = base(steps, remote ? 90 : sm, remote && ptx < 80 ? 80 : ptx,
                   handleMbarrierArrive);
    if (remote)
      row.modifiers.push_back(".shared::cluster");
    row.modifiers.push_back(".b64");
    if (!remote)
      row.options = {ownShared()};
    row.options.push_back({"order", {".release", ".relaxed"}});
    row.options.push_back(scopes());
    row.operands = {operand::reg(Type::B64).sink(), operand::address()};
    row.resultCount = 1;
    if (hasValue) {
      OperandSpec value = operand::source(Type::U32);
      row.operands.push_back(optionalValue ? value.optional() : value);
    }
    table.add(std::move(row));
  }
}

void addArrivals(IsaTable &table) {
  for (const char *step : {".arrive", ".arrive_drop"}) {
    addArrival(table, {step}, 80, 70, true, true);
    addArrival(table, {step, ".expect_tx"}, 90, 80, true, false);
    addArrival(table, {step, ".noComplete"}, 80, 70, true, false);
  }
}

void addWaits(IsaTable &table) {
  for (bool tries : {false, true})
    for (bool parity : {false, true}) {
      Row row = base({tries ? ".try_wait" : ".test_wait"}, tries ? 90 : 80,
                     tries    ? 78
                     : parity ? 71
                              : 70,
                     handleMbarrierWait);
      if (parity)
        row.modifiers.push_back(".parity");
      row.modifiers.push_back(".b64");
      row.options = {
          ownShared(), {"order", {".acquire", ".relaxed"}, 80, 80}, scopes()};
      row.operands = {operand::predicate(), operand::address(),
                      operand::source(parity ? Type::U32 : Type::B64)};
      row.resultCount = 1;
      if (tries)
        row.operands.push_back(operand::source(Type::U32).optional());
      table.add(std::move(row));
    }
}

void decodeProxyFence(DecodeContext &context, Instruction &in) {
  FenceInfo info;
  info.proxy = true;
  info.scope = context.has(".cta")       ? Scope::Cta
               : context.has(".cluster") ? Scope::Cluster
               : context.has(".sys")     ? Scope::Sys
                                         : Scope::Gpu;
  if (context.has(".acquire"))
    info.order = Order::Acquire;
  else if (context.has(".release"))
    info.order = Order::Release;
  in.extra = context.keep(info);
}

void addFence(IsaTable &table, Modifiers modifiers, unsigned sm, unsigned ptx,
              std::vector<OperandSpec> operands = {},
              const char *opcode = "fence") {
  Row row = base(std::move(modifiers), sm, ptx, handleFence);
  row.opcode = opcode;
  row.operands = std::move(operands);
  row.cost = Cost::Barrier;
  row.decode = decodeProxyFence;
  table.add(std::move(row));
}

void addProxyFences(IsaTable &table) {
  addFence(table, {".proxy", ".alias"}, 75, 75);
  addFence(table, {".proxy", ".alias"}, 75, 75, {}, "membar");
  for (const char *space :
       {"", ".global", ".shared::cta", ".shared::cluster"}) {
    Modifiers modifiers = {".proxy", ".async"};
    if (*space)
      modifiers.push_back(space);
    addFence(table, modifiers, 90, 80);
  }
  addFence(table, {".mbarrier_init", ".release", ".cluster"}, 90, 80);
  for (const char *scope : {".cta", ".cluster", ".gpu", ".sys"}) {
    addFence(table, {".proxy", ".tensormap::generic", ".release", scope}, 90,
             83);
    addFence(table, {".proxy", ".tensormap::generic", ".acquire", scope}, 90,
             83, {operand::address(), operand::immediate(128, 128)});
  }
  addFence(table,
           {".proxy", ".async::generic", ".acquire",
            ".sync_restrict::shared::cluster", ".cluster"},
           90, 86);
  addFence(table,
           {".proxy", ".async::generic", ".release",
            ".sync_restrict::shared::cta", ".cluster"},
           90, 86);
}

} // namespace

void registerMbarrierRows(IsaTable &table) {
  addLifetime(table);
  addTransactions(table);
  addArrivals(table);
  addWaits(table);
  addProxyFences(table);
}

} // namespace ptx
