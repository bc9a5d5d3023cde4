// What the grammar of PTX means.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Syntax/Parser.h"
#include "ptx/Error.h"

#include <gtest/gtest.h>

using namespace ptx;
using namespace ptx::syntax;

namespace {
const std::string kHeader = ".version 8.7\n.target sm_90a\n.address_size 64\n";

/// The text must outlive the tree: it is kept here.
struct Parsed {
  explicit Parsed(std::string body) : text(kHeader + std::move(body)) {
    module = Parser(text).parse();
  }
  std::string text;
  Module module;
};

std::string inKernel(const std::string &body) {
  return ".visible .entry k()\n{\n" + body + "\n}\n";
}

/// The constant `mov.b64 a, <text>;` gives.
Constant constant(const std::string &text) {
  Parsed parsed(inKernel("mov.b64 a, " + text + ";"));
  const Function &function = parsed.module.functions.at(0);
  return function.operands.at(function.instructions.at(0).firstOperand + 1)
      .constant;
}

uint64_t value(const std::string &text) { return constant(text).bits; }

/// The error of a whole text.
Error errorOf(const std::string &text) {
  try {
    Parser(text).parse();
  } catch (const Error &error) {
    return error;
  }
  ADD_FAILURE() << "no error for: " << text;
  return Error("none");
}
} // namespace

TEST(ParserHeader, ReadsVersionTargetAndSize) {
  Parsed parsed("");
  EXPECT_EQ(parsed.module.version, 87u);
  EXPECT_EQ(parsed.module.sm, 90u);
  EXPECT_EQ(parsed.module.smSuffix, 'a');
}

TEST(ParserHeader, TakesOptionsOfTheTarget) {
  std::string text = ".version 9.0\n.target sm_80, debug\n";
  EXPECT_EQ(Parser(text).parse().sm, 80u);
}

TEST(ParserHeader, RefusesWhatItDoesNotKnow) {
  EXPECT_NE(errorOf("").why.find("empty"), std::string::npos);
  EXPECT_NE(errorOf(".target sm_90").why.find(".version"), std::string::npos);
  EXPECT_NE(errorOf(".version 10.0\n.target sm_90").why.find("newer"),
            std::string::npos);
  for (const char *target :
       {"sm_91", "sm_9", "sm_90b", "sm_80a", "sm_4D", "compute_90", "sm_"})
    EXPECT_NE(errorOf(std::string(".version 8.0\n.target ") + target)
                  .why.find("unknown target"),
              std::string::npos)
        << target;
  EXPECT_NE(errorOf(kHeader + ".address_size 32").why.find("64-bit"),
            std::string::npos);
}

TEST(ParserConstant, Integers) {
  EXPECT_EQ(value("42"), 42u);
  EXPECT_EQ(value("0x2A"), 42u);
  EXPECT_EQ(value("0b101010"), 42u);
  EXPECT_EQ(value("052"), 42u);
  EXPECT_EQ(value("08"), 8u); // as the assembler reads it
  EXPECT_EQ(value("42U"), 42u);
  EXPECT_EQ(value("-1"), ~uint64_t{0});
  EXPECT_EQ(value("18446744073709551615"), ~uint64_t{0});
  EXPECT_EQ(value("WARP_SZ"), 32u);
}

TEST(ParserConstant, Floats) {
  EXPECT_EQ(constant("0f3F800000").kind, Constant::Kind::Single);
  EXPECT_EQ(value("0f3F800000"), 0x3f800000u);
  EXPECT_EQ(value("0d3FF0000000000000"), 0x3ff0000000000000u);
  EXPECT_EQ(value("-0fFF800001"), 0x7f800001u); // NaNs keep their payload
  EXPECT_EQ(constant("1.5").asDouble(), 1.5);
  EXPECT_EQ(constant(".5e1").asDouble(), 5.0);
  EXPECT_EQ(constant("5.").asDouble(), 5.0);
  EXPECT_EQ(constant("1e3").asDouble(), 1000.0);
  EXPECT_EQ(constant("0d3FF0000000000000").asSingleBits(), 0x3f800000u);
}

