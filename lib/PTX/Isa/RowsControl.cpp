// Branches, calls, clocks, hints.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/DecodeContext.h"
#include "Isa/IsaTable.h"
#include "Machine/Handlers.h"

#include <initializer_list>
#include <string>

namespace ptx {
namespace {

Row control(const char *opcode, std::vector<std::string> modifiers,
            Handler handler) {
  Row row;
  row.opcode = opcode;
  row.modifiers = std::move(modifiers);
  row.resultCount = 0;
  row.cost = Cost::Control;
  row.handlers = handler;
  return row;
}

void addBranches(IsaTable &table) {
  for (bool uniform : {false, true}) {
    std::vector<std::string> uni;
    if (uniform)
      uni.push_back(".uni");
    Row bra = control("bra", uni, handleBranch);
    bra.operands = {operand::label()};
    table.add(bra);
    Row brx = control("brx", uni, handleIndexedBranch);
    brx.modifiers.insert(brx.modifiers.begin(), ".idx");
    brx.operands = {operand::source(Type::U32),
                    {OperandKind::LabelTable, Type::None}};
    brx.minPtx = 60;
    brx.machineWeight = 3;
    table.add(brx);
    Row call = control("call", uni, handleCall);
    call.operands = {
        {OperandKind::CallResults, Type::None, 1, operand::Optional},
        {OperandKind::Callee, Type::B64},
        {OperandKind::CallArguments, Type::None, 1, operand::Optional},
        {OperandKind::CallPrototype, Type::None, 1, operand::Optional}};
    call.machineWeight = 2;
    table.add(call);
    table.add(control("ret", uni, handleReturn));
  }
  table.add(control("exit", {}, handleExit));
  table.add(control("trap", {}, handleTrap));
  table.add(control("brkpt", {}, handleTrap));
}

void decodeNanosleep(DecodeContext &context, Instruction &in) {
  auto time = context.constant(0);
  if (time && *time > 1000000)
    context.fail("nanosleep takes at most 1000000 ns");
}

void decodeSetMaxReg(DecodeContext &context, Instruction &in) {
  auto count = context.constant(0);
  if (!count || *count < 24 || *count > 256 || *count % 8)
    context.fail("the register count is a multiple of 8 from 24 to 256");
}

void addHints(IsaTable &table) {
  auto other = [&](const char *opcode, std::vector<std::string> modifiers,
                   std::vector<OperandSpec> operands, unsigned sm,
                   unsigned ptx) {
    Row row = control(opcode, std::move(modifiers), handleNothing);
    row.cost = Cost::Other;
    row.operands = std::move(operands);
    row.minSm = sm;
    row.minPtx = ptx;
    return row;
  };
  Row sleep =
      other("nanosleep", {".u32"}, {operand::source(Type::U32)}, 70, 63);
  sleep.handlers = handleNanosleep;
  sleep.decode = decodeNanosleep;
  table.add(sleep);
  table.add(other("griddepcontrol", {".launch_dependents"}, {}, 90, 78));
  Row wait = other("griddepcontrol", {".wait"}, {}, 90, 78);
  wait.handlers = handleGridDependency;
  table.add(wait);
  for (const char *direction : {".inc", ".dec"}) {
    Row set = other("setmaxnreg", {direction, ".sync", ".aligned", ".u32"},
                    {operand::immediate(0, 256, Type::U32)}, 90, 80);
    set.aligned = true;
    set.needsA = set.laterFamilies = true;
    set.decode = decodeSetMaxReg;
    table.add(set);
  }
  table.add(other("pmevent", {}, {operand::immediate(0, 15, Type::U32)}, 0, 0));
  table.add(other("pmevent", {".mask"},
                  {operand::immediate(0, 65535, Type::U32)}, 0, 30));
}

void addStack(IsaTable &table) {
  for (bool wide : {false, true}) {
    Type type = wide ? Type::U64 : Type::U32;
    std::string name(typeName(type));
    Row row;
    row.opcode = "alloca";
    row.modifiers = {name};
    row.operands = {operand::reg(type), operand::source(type),
                    operand::immediate(1, 1 << 20, Type::U32).optional()};
    row.minSm = 52;
    row.minPtx = 73;
    row.cost = Cost::Other;
    row.machineWeight = 4;
    row.handlers = handleAlloca;
    row.decode = [](DecodeContext &context, Instruction &in) {
      auto align = context.constant(2);
      if (align && (*align & (*align - 1)))
        context.fail("the alignment is no power of two");
    };
    table.add(row);
    row.opcode = "stacksave";
    row.operands = {operand::reg(type)};
    row.machineWeight = 1;
    row.handlers = handleStackSave;
    row.decode = nullptr;
    table.add(row);
    row.opcode = "stackrestore";
    row.operands = {operand::reg(type)};
    row.resultCount = 0;
    row.handlers = handleStackRestore;
    table.add(row);
  }
}

/// Not an instruction of PTX: what a mov of %clock, %globaltimer and the like
/// becomes. Its extra says which clock.
void addClock(IsaTable &table) {
  Row row;
  row.opcode = "%clock";
  row.operands = {operand::reg(Type::B64), operand::source(Type::B64)};
  row.cost = Cost::Other;
  row.machineWeight = 2;
  row.handlers = handleClock;
  table.add(row);
}

} // namespace

void registerControlRows(IsaTable &table) {
  addBranches(table);
  addHints(table);
  addStack(table);
  addClock(table);
}

} // namespace ptx
