// Which operands fit, and what they become.
//
// Each case was given to ptxas 13.0; `fits` and `refuses` are its verdicts.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decoded.h"

#include "Machine/Access.h"

using namespace ptx;
using namespace ptx::test;

namespace {
void fits(const std::string &body, const std::string &outside = "") {
  try {
    Decoded decoded(outside + kernel(body));
  } catch (const Error &error) {
    ADD_FAILURE() << body << ": " << error.what();
  }
}

void refuses(const std::string &body, const std::string &why,
             const std::string &outside = "") {
  Error error = decodeError(outside + kernel(body));
  EXPECT_NE(error.why.find(why), std::string::npos) << error.what();
  EXPECT_GT(error.line, 0u);
}
} // namespace

TEST(Operands, RegistersMustFitTheType) {
  fits("add.f32 f0, t0, f1;");
  refuses("add.f32 f0, s0, f1;", "'s0' is a '.s32' register");
  refuses("add.s32 t0, f0, t1;", "'f0' is a '.f32' register");
  fits("add.u32 t0, s0, t1;");
  fits("add.b32 f0, f1, t1;");
  refuses("add.s32 t0, l0, t1;", "'.s32' is needed");
  refuses("mov.b32 t0, hf;", "'hf'");
  fits("mov.b32 f0, s0;");
  refuses("mov.f32 s0, f0;", "'s0'");
}

TEST(Operands, LoadsAndStoresTakeWiderRegisters) {
  refuses("ld.global.u32 f0, [l0];", "'f0'");
  fits("ld.global.f32 l0, [l0];");
  fits("ld.global.b32 d0, [l0];");
  fits("ld.global.b32 f0, [l0]; st.global.b32 [l0], d0;");
  refuses("ld.global.u64 t0, [l0];", "or wider");
  fits("ld.global.u32 _, [l0]; ld.global.u32 {t0}, [l0];");
}

TEST(Operands, ImmediatesMustFitTheType) {
  refuses("add.f32 f0, f0, 1;", "an integer cannot be a '.f32' operand");
  refuses("add.s32 t0, t0, 1.0;", "a float cannot be a '.s32' operand");
  fits("add.f64 d0, d0, 0f3f800000; add.f32 f0, f0, 0d3ff0000000000000;");
  fits("add.s32 t0, t0, 0x100000000;");
  fits("mov.b32 t0, 0f3f800000; mov.b64 l0, 0d3ff0000000000000;");
  refuses("mov.u32 t0, 0f3f800000;", "a float cannot");
  refuses("mov.b32 t0, 1.0;", "a float cannot");
  refuses("mov.b64 l0, 0f3f800000;", "a float cannot");
  refuses("lop3.b32 t0, t1, t2, t3, 256;", "from 0 to 255");
  refuses("lop3.b32 t0, t1, t2, t3, t4;", "must be a constant");
}

TEST(Operands, ValuesOfImmediates) {
  Decoded decoded(kernel(
      "add.f32 f0, f1, 0d3ff8000000000000; add.f64 d0, d1, 1.5;\n"
      "add.u16 h0, h1, -1; add.s32 t0, t1, 0x1ffffffff; add.u64 l0, l1, -1;\n"
      "add.s32 t0, WARP_SZ, (1<<4)+2;"));
  EXPECT_EQ(decoded.constant(0, 2), 0x3fc00000u);
  EXPECT_EQ(decoded.constant(1, 2), 0x3ff8000000000000u);
  EXPECT_EQ(decoded.constant(2, 2), 0xffffu);
  EXPECT_EQ(decoded.constant(3, 2), 0xffffffffu);
  EXPECT_EQ(decoded.constant(4, 2), ~uint64_t{0});
  EXPECT_EQ(decoded.constant(5, 1), 32u);
  EXPECT_EQ(decoded.constant(5, 2), 18u);
}

