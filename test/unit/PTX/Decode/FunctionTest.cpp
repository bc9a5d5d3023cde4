// Scopes, labels, calls and layout of bodies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decoded.h"

#include "Machine/Access.h"

#include <cstring>

using namespace ptx;
using namespace ptx::test;

TEST(Scopes, InnerBlocksHideOuterNames) {
  Decoded decoded(kernel("mov.u32 t0, 1; { .reg .b64 t0; mov.u64 t0, 2; { "
                         ".reg .b16 t<2>; mov.u16 t0, 3; } mov.u64 t0, 4; } "
                         "mov.u32 t0, 5; add.u32 t1, t0, t0;"));
  const Width expected[] = {Width::Word, Width::Double, Width::Half,
                            Width::Double, Width::Word};
  for (size_t i = 0; i < std::size(expected); ++i)
    EXPECT_EQ(decoded.in(i).width[0], expected[i]) << i;
  EXPECT_EQ(decoded.in(4).operand[0], decoded.in(5).operand[1]);
}

TEST(Scopes, LabelsAreSeenFromInsideOnly) {
  // What inline assembly makes when it is expanded twice.
  Decoded decoded(
      kernel("{ W: @p bra W; } { W: @p bra W; bra END; } W: bra W; END:"));
  EXPECT_EQ(decoded.in(0).target, 0u);
  EXPECT_EQ(decoded.in(1).target, 1u);
  EXPECT_EQ(decoded.in(2).target, 4u);
  EXPECT_EQ(decoded.in(3).target, 3u);
  EXPECT_NE(decodeError(kernel("bra L; { L: }")).why.find("unknown label 'L'"),
            std::string::npos);
  EXPECT_NE(decodeError(kernel("L: L:")).why.find("set twice"),
            std::string::npos);
}

TEST(Scopes, RegistersOfARangeExistUpToItsSize) {
  Decoded(kernel(".reg .b32 %r<3>; mov.u32 %r2, 1;"));
  EXPECT_NE(decodeError(kernel(".reg .b32 %r<3>; mov.u32 %r3, 1;"))
                .why.find("unknown register '%r3'"),
            std::string::npos);
  Decoded(kernel(".reg .b32 x1<5>; mov.u32 x12, 1;"));
  EXPECT_NE(decodeError(kernel(".reg .b32 t0, t0;")).why.find("twice"),
            std::string::npos);
}

TEST(Body, BlocksAndSourceLines) {
  Decoded decoded(kernel(".loc 1 5 2\nmov.u32 t0, 1;\nL: mov.u32 t1, 2;\n"
                         ".loc 2 9 1\n@p bra L;\nmov.u32 t2, 3;"));
  EXPECT_EQ(decoded.in(0).block, 0u);
  EXPECT_EQ(decoded.in(1).block, 1u);
  EXPECT_EQ(decoded.in(2).block, 1u);
  EXPECT_EQ(decoded.in(3).block, 2u);
  EXPECT_EQ(decoded.program.basicBlocks, 3u);
  EXPECT_EQ(decoded.in(1).sourceLine, 5u);
  EXPECT_EQ(decoded.in(2).sourceLine, 9u);
  EXPECT_EQ(decoded.in(2).sourceFile, 2u);
  EXPECT_EQ(decoded.in(0).line, 9u);
}

TEST(Body, EveryPathEndsInAnInstruction) {
  Decoded falls(".entry k() { .reg .b32 a; mov.u32 a, 1; }");
  ASSERT_EQ(falls.program.instructions.size(), 2u);
  EXPECT_EQ(falls.in(1).row->opcode, "ret");
  Decoded label(".entry k() { bra E; E: }");
  EXPECT_EQ(label.in(0).target, 1u);
  EXPECT_EQ(label.in(1).row->opcode, "ret");
  EXPECT_EQ(Decoded(".entry k() { }").program.instructions.size(), 1u);
  EXPECT_EQ(Decoded(".entry k() { ret; }").program.instructions.size(), 1u);
}