TEST(ParserConstant, Expressions) {
  EXPECT_EQ(value("2+3*4"), 14u);
  EXPECT_EQ(value("(2+3)*4"), 20u);
  EXPECT_EQ(value("2*3+4"), 10u);
  EXPECT_EQ(value("20-5-3"), 12u);
  EXPECT_EQ(value("1<<2+1"), 8u);
  EXPECT_EQ(value("1<<2|1"), 5u);
  EXPECT_EQ(value("0xff & ~0xf"), 0xf0u);
  EXPECT_EQ(value("3 == 3 && 2 != 2"), 0u);
  EXPECT_EQ(value("1 ? 7 : 8"), 7u);
  EXPECT_EQ(value("0 ? 7 : 1 ? 8 : 9"), 8u);
  EXPECT_EQ(value("-7/2"), uint64_t(-3));
  EXPECT_EQ(value("-7%2"), uint64_t(-1));
  EXPECT_EQ(value("-8>>1"), uint64_t(-4));
  EXPECT_EQ(value("(.u64)-8>>63"), 1u);
  EXPECT_EQ(value("!5"), 0u);
  EXPECT_EQ(value("-9223372036854775807-1"), uint64_t{1} << 63);
  EXPECT_EQ(value("(-9223372036854775807-1)/-1"), uint64_t{1} << 63);
  EXPECT_EQ(value("5 > 3"), 1u);
  EXPECT_EQ(constant("1.0/4").asDouble(), 0.25);
}

TEST(ParserConstant, RefusesMalformedOnes) {
  for (const char *text : {"0x", "12ab", "0f12", "0f3F8000000", "0d12", "1e",
                           "18446744073709551616", "1/0", "1%0", "(1", "1+",
                           "1.5 & 1", "~1.5", "1.5.5", "0b2", "1e999"})
    EXPECT_GT(
        errorOf(kHeader + inKernel(std::string("mov.b64 a, ") + text + ";"))
            .line,
        0u)
        << text;
}

TEST(ParserBody, OperandsOfAllKinds) {
  Parsed parsed(inKernel("@!p op.x.y::z d|q, !r, _, {a, 1, _}, [b+-8], "
                         "[c, {e, 2}], s+4, V.x, -3, t[2];"));
  const Function &function = parsed.module.functions.at(0);
  const Instruction &in = function.instructions.at(0);
  EXPECT_EQ(in.opcode, "op.x.y::z");
  EXPECT_EQ(in.guard, "p");
  EXPECT_TRUE(in.guardNegated);
  ASSERT_EQ(in.operandCount, 11u);
  const Operand *operand = &function.operands[in.firstOperand];
  EXPECT_EQ(operand[0].name, "d");
  EXPECT_TRUE(operand[1].paired);
  EXPECT_EQ(operand[1].name, "q");
  EXPECT_TRUE(operand[2].negated);
  EXPECT_EQ(operand[3].kind, Operand::Kind::Sink);
  ASSERT_EQ(operand[4].kind, Operand::Kind::Vector);
  ASSERT_EQ(operand[4].childCount, 3u);
  const Operand *child = &function.operands[operand[4].firstChild];
  EXPECT_EQ(child[0].name, "a");
  EXPECT_EQ(child[1].constant.bits, 1u);
  EXPECT_EQ(child[2].kind, Operand::Kind::Sink);
  EXPECT_EQ(operand[5].name, "b");
  EXPECT_EQ(static_cast<int64_t>(operand[5].constant.bits), -8);
  EXPECT_EQ(operand[6].name, "c");
  EXPECT_EQ(operand[6].childCount, 2u);
  EXPECT_EQ(operand[7].name, "s");
  EXPECT_EQ(operand[7].constant.bits, 4u);
  EXPECT_EQ(operand[8].name, "V.x");
  EXPECT_EQ(operand[9].kind, Operand::Kind::Constant);
  EXPECT_TRUE(operand[10].indexed);
  EXPECT_EQ(operand[10].constant.bits, 2u);
}

TEST(ParserBody, AddressesOfAllShapes) {
  Parsed parsed(inKernel("a [r]; a [ r + 0 ]; a [r-8]; a [16]; a [r+4+4]; "
                         "a [s+(4*2)]; a [ 0x10 ];"));
  const Function &function = parsed.module.functions.at(0);
  const int64_t expected[] = {0, 0, -8, 16, 8, 8, 16};
  for (size_t i = 0; i < std::size(expected); ++i) {
    const Operand &operand =
        function.operands[function.instructions.at(i).firstOperand];
    EXPECT_EQ(operand.kind, Operand::Kind::Address);
    EXPECT_EQ(static_cast<int64_t>(operand.constant.bits), expected[i]) << i;
  }
}

TEST(ParserBody, ModifiersMayStandApart) {
  Parsed parsed(
      inKernel("mov .u32 a, 1; add. s32 a, a, 1; add .rn\n.f32 a,a,a;"));
  const Function &function = parsed.module.functions.at(0);
  EXPECT_EQ(function.instructions.at(0).opcode, "mov.u32");
  EXPECT_EQ(function.instructions.at(1).opcode, "add.s32");
  EXPECT_EQ(function.instructions.at(2).opcode, "add.rn.f32");
}