TEST(Operands, Predicates) {
  Decoded decoded(kernel("mov.pred p, 1; mov.pred p, !q; @!p mov.u32 t0, 1;\n"
                         "@0 mov.u32 t0, 2; setp.lt.s32 p|q, t0, t1;\n"
                         "setp.lt.s32 p, t0, t1; setp.lt.s32 _|q, t0, 3;"));
  EXPECT_EQ(decoded.constant(0, 1), 0xffffffffu);
  EXPECT_EQ(decoded.in(1).negatedPredicates, 2u);
  EXPECT_TRUE(decoded.in(2).guardNegated);
  EXPECT_TRUE(decoded.in(2).flags & kGuarded);
  EXPECT_TRUE(decoded.in(3).guard & kConstant);
  EXPECT_NE(decoded.in(4).operand[1], kNoSlot);
  EXPECT_EQ(decoded.in(5).operand[1], kNoSlot);
  EXPECT_EQ(decoded.in(6).operand[0], kNoSlot);
  for (size_t i = 4; i < 7; ++i) {
    EXPECT_EQ(decoded.in(i).resultCount, 2);
    EXPECT_EQ(decoded.in(i).operandCount, 4);
  }
  refuses("@t0 mov.u32 t0, 1;", "no predicate");
  refuses("@zz mov.u32 t0, 1;", "unknown predicate");
  refuses("setp.lt.s32 !p, t0, t1;", "'!' cannot be used");
  refuses("mov.u32 t0, p;", "'p' is a '.pred' register");
}

TEST(Operands, Vectors) {
  Decoded decoded(kernel("ld.global.v4.b32 {t0, _, t2, t3}, [l0+16];\n"
                         "mov.b32 {h0, h1}, t0; mov.b32 t0, {5, h1};\n"
                         "ld.global.v4.b32 V, [l0]; add.f32 V.y, V.x, V.a;"));
  EXPECT_EQ(decoded.in(0).operandCount, 5);
  EXPECT_EQ(decoded.in(0).resultCount, 4);
  EXPECT_EQ(decoded.in(0).operand[1], kNoSlot);
  EXPECT_EQ(decoded.in(0).offset[0], 16);
  EXPECT_EQ(decoded.in(1).resultCount, 2);
  EXPECT_EQ(decoded.constant(2, 1), 5u);
  EXPECT_EQ(decoded.in(4).operand[1], decoded.in(3).operand[0]);
  EXPECT_EQ(decoded.in(4).operand[2], decoded.in(3).operand[3]);
  refuses("ld.global.v4.b32 {t0, t1}, [l0];", "2 elements, 4 are needed");
  refuses("ld.global.v4.b32 t0, [l0];", "of 4 elements is needed");
  refuses("mov.b32 {t0, h1}, t1;", "'t0'");
  refuses("add.f32 f0, V, f1;", "vector register");
  refuses("add.f32 f0, t0.x, f1;", "unknown register");
}

TEST(Operands, SpecialRegisters) {
  Decoded decoded(kernel("mov.u32 t0, %tid.x; cvt.u64.u32 l0, %tid.x;\n"
                         "mov.u16 h0, %ntid.y; mov.u64 l1, %gridid;"));
  ASSERT_EQ(decoded.function().frameValues.size(), 3u);
  EXPECT_EQ(decoded.in(0).operand[1], decoded.in(1).operand[1]);
  EXPECT_EQ(decoded.function().frameValues[0].kind, FrameValueKind::TidX);
  EXPECT_EQ(decoded.function().frameValues[0].slot, decoded.in(0).operand[1]);
  refuses("add.u32 t0, %tid.x, 1;", "'mov' or 'cvt'");
  refuses("mov.u64 l0, %tid.x;", "32 bits");
  fits("mov.u16 h0, %ctaid.x; mov.u32 t0, %gridid; mov.u32 t0, %tid.w;");
  refuses("mov.u16 h0, %laneid;", "32 bits");
  refuses("mov.u32 t0, %is_explicit_cluster;", "a predicate");
  refuses("mov.f32 f0, %tid.x;", "'%tid.x'");
  refuses("mov.u32 t0, %nosuch;", "unknown register '%nosuch'");
}

TEST(Operands, Addresses) {
  fits("ld.shared.u32 t0, [sm+4]; ld.shared.u32 t0, [sm-4]; ld.shared.u32 t0, "
       "[4]; ld.shared.u32 t0, sm[4]; ld.global.b32 t0, [l1+-4];");
  refuses("ld.global.b32 t0, [t1];", "the register has 32");
  refuses("ld.global.u32 t0, [f1];", "integer register");
  refuses("ld.global.u32 t0, [sm];", "in .shared space, not in .global");
  refuses("ld.global.u32 t0, l0;", "an address '[...]' is needed");
  refuses("ld.global.u32 t0, [nosuch];", "'nosuch'");
  refuses("add.u32 t0, sm, 4;", "'mov' it to a register first");
  Decoded decoded(".global .u32 arr[4];\n" +
                  kernel("ld.u32 t0, [sm+8]; ld.shared.u32 t0, [sm+8];\n"
                         "ld.param.u32 t0, [P1]; mov.u64 l0, P1;\n"
                         "ld.global.u32 t1, arr[2]; mov.u64 l1, arr;\n"
                         "copy.shared.global [sm], [l0, {t0, 7}], [sm+16];"));
  EXPECT_EQ(decoded.constant(0, 1), kSharedWindow);
  EXPECT_EQ(decoded.constant(1, 1), 0u);
  EXPECT_EQ(decoded.in(1).offset[0], 8);
  EXPECT_EQ(decoded.constant(2, 1), 8u);
  EXPECT_EQ(decoded.constant(3, 1), 8u);
  EXPECT_EQ(decoded.in(4).offset[0], 8);
  ASSERT_EQ(decoded.program.addressConstants.size(), 1u);
  EXPECT_EQ(decoded.program.addressConstants[0].slot, decoded.in(5).operand[1]);
  EXPECT_EQ(decoded.in(6).operandCount, 5);
  EXPECT_EQ(decoded.in(6).offset[2], 16);
  EXPECT_EQ(decoded.constant(6, 3), 7u);
}