TEST(Body, IndexedBranches) {
  Decoded decoded(kernel("t: .branchtargets A, B;\nbrx.idx t0, t;\nA: ret;\n"
                         "B: ret;"));
  auto *table = static_cast<const BranchTable *>(decoded.in(0).extra);
  EXPECT_EQ(table->targets, (std::vector<uint32_t>{1, 2}));
  EXPECT_NE(decodeError(kernel("brx.idx t0, t;")).why.find("branchtargets"),
            std::string::npos);
  EXPECT_NE(decodeError(kernel("t: .branchtargets Z;\nbrx.idx t0, t;"))
                .why.find("unknown label 'Z'"),
            std::string::npos);
}

TEST(Calls, ParametersLieInFrames) {
  Decoded decoded(
      ".func (.param .b32 r) f(.param .b64 a, .param .align 16 .b8 s[20]) {\n"
      ".reg .b32 x; ld.param.b32 x, [s+16]; st.param.b32 [r], x; ret; }\n" +
      kernel("{ .param .b64 a0; .param .align 16 .b8 a1[20]; .param .b32 r0;\n"
             "st.param.b64 [a0], l0; call (r0), f, (a0, a1);\n"
             "ld.param.b32 t0, [r0]; }"));
  const Function &f = decoded.function(0);
  ASSERT_EQ(f.parameters.size(), 2u);
  EXPECT_EQ(f.results[0].offset, 0u);
  EXPECT_EQ(f.parameters[0].offset, 8u);
  EXPECT_EQ(f.parameters[1].offset, 16u);
  EXPECT_EQ(f.paramBytes, 36u);
  EXPECT_EQ(decoded.constant(0, 1), kCallParam + 16);
  EXPECT_EQ(decoded.in(0).offset[0], 16);
  const Instruction &call = decoded.in(4);
  auto *site = static_cast<const CallSite *>(call.extra);
  EXPECT_EQ(site->function, 0);
  EXPECT_EQ(site->arguments[1].offset, 16u);
  EXPECT_EQ(site->arguments[1].size, 20u);
  EXPECT_EQ(site->results[0].offset, 36u);
  EXPECT_EQ(decoded.function(1).paramBytes, 40u);
}

TEST(Calls, ParametersInRegisters) {
  Decoded decoded(".func (.reg .b32 r) f(.reg .b64 a, .reg .b32 b) { mov.b32 "
                  "r, b; ret; }\n" +
                  kernel("call (t0), f, (l0, 7); st.global.b32 [l1], t0;"));
  auto *site = static_cast<const CallSite *>(decoded.in(2).extra);
  EXPECT_TRUE(site->results[0].inRegister);
  EXPECT_EQ(site->results[0].slot, decoded.in(3).operand[1]);
  EXPECT_TRUE(site->arguments[1].slot & kConstant);
  EXPECT_EQ(decoded.function(0).results[0].slot, decoded.in(0).operand[0]);
}

TEST(Calls, IndirectOnesAndAddresses) {
  Decoded decoded(".func f() { ret; }\n.global .u64 table[1] = {f};\n" +
                  kernel("p0: .callprototype _ ();\nmov.u64 l0, f;\n"
                         "call l0, p0;"));
  EXPECT_EQ(decoded.constant(1, 1), kFunctionWindow);
  EXPECT_EQ(decoded.in(2).operandCount, 1);
  EXPECT_EQ(static_cast<const CallSite *>(decoded.in(2).extra)->function, -1);
  EXPECT_EQ(decoded.program.variables[0].pointers[0].address, kFunctionWindow);
}

TEST(Calls, RuntimeFunctionsAndUnknownOnes) {
  std::string print = ".extern .func (.param .b32 r) vprintf(.param .b64 a, "
                      ".param .b64 b);\n.extern .func other();\n";
  Decoded decoded(print + kernel("{ .param .b64 a; .param .b64 b; .param .b32 "
                                 "r; call (r), vprintf, (a, b); }"));
  EXPECT_EQ(static_cast<const CallSite *>(decoded.in(0).extra)->system,
            "vprintf");
  EXPECT_NE(decodeError(print + kernel("call other;")).why.find("no body"),
            std::string::npos);
  EXPECT_NE(decodeError(kernel("call nosuch;")).why.find("unknown function"),
            std::string::npos);
  EXPECT_NE(decodeError(".func f(.param .b32 a) { ret; }\n" + kernel("call f;"))
                .why.find("gives 0 arguments, the function has 1"),
            std::string::npos);
  EXPECT_NE(decodeError(".func f(.param .b32 a) { ret; }\n" +
                        kernel("{ .param .b64 x; call f, (x); }"))
                .why.find("another size"),
            std::string::npos);
  EXPECT_NE(decodeError(kernel("call k;")).why.find("arguments"),
            std::string::npos);
}