TEST(ParserBody, BlocksLabelsAndLines) {
  Parsed parsed(
      inKernel(".loc 1 12 3\nmov.u32 a, 1;\n"
               ".loc 2 7 1, function_name $L__info+8, inlined_at 1 9 2\n"
               "{ // a block\n.reg .pred p;\nL1: bra L1; }\n"
               "$L2: ;;\nret; L3:"));
  const Function &function = parsed.module.functions.at(0);
  ASSERT_EQ(function.locations.size(), 2u);
  EXPECT_EQ(function.locations[1].line, 7u);
  ASSERT_EQ(function.labels.size(), 3u);
  EXPECT_EQ(function.labels[1].name, "$L2");
  EXPECT_EQ(function.instructions.at(1).position.line, 11u);
  std::string order;
  for (const Item &item : function.items)
    order += "ILVTP{}"[static_cast<size_t>(item.kind)];
  EXPECT_EQ(order, "PIP{VLI}LIL");
}

TEST(ParserBody, TablesAndPrototypes) {
  Parsed parsed(inKernel(
      "t: .branchtargets A, B, C;\nu: .calltargets f;\n"
      "proto : .callprototype (.param .b32 _) _ (.param .b64 _, .param .align "
      "8 .b8 _[24]) .noreturn;\ncall (r), %rd1, (a, b), proto; A: B: C: ret;"));
  const Function &function = parsed.module.functions.at(0);
  ASSERT_EQ(function.tables.size(), 3u);
  EXPECT_EQ(function.tables[0].targets.size(), 3u);
  EXPECT_EQ(function.tables[2].parameters.size(), 2u);
  EXPECT_EQ(function.tables[2].parameters[1].size(), 24u);
  EXPECT_EQ(function.operands[function.instructions[0].firstOperand].kind,
            Operand::Kind::List);
}

TEST(ParserModule, FunctionsAndDirectives) {
  Parsed parsed(
      ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n"
      ".visible .entry k(.param .u64 .ptr .global .align 16 p, .hidden .param "
      ".align 8 .b8 q[32])\n.maxntid 128, 2\n.reqntid 64,1,1\n.minnctapersm 2\n"
      ".maxnreg 64\n.explicitcluster\n.reqnctapercluster 2,1,1\n"
      ".pragma \"nounroll\";\n{ ret; }\n"
      ".weak .func f() .noreturn { ret; }\n.alias g, f;\n"
      ".file 1 \"a.cu\", 123, 45\n"
      ".section .debug_str { $x: .b8 1,2 \"}\" /* } */ .b32 $x+4 { } }\n");
  ASSERT_EQ(parsed.module.functions.size(), 3u);
  const Function &k = parsed.module.functions[1];
  EXPECT_TRUE(k.isEntry);
  EXPECT_EQ(k.parameters.at(0).pointerAlignment, 16u);
  EXPECT_EQ(k.parameters.at(0).pointerSpace, Space::Global);
  EXPECT_EQ(k.parameters.at(1).size(), 32u);
  EXPECT_EQ(k.parameters.at(1).alignment, 8u);
  EXPECT_EQ(k.maxntid, (Dim3{128, 2, 1}));
  EXPECT_EQ(k.reqCluster, (Dim3{2, 1, 1}));
  EXPECT_EQ(k.minnctapersm, 2u);
  EXPECT_TRUE(parsed.module.functions[2].noReturn);
  EXPECT_EQ(parsed.module.aliases.at(0).target, "f");
  EXPECT_EQ(parsed.module.files.at(0).name, "a.cu");
}

TEST(ParserModule, VariablesAndInitialValues) {
  Parsed parsed(".visible .const .align 4 .f32 a[3] = {1.0, 0f40000000, -3};\n"
                ".global .align 8 .u64 b[2] = {generic(a)+4, b};\n"
                ".global .b8 c[] = \"hi\";\n"
                ".global .s16 d[2][2] = {{1, 2}, {3, 4}};\n"
                ".global .u8 e[4] = {0xff(b), 0xff00(generic(b)+8)};\n"
                ".extern .shared .align 16 .b8 s[];\n"
                ".global .attribute(.managed) .align 4 .u32 m;\n"
                ".global .v4 .f32 v = {1.0, 2.0, 3.0, 4.0};\n"
                ".global .b32 x, y[2], z = 7;\n");
  auto &variables = parsed.module.variables;
  ASSERT_EQ(variables.size(), 11u);
  EXPECT_EQ(variables[0].size(), 12u);
  EXPECT_EQ(variables[0].initialisers.at(2).constant.bits, uint64_t(-3));
  EXPECT_TRUE(variables[1].initialisers.at(0).isGeneric);
  EXPECT_EQ(variables[1].initialisers.at(0).constant.bits, 4u);
  EXPECT_EQ(variables[1].initialisers.at(1).symbol, "b");
  EXPECT_EQ(variables[2].size(), 3u);
  EXPECT_EQ(variables[3].initialisers.size(), 4u);
  EXPECT_EQ(variables[4].initialisers.at(1).mask, 0xff00u);
  EXPECT_EQ(variables[4].initialisers.at(1).constant.bits, 8u);
  EXPECT_TRUE(variables[5].isUnsized);
  EXPECT_TRUE(variables[6].isManaged);
  EXPECT_EQ(variables[7].size(), 16u);
  EXPECT_EQ(variables[10].initialisers.at(0).constant.bits, 7u);
}

