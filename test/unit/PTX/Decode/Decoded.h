// A text decoded by a small table of instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_DECODE_DECODED_H
#define PTX_TEST_DECODE_DECODED_H

#include "Decode/DecodeContext.h"
#include "Decode/ModuleDecoder.h"
#include "Syntax/Parser.h"
#include "ptx/Error.h"

#include <gtest/gtest.h>

namespace ptx::test {

inline void nothing(Warp &, const Instruction &) {}

inline Row form(const char *opcode, std::vector<std::string> modifiers,
                std::vector<OperandSpec> operands, unsigned results = 1) {
  Row row;
  row.opcode = opcode;
  row.modifiers = std::move(modifiers);
  row.operands = std::move(operands);
  row.resultCount = results;
  row.handlers = HandlerSet(nothing);
  return row;
}

inline void addControl(IsaTable &made) {
  using namespace operand;
  auto control = [&](Row row) {
    row.cost = Cost::Control;
    made.add(row);
  };
  control(form("ret", {}, {}, 0));
  control(form("exit", {}, {}, 0));
  control(form("bra", {}, {label()}, 0));
  control(form("brx", {".idx"},
               {source(Type::U32), {OperandKind::LabelTable, Type::None}}, 0));
  control(form("call", {},
               {{OperandKind::CallResults, Type::None},
                {OperandKind::Callee, Type::None},
                {OperandKind::CallArguments, Type::None},
                {OperandKind::CallPrototype, Type::None}},
               0));
}

/// mov, add, ld and st of the usual types, and mov of vectors and predicates.
inline void addMoves(IsaTable &made) {
  using namespace operand;
  for (Type type : {Type::U16, Type::U32, Type::S32, Type::B32, Type::U64,
                    Type::B64, Type::F32, Type::F64}) {
    std::string name(typeName(type));
    made.add(form("mov", {name},
                  {reg(type), {OperandKind::SourceOrAddressOf, type}}));
    made.add(form("add", {name}, {reg(type), source(type), source(type)}));
    for (std::string space : {"", ".global", ".shared", ".local", ".param"}) {
      std::vector<std::string> modifiers{name};
      if (!space.empty())
        modifiers.push_back(space);
      made.add(form("ld", modifiers, {reg(type).wider().sink(), address()}));
      made.add(form("st", modifiers, {address(), source(type).wider()}, 0));
    }
  }
  made.add(form("mov", {".b32"}, {vector(2, Type::B16), source(Type::B32)}));
  made.add(form("mov", {".b32"}, {reg(Type::B32), vector(2, Type::B16)}));
  made.add(form("mov", {".pred"}, {predicate(), predicate(Negate)}));
}

/// One form for each odd kind of operand.
inline void addOddOperands(IsaTable &made) {
  using namespace operand;
  made.add(form("setp", {".lt", ".s32"},
                {predicate(Sink), predicate(Sink | Pair | Optional),
                 source(Type::S32), source(Type::S32)},
                2));
  made.add(form("ld", {".global", ".v4", ".b32"},
                {vector(4, Type::B32).sink(), address()}));
  made.add(form("cvt", {".u64", ".u32"},
                {reg(Type::U64).wider(), source(Type::U32).wider()}));
  made.add(form("lop3", {".b32"},
                {reg(Type::B32), source(Type::B32), source(Type::B32),
                 source(Type::B32), immediate(0, 255)}));
  Row shuffle = form("shfl", {".sync", ".idx", ".b32"},
                     {reg(Type::B32), predicate(Pair | Optional | Sink),
                      source(Type::B32), source(Type::B32), source(Type::B32),
                      source(Type::B32)},
                     2);
  shuffle.memberMask = 5;
  made.add(shuffle);
}

/// Forms with gates, options and a decoder of their own.
inline void addChecked(IsaTable &made) {
  using namespace operand;
  Row newer = form("newer", {}, {reg(Type::B32)});
  newer.minSm = 90;
  newer.minPtx = 80;
  newer.needsA = true;
  made.add(newer);
  made.add(form("copy", {".shared", ".global"},
                {address(), tensorAddress(2), address()}, 0));
  made.add(form("wgmma", {}, {vector(2, Type::F32), source(Type::B64)}));
  Row clock = form("%clock", {}, {reg(Type::B32)});
  made.add(clock);
  Row checked = form("checked", {".a"}, {reg(Type::B32), source(Type::B32)});
  checked.options = {{"color", {".red", ".blue"}}};
  checked.decode = [](DecodeContext &context, Instruction &in) {
    if (context.constant(1) == 13)
      context.fail("thirteen");
    in.extra =
        context.keep<std::string>(std::string(context.option("color")) +
                                  std::to_string(context.registerBits(0)));
  };
  made.add(checked);
}

/// Enough instructions to say what the decoder does with each kind of operand;
/// what the real rows do with theirs is tested with them.
inline const IsaTable &smallTable() {
  static const IsaTable table = [] {
    IsaTable made;
    addControl(made);
    addMoves(made);
    addOddOperands(made);
    addChecked(made);
    return made;
  }();
  return table;
}

/// A decoded module; owns everything the program points to.
struct Decoded {
  explicit Decoded(std::string body,
                   std::string header = ".version 8.7\n.target sm_90a\n"
                                        ".address_size 64\n")
      : text(header + std::move(body)), ast(syntax::Parser(text).parse()),
        decoder(ast, smallTable()) {
    decoder.decode();
    program = decoder.takeProgram();
  }
  const Instruction &in(size_t i) const { return program.instructions.at(i); }
  const Function &function(size_t i = 0) const {
    return program.functions.at(i);
  }
  /// The value of a constant operand, of lane 5.
  uint64_t constant(size_t instruction, unsigned operand) const {
    const Instruction &at = in(instruction);
    EXPECT_LT(operand, at.operandCount);
    Slot slot = at.operand[operand];
    EXPECT_TRUE(slot != kNoSlot && (slot & kConstant));
    const std::byte *data = program.constants.data + (slot & ~kConstant);
    if (at.width[operand] == Width::Double)
      return reinterpret_cast<const uint64_t *>(data)[5];
    if (at.width[operand] == Width::Predicate)
      return *reinterpret_cast<const uint32_t *>(data);
    return reinterpret_cast<const uint32_t *>(data)[5];
  }
  std::string text;
  syntax::Module ast;
  ModuleDecoder decoder;
  Program program;
};

/// The declarations most tests want around their statements.
inline std::string kernel(const std::string &body) {
  return ".visible .entry k(.param .u64 P0, .param .u32 P1) {\n"
         ".reg .pred p, q; .reg .b16 h<4>; .reg .b32 t<8>; .reg .f32 f<4>;\n"
         ".reg .b64 l<4>; .reg .s32 s<2>; .reg .f64 d<2>; .reg .f16 hf;\n"
         ".reg .v4 .f32 V; .shared .align 4 .b8 sm[64];\n" +
         body + "\nret;\n}\n";
}

inline Error
decodeError(const std::string &body,
            const std::string &header = ".version 8.7\n.target sm_90a\n") {
  try {
    Decoded decoded(body, header);
  } catch (const Error &error) {
    return error;
  }
  ADD_FAILURE() << "no error for: " << body;
  return Error("none");
}

} // namespace ptx::test

#endif // PTX_TEST_DECODE_DECODED_H