TEST(Kernels, ParametersAndDirectives) {
  Decoded decoded(".entry k(.param .u32 a, .param .u64 .ptr .global .align 16 "
                  "b, .param .u8 c, .param .align 8 .b8 d[20])\n"
                  ".maxntid 128 .minnctapersm 2 { ret; }");
  const KernelInfo &k = decoded.decoder.kernels.at("k");
  ASSERT_EQ(k.params.size(), 4u);
  const uint32_t offsets[] = {0, 8, 16, 24}, sizes[] = {4, 8, 1, 20};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(k.params[i].offset, offsets[i]);
    EXPECT_EQ(k.params[i].size, sizes[i]);
  }
  EXPECT_EQ(k.paramBytes, 44u);
  EXPECT_EQ(k.maxntid, (Dim3{128, 1, 1}));
  EXPECT_EQ(k.reqntid, (Dim3{0, 0, 0}));
  EXPECT_EQ(k.minBlocksPerSm, 2u);
  EXPECT_NE(
      decodeError(".entry k(.param .b8 a[40000]) { ret; }").why.find("32764"),
      std::string::npos);
}

TEST(Kernels, SharedMemoryIsLaidOutForEach) {
  Decoded decoded(
      ".shared .align 8 .b8 a[100]; .shared .b32 b; .shared .b64 c;\n"
      ".func f() { .reg .b32 x; ld.shared.b32 x, [b]; ret; }\n"
      ".entry one() { .reg .b32 x; ld.shared.b32 x, [a]; ret; }\n"
      ".entry two() { .reg .b32 x; ld.shared.b32 x, [c]; call f; ret; }\n"
      ".entry three() { ret; }\n");
  auto &kernels = decoded.decoder.kernels;
  EXPECT_EQ(kernels.at("one").staticShared, 100u);
  EXPECT_EQ(kernels.at("two").staticShared, 16u);
  EXPECT_EQ(kernels.at("three").staticShared, 0u);
  EXPECT_EQ(decoded.constant(0, 1), 0u); // b, in f
  EXPECT_EQ(decoded.constant(4, 1), 8u); // c, in two
}

TEST(Kernels, InitialValues) {
  Decoded decoded(".const .f32 a[3] = {1.5, 0f40000000, 3};\n"
                  ".global .s16 b[2] = {-1, 2};\n"
                  ".global .u64 c[2] = {5, a+4};\n.global .f64 d = 1;\n");
  auto &variables = decoded.program.variables;
  auto bytes = [&](size_t i, auto type) {
    std::vector<decltype(type)> values(variables[i].initial.size() /
                                       sizeof type);
    std::memcpy(values.data(), variables[i].initial.data(),
                variables[i].initial.size());
    return values;
  };
  EXPECT_EQ(bytes(0, 0.f), (std::vector<float>{1.5, 2, 3}));
  EXPECT_EQ(bytes(1, int16_t{}), (std::vector<int16_t>{-1, 2}));
  EXPECT_EQ(bytes(3, 0.), (std::vector<double>{1}));
  EXPECT_EQ(variables[0].space, Space::Constant);
  ASSERT_EQ(variables[2].pointers.size(), 1u);
  EXPECT_EQ(variables[2].pointers[0].offset, 8u);
  EXPECT_EQ(variables[2].pointers[0].variable, 0);
  EXPECT_EQ(variables[2].pointers[0].addend, 4);
  Decoded outside(".extern .global .u32 used, unused;\n" +
                  kernel("ld.global.u32 t0, [used];"));
  EXPECT_TRUE(outside.program.variables[0].isExtern);
  EXPECT_FALSE(outside.program.variables[1].isExtern);
  EXPECT_NE(decodeError(".global .u32 a = 1.5;").why.find("a float"),
            std::string::npos);
  EXPECT_NE(decodeError(".global .u64 a = zz;").why.find("unknown variable"),
            std::string::npos);
  EXPECT_NE(decodeError(".global .u32 a; .global .u32 a;").why.find("twice"),
            std::string::npos);
  EXPECT_NE(decodeError(".func f() { } .func f() { }").why.find("twice"),
            std::string::npos);
}
