// Forms of clusterlaunchcontrol.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/LaunchControl.h"
#include "Isa/IsaTable.h"

#include <string>

namespace ptx {
namespace {

using namespace async;

Row base(std::vector<std::string> modifiers, Handler handler,
         std::vector<OperandSpec> operands, unsigned results) {
  Row row;
  row.opcode = "clusterlaunchcontrol";
  row.modifiers = std::move(modifiers);
  row.operands = std::move(operands);
  row.resultCount = results;
  row.minSm = 100;
  row.minPtx = 86;
  row.cost = Cost::Async;
  row.handlers = handler;
  return row;
}

void addRequests(IsaTable &table) {
  for (bool toAll : {false, true}) {
    Row row = base(
        {".try_cancel", ".async", ".mbarrier::complete_tx::bytes", ".b128"},
        handleTryCancel, {operand::address(), operand::address()}, 0);
    row.options = {{"space", {".shared::cta"}}};
    if (toAll) {
      row.modifiers.push_back(".multicast::cluster::all");
      row.needsA = row.laterFamilies = true;
    }
    row.decode = decodeTryCancel;
    table.add(std::move(row));
  }
}

void addQueries(IsaTable &table) {
  const OperandSpec response = operand::reg(Type::B128);
  Row asks = base({".query_cancel", ".is_canceled", ".pred", ".b128"},
                  handleIsCanceled, {operand::predicate(), response}, 1);
  table.add(std::move(asks));
  Row all =
      base({".query_cancel", ".get_first_ctaid", ".v4", ".b32", ".b128"},
           handleFirstBlock, {operand::vector(4, Type::B32), response}, 1);
  all.decode = decodeFirstBlock;
  table.add(std::move(all));
  for (const char *component : {"::x", "::y", "::z"}) {
    Row one =
        base({".query_cancel", std::string(".get_first_ctaid") + component,
              ".b32", ".b128"},
             handleFirstBlock, {operand::reg(Type::B32), response}, 1);
    one.decode = decodeFirstBlock;
    table.add(std::move(one));
  }
}

} // namespace

void registerLaunchControlRows(IsaTable &table) {
  addRequests(table);
  addQueries(table);
}

} // namespace ptx
