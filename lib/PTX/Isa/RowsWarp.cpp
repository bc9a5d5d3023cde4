// Instructions between the lanes of a warp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/DecodeContext.h"
#include "Isa/IsaTable.h"
#include "Machine/Handlers.h"
#include "Machine/Shuffle.h"

#include <string>

namespace ptx {
namespace {

Row warpRow(const char *opcode, std::vector<std::string> modifiers,
            std::vector<OperandSpec> operands, int memberMask,
            HandlerSet handlers) {
  Row row;
  row.opcode = opcode;
  row.modifiers = std::move(modifiers);
  row.operands = std::move(operands);
  row.memberMask = memberMask;
  row.cost = Cost::Warp;
  row.handlers = handlers;
  return row;
}

OperandSpec pairedPredicate() { return operand::predicate().pair().optional(); }

void addShuffles(IsaTable &table) {
  struct Mode {
    const char *name;
    HandlerSet handlers;
  };
#define PTX_SHUFFLE(MODE)                                                      \
  {                                                                            \
    baseline::handleShuffle##MODE, avx2::handleShuffle##MODE,                  \
        avx512::handleShuffle##MODE                                            \
  }
  for (Mode mode :
       {Mode{".up", PTX_SHUFFLE(Up)}, Mode{".down", PTX_SHUFFLE(Down)},
        Mode{".bfly", PTX_SHUFFLE(Butterfly)},
        Mode{".idx", PTX_SHUFFLE(Index)}}) {
    Row row = warpRow("shfl", {".sync", mode.name, ".b32"},
                      {operand::reg(Type::B32), pairedPredicate(),
                       operand::source(Type::B32), operand::source(Type::B32),
                       operand::source(Type::B32), operand::source(Type::B32)},
                      5, mode.handlers);
    row.resultCount = 2;
    row.minSm = 30;
    row.minPtx = 60;
    table.add(row);
  }
#undef PTX_SHUFFLE
}

void addVotes(IsaTable &table) {
  OperandSpec source = operand::predicate(operand::Negate);
  struct Mode {
    const char *name;
    Handler handler;
  };
  for (Mode mode : {Mode{".all", handleVoteAll}, Mode{".any", handleVoteAny},
                    Mode{".uni", handleVoteUniform}}) {
    Row row =
        warpRow("vote", {".sync", mode.name, ".pred"},
                {operand::predicate(), source, operand::source(Type::B32)}, 2,
                mode.handler);
    row.minPtx = 60;
    table.add(row);
  }
  Row ballot =
      warpRow("vote", {".sync", ".ballot", ".b32"},
              {operand::reg(Type::B32), source, operand::source(Type::B32)}, 2,
              handleVoteBallot);
  ballot.minPtx = 60;
  table.add(ballot);
  Row mask = warpRow("activemask", {".b32"}, {operand::reg(Type::B32)}, -1,
                     handleActiveMask);
  mask.minPtx = 62;
  table.add(mask);
}

void addMatches(IsaTable &table) {
  for (Type type : {Type::B32, Type::B64}) {
    std::string name(typeName(type));
    Row any = warpRow("match", {".any", ".sync", name},
                      {operand::reg(Type::B32), operand::source(type),
                       operand::source(Type::B32)},
                      2, handleMatchAny);
    any.minSm = 70;
    any.minPtx = 60;
    any.machineWeight = 2;
    table.add(any);
    Row all = warpRow("match", {".all", ".sync", name},
                      {operand::reg(Type::B32), pairedPredicate(),
                       operand::source(type), operand::source(Type::B32)},
                      3, handleMatchAll);
    all.resultCount = 2;
    all.minSm = 70;
    all.minPtx = 60;
    all.machineWeight = 2;
    table.add(all);
  }
  Row elect = warpRow("elect", {".sync"},
                      {operand::reg(Type::B32).sink(),
                       operand::predicate().pair(), operand::source(Type::B32)},
                      2, handleElect);
  elect.resultCount = 2;
  elect.minSm = 90;
  elect.minPtx = 80;
  table.add(elect);
}

void addRedux(IsaTable &table) {
  struct Form {
    const char *op;
    Type type;
    Handler handler;
  };
  const Form forms[] = {
      {".add", Type::U32, handleRedux<ReduxOp::Add>},
      {".add", Type::S32, handleRedux<ReduxOp::Add>},
      {".min", Type::U32, handleRedux<ReduxOp::MinU>},
      {".max", Type::U32, handleRedux<ReduxOp::MaxU>},
      {".min", Type::S32, handleRedux<ReduxOp::MinS>},
      {".max", Type::S32, handleRedux<ReduxOp::MaxS>},
      {".and", Type::B32, handleRedux<ReduxOp::And>},
      {".or", Type::B32, handleRedux<ReduxOp::Or>},
      {".xor", Type::B32, handleRedux<ReduxOp::Xor>},
  };
  for (const Form &form : forms) {
    Row row =
        warpRow("redux", {".sync", form.op, std::string(typeName(form.type))},
                {operand::reg(form.type), operand::source(form.type),
                 operand::source(Type::B32)},
                2, form.handler);
    row.minSm = 80;
    row.minPtx = 70;
    row.machineWeight = 2;
    table.add(row);
  }
  for (const char *op : {".min", ".max"})
    for (bool absolute : {false, true})
      for (bool nan : {false, true}) {
        Row row = warpRow("redux", {".sync", op},
                          {operand::reg(Type::F32), operand::source(Type::F32),
                           operand::source(Type::B32)},
                          2, handleReduxFloat);
        if (absolute)
          row.modifiers.push_back(".abs");
        if (nan)
          row.modifiers.push_back(".NaN");
        row.modifiers.push_back(".f32");
        row.minSm = 100;
        row.minPtx = 86;
        row.needsA = true;
        row.decode = [](DecodeContext &context, Instruction &in) {
          ReduxFloatInfo info;
          info.maximum = context.has(".max");
          info.absolute = context.has(".abs");
          info.nan = context.has(".NaN");
          in.extra = context.keep(info);
        };
        table.add(row);
      }
}

} // namespace

void registerWarpRows(IsaTable &table) {
  addShuffles(table);
  addVotes(table);
  addMatches(table);
  addRedux(table);
}

} // namespace ptx
