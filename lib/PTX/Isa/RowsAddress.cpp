// Addresses, prefetches, cache policies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/DecodeContext.h"
#include "Isa/IsaTable.h"
#include "Machine/AddressOps.h"
#include "Machine/Handlers.h"

#include <string>

namespace ptx {
namespace {

//===----------------------------------------------------------------------===//
// Prefetches and cache control
//===----------------------------------------------------------------------===//

Row hintRow(const char *opcode, std::vector<std::string> modifiers, unsigned sm,
            unsigned ptx) {
  Row row;
  row.opcode = opcode;
  row.modifiers = std::move(modifiers);
  row.operands = {operand::address()};
  row.resultCount = 0;
  row.minSm = sm;
  row.minPtx = ptx;
  row.cost = Cost::Other;
  row.handlers = handlePrefetch;
  row.decode = decodePrefetch;
  return row;
}

void addPrefetches(IsaTable &table) {
  for (const char *space : {"", ".global", ".local"})
    for (const char *level : {".L1", ".L2"}) {
      std::vector<std::string> modifiers;
      if (*space)
        modifiers.push_back(space);
      modifiers.push_back(level);
      table.add(hintRow("prefetch", modifiers, 0, 20));
    }
  for (const char *level : {".L2::evict_last", ".L2::evict_normal"}) {
    table.add(hintRow("prefetch", {level}, 80, 74));
    table.add(hintRow("prefetch", {".global", level}, 80, 74));
  }
  table.add(hintRow("prefetchu", {".L1"}, 0, 20));
  for (const char *space : {"", ".const", ".param"}) {
    std::vector<std::string> modifiers;
    if (*space)
      modifiers.push_back(space);
    modifiers.push_back(".tensormap");
    table.add(hintRow("prefetch", modifiers, 90, 80));
  }
  for (const char *space : {"", ".global"}) {
    for (const char *opcode : {"discard", "applypriority"}) {
      std::vector<std::string> modifiers;
      if (*space)
        modifiers.push_back(space);
      bool discard = opcode[0] == 'd';
      modifiers.push_back(discard ? ".L2" : ".L2::evict_normal");
      Row row = hintRow(opcode, modifiers, 80, 74);
      row.operands.push_back(operand::immediate(128, 128));
      if (discard)
        row.handlers = handleDiscard;
      table.add(std::move(row));
    }
  }
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

void addAddressOps(IsaTable &table) {
  struct Window {
    const char *modifier;
    AddressWindow window;
    unsigned sm, ptx;
  };
  const Window windows[] = {
      {".const", AddressWindow::Constant, 20, 31},
      {".global", AddressWindow::Global, 20, 20},
      {".local", AddressWindow::Local, 20, 20},
      {".shared", AddressWindow::Shared, 20, 20},
      {".shared::cta", AddressWindow::Shared, 30, 78},
      {".shared::cluster", AddressWindow::SharedCluster, 90, 78},
      {".param", AddressWindow::Param, 20, 77},
      {".param::entry", AddressWindow::Param, 70, 83}};
  for (const Window &window : windows) {
    auto set = [&](Row &row) {
      row.minSm = window.sm;
      row.minPtx = window.ptx;
      row.decode = decodeAddressOp;
    };
    for (bool to : {false, true}) {
      Row row;
      row.opcode = "cvta";
      if (to)
        row.modifiers.push_back(".to");
      row.modifiers.push_back(window.modifier);
      row.modifiers.push_back(".u64");
      OperandSpec source{OperandKind::SourceOrAddressOf, Type::U64};
      row.operands = {operand::reg(Type::U64),
                      to ? operand::source(Type::U64) : source};
      row.handlers = to ? handleToSpace : handleToGeneric;
      set(row);
      table.add(std::move(row));
    }
    Row row;
    row.opcode = "isspacep";
    row.modifiers = {window.modifier};
    row.operands = {operand::predicate(), operand::source(Type::U64)};
    row.handlers = handleIsSpace;
    set(row);
    table.add(std::move(row));
  }
}

void addClusterAddresses(IsaTable &table) {
  for (const char *space : {"", ".shared::cluster"})
    for (Type type : {Type::U32, Type::U64}) {
      std::vector<std::string> modifiers;
      if (*space)
        modifiers.push_back(space);
      modifiers.push_back(std::string(typeName(type)));
      OperandSpec source{OperandKind::SourceOrAddressOf, type};
      Row row;
      row.opcode = "mapa";
      row.modifiers = modifiers;
      row.operands = {operand::reg(type), source, operand::source(Type::U32)};
      row.minSm = 90;
      row.minPtx = 78;
      row.handlers = handleMapAddress;
      row.decode = decodeAddressOp;
      table.add(row);
      row.opcode = "getctarank";
      row.operands = {operand::reg(Type::U32), source};
      row.handlers = handleGetRank;
      table.add(row);
    }
}

void addPolicies(IsaTable &table) {
  const char *primaries[] = {".L2::evict_last", ".L2::evict_normal",
                             ".L2::evict_first", ".L2::evict_unchanged"};
  for (const char *primary : primaries)
    for (const char *secondary :
         {"", ".L2::evict_first", ".L2::evict_unchanged"}) {
      Row row;
      row.opcode = "createpolicy";
      row.cost = Cost::Other;
      row.minSm = 80;
      row.minPtx = 74;
      row.handlers = handleCreatePolicy;
      auto modifiers = [&](std::vector<std::string> all) {
        if (*secondary)
          all.push_back(secondary);
        all.push_back(".b64");
        return all;
      };
      row.modifiers = modifiers({".fractional", primary});
      row.operands = {operand::reg(Type::B64),
                      operand::source(Type::F32).optional()};
      table.add(row);
      for (const char *space : {"", ".global"}) {
        std::vector<std::string> all{".range"};
        if (*space)
          all.push_back(space);
        all.push_back(primary);
        row.modifiers = modifiers(all);
        row.operands = {operand::reg(Type::B64), operand::address(),
                        operand::source(Type::U32), operand::source(Type::U32)};
        table.add(row);
      }
    }
  Row row;
  row.opcode = "createpolicy";
  row.modifiers = {".cvt", ".L2", ".b64"};
  row.operands = {operand::reg(Type::B64), operand::source(Type::B64)};
  row.cost = Cost::Other;
  row.minSm = 80;
  row.minPtx = 74;
  row.handlers = handleCreatePolicy;
  table.add(row);
}

} // namespace

void registerAddressRows(IsaTable &table) {
  addPrefetches(table);
  addAddressOps(table);
  addClusterAddresses(table);
  addPolicies(table);
}

} // namespace ptx