TEST(ParserError, SaysWhereWhatAndWhy) {
  Error error = errorOf(kHeader + ".entry k()\n{\n  add.s32 %r1,\n\n   ;\n}\n");
  EXPECT_EQ(error.line, 8u);
  EXPECT_EQ(error.column, 4u);
  EXPECT_EQ(error.statement, "add.s32 %r1, ;");
  EXPECT_NE(std::string(error.what()).find("line 8, column 4"),
            std::string::npos);
}

TEST(ParserError, OneClearMessageForBrokenText) {
  const std::pair<const char *, const char *> cases[] = {
      {".entry k() { ret;", "not closed by '}'"},
      {".entry k() { /* ret; }", "comment is not closed"},
      {"/* x", "comment is not closed"},
      {".entry k() { mov.u32 a, 1 }", "expected ';'"},
      {".entry k();", "has no body"},
      {".extern .entry k() { ret; }", "cannot have a body"},
      {".bogus x;", "unknown directive '.bogus'"},
      {".entry k() { .bogus x; }", "unknown directive '.bogus'"},
      {".entry k() .bogus { }", "unknown directive '.bogus'"},
      {".global .b32 x = ;", "expected an operand"},
      {".global .b32 x[2] = {1, 2, 3};", "3 initial values for 2"},
      {".global .align 3 .b32 x;", "power of two"},
      {".global .b32 x[99999999999];", "extent of an array"},
      {".global .b32 x[65536][65536][65536];", "larger than"},
      {".global .pred x;", "only registers can be predicates"},
      {".shared .b32 x = 1;", "only variables in .global and .const"},
      {".global .texref t;", "textures"},
      {".file 1 \"abc", "not closed on its line"},
      {".section .debug_info { ", "section is not closed"},
      {"garbage", "expected a directive"},
      {"\x01", "byte 0x01"},
      {".entry k() { mov.u32 a, [b; }", "expected ']'"},
      {".entry k() { a {1, {2}}; }", "expected an operand"},
      {".entry k() { @2 a; }", "a guard is a predicate"},
      {".entry k() { mov. a; b; }", ""},
      {".entry k() { .reg .b32 %r<0>; }", "number of registers"},
      {".entry k() { .reg .b32 %r<99999999>; }", "number of registers"},
  };
  for (const auto &[text, why] : cases) {
    Error error = Error("");
    try {
      std::string whole = kHeader + text;
      Parser(whole).parse();
      if (*why)
        ADD_FAILURE() << "no error for: " << text;
    } catch (const Error &caught) {
      error = caught;
      EXPECT_NE(error.why.find(why), std::string::npos)
          << text << ": " << error.why;
      EXPECT_GE(error.line, 4u) << text;
    }
  }
}

TEST(ParserError, NestingIsBounded) {
  EXPECT_NE(
      errorOf(kHeader + inKernel(std::string(100000, '{'))).why.find("nested"),
      std::string::npos);
  EXPECT_NE(errorOf(kHeader +
                    inKernel("mov.b32 a, " + std::string(100000, '(') + "1;"))
                .why.find("nested"),
            std::string::npos);
  EXPECT_NE(errorOf(kHeader +
                    inKernel("mov.b32 a, " + std::string(100000, '-') + "1;"))
                .why.find("nested"),
            std::string::npos);
  std::string chain;
  for (int i = 0; i < 100000; ++i)
    chain += "1?1:";
  EXPECT_NE(errorOf(kHeader + inKernel("mov.b32 a, " + chain + "1;"))
                .why.find("nested"),
            std::string::npos);
  EXPECT_NE(errorOf(kHeader + ".global .b32 x[4] = " + std::string(100000, '{'))
                .why.find("nested"),
            std::string::npos);
}

TEST(ParserError, MessagesStayShortAndPrintable) {
  std::string text =
      kHeader + inKernel("op" + std::string(100000, 'x') + "\xff\xfe, \x01;");
  Error error = errorOf(text);
  EXPECT_LE(error.statement.size(), 200u);
  for (char c : std::string(error.what()))
    EXPECT_TRUE(c == '\n' || (c >= ' ' && c < 127));
}