TEST(Operands, LocalAndDynamicSharedAddressesAreFrameValues) {
  Decoded decoded(".extern .shared .align 16 .b8 dyn[];\n" +
                  kernel(".local .align 8 .b8 a[12]; .local .b64 b;\n"
                         "mov.u64 l0, a; st.local.b64 [b+4], l0;\n"
                         "mov.u32 t0, dyn; ld.shared.u32 t1, [dyn+4];"));
  const Function &function = decoded.function();
  EXPECT_EQ(function.localBytes, 24u);
  EXPECT_EQ(function.localAlign, 8u);
  ASSERT_EQ(function.frameValues.size(), 4u);
  EXPECT_EQ(function.frameValues[1].kind, FrameValueKind::LocalSymbol);
  EXPECT_EQ(function.frameValues[1].value, 16u);
  EXPECT_EQ(decoded.in(1).offset[0], 4);
  EXPECT_EQ(function.frameValues[2].kind, FrameValueKind::DynamicShared);
  EXPECT_EQ(function.frameValues[2].value, 16u);
  EXPECT_TRUE(decoded.decoder.kernels.at("k").usesDynamicShared);
  EXPECT_EQ(decoded.decoder.kernels.at("k").dynamicSharedAlignment, 16u);
}

TEST(Operands, TooManyAndTooFew) {
  refuses("add.s32 t0, t1;", "needs more operands");
  refuses("add.s32 t0, t1, t2, t3;", "takes only 3 operands");
  refuses("add.s32 t0|p, t1, t2;", "behind '|'");
  refuses("add.s32 1, t1, t2;", "must be a register");
  refuses("add.s32 t0, _, t2;", "'_' cannot be used");
  refuses("add.s32 _, t1, t2;", "'_' cannot be used");
}

TEST(Operands, MemberMasksAreFound) {
  Decoded decoded(kernel("shfl.sync.idx.b32 t0, t1, t2, 31, t3;\n"
                         "shfl.sync.idx.b32 t0|p, t1, t2, 31, -1;"));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(decoded.in(i).flags & kMemberMask);
    EXPECT_EQ(decoded.in(i).memberMask, 5);
  }
}

TEST(Operands, RowsDecodeTheirExtras) {
  Decoded decoded(kernel("checked.red.a t0, 12; checked.a t0, t1;"));
  EXPECT_EQ(*static_cast<const std::string *>(decoded.in(0).extra), ".red32");
  EXPECT_EQ(*static_cast<const std::string *>(decoded.in(1).extra), "32");
  refuses("checked.a t0, 13;", "thirteen");
}

TEST(Operands, NewerInstructionsAreRefused) {
  std::string body = ".entry k() { .reg .b32 t; newer t; ret; }";
  Decoded(body, ".version 8.0\n.target sm_90a\n");
  auto why = [&](const std::string &header) {
    return decodeError(body, header).why;
  };
  EXPECT_NE(why(".version 8.0\n.target sm_90\n").find("needs sm_90a"),
            std::string::npos);
  EXPECT_NE(why(".version 8.0\n.target sm_80\n").find("needs sm_90a"),
            std::string::npos);
  EXPECT_NE(why(".version 8.0\n.target sm_100a\n").find("needs sm_90a"),
            std::string::npos);
  EXPECT_NE(why(".version 7.8\n.target sm_90a\n").find("needs PTX ISA 8.0"),
            std::string::npos);
  Error error = decodeError(kernel("frob.u32 t0, t1;"));
  EXPECT_EQ(error.why, "unknown instruction 'frob'");
  EXPECT_EQ(error.statement, "frob.u32 t0, t1;");
  refuses("%clock t0;", "unknown instruction");
}
