// Look-ups of instruction forms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"
#include "ptx/Error.h"
#include "ptx/Isa.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <sstream>

using namespace ptx;

namespace {
Row row(std::string opcode, std::vector<std::string> modifiers,
        std::vector<OperandSpec> operands = {operand::reg(Type::B32)}) {
  Row made;
  made.opcode = std::move(opcode);
  made.modifiers = std::move(modifiers);
  made.operands = std::move(operands);
  return made;
}

IsaTable sample() {
  IsaTable table;
  table.add(row("fma", {".rn", ".f32"}));
  table.add(row("fma", {".rn", ".ftz", ".f32"}));
  table.add(row("cvt", {".u32", ".s16"}));
  table.add(row("cvt", {".s16", ".u32"}));
  table.add(row("mma", {".row", ".col", ".f32"}));
  table.add(row("copy", {".global", ".shared::cta"}));
  table.add(row("copy", {".shared::cta", ".global"}));
  Row load = row("ld", {".global", ".b32"});
  load.options = {{"cache", {".ca", ".cg"}}, {"evict", {".L1::no_allocate"}}};
  table.add(load);
  return table;
}

std::string only(const Match &match) {
  return match.rows.size() == 1 ? match.rows[0]->name() : match.problem;
}
} // namespace

TEST(IsaTable, ModifiersComeInAnyOrder) {
  IsaTable table = sample();
  EXPECT_EQ(only(table.find("fma.rn.ftz.f32")), "fma.rn.ftz.f32");
  EXPECT_EQ(only(table.find("fma.f32.ftz.rn")), "fma.rn.ftz.f32");
  EXPECT_EQ(only(table.find("ld.b32.cg.global")), "ld.global.b32");
}

TEST(IsaTable, TypesSpacesAndLayoutsKeepTheirOrder) {
  IsaTable table = sample();
  EXPECT_EQ(only(table.find("cvt.u32.s16")), "cvt.u32.s16");
  EXPECT_EQ(only(table.find("cvt.s16.u32")), "cvt.s16.u32");
  EXPECT_EQ(only(table.find("copy.global.shared::cta")),
            "copy.global.shared::cta");
  EXPECT_EQ(only(table.find("copy.shared::cta.global")),
            "copy.shared::cta.global");
  EXPECT_TRUE(table.find("mma.col.row.f32").rows.empty());
}

TEST(IsaTable, OptionsAreTakenOnceAGroup) {
  IsaTable table = sample();
  Match match = table.find("ld.global.L1::no_allocate.cg.b32");
  ASSERT_EQ(match.rows.size(), 1u);
  EXPECT_EQ(match.options.size(), 2u);
  EXPECT_TRUE(table.find("ld.global.ca.cg.b32").rows.empty());
  EXPECT_TRUE(table.find("ld.global.cg.cg.b32").rows.empty());
}

TEST(IsaTable, SaysWhatIsWrong) {
  IsaTable table = sample();
  EXPECT_EQ(table.find("frob.u32").problem, "unknown instruction 'frob'");
  EXPECT_EQ(table.find("fma.rn.f32.bogus").problem,
            "no form of 'fma' has the modifier '.bogus'");
  EXPECT_EQ(table.find("fma.f32").problem,
            "'fma' has no form with this combination of modifiers");
  EXPECT_FALSE(table.find("").problem.empty());
  EXPECT_FALSE(table.find("fma..rn.f32").problem.empty());
  EXPECT_FALSE(table.find("fma.rn.rn.f32").problem.empty());
}

TEST(IsaTable, RefusesRowsThatContradictThemselves) {
  IsaTable table = sample();
  EXPECT_THROW(table.add(row("fma", {".f32", ".rn"})), Error); // there twice
  EXPECT_NO_THROW(
      table.add(row("fma", {".f32", ".rn"}, {operand::reg(Type::B64)})));
  EXPECT_THROW(table.add(row("", {})), Error);
  EXPECT_THROW(table.add(row("x", {"f32"})), Error);
  Row results = row("x", {});
  results.resultCount = 2;
  EXPECT_THROW(table.add(results), Error);
}

TEST(IsaTable, EveryRowIsFoundByItsName) {
  for (const auto &row : IsaTable::get().rows()) {
    Match match = IsaTable::get().find(row->name());
    EXPECT_NE(std::find(match.rows.begin(), match.rows.end(), row.get()),
              match.rows.end())
        << row->name();
    EXPECT_TRUE(row->handlers.baseline) << row->name() << " has no handler";
  }
}

TEST(IsaTable, PrintsOneLineAForm) {
  std::ostringstream out;
  printIsa(out);
  std::string text = out.str();
  EXPECT_EQ(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')),
            isaSize());
  std::ostringstream page;
  printIsaMarkdown(page);
  EXPECT_LT(page.str().size(), text.size() / 10); // families are folded
  EXPECT_NE(page.str().find("| `fma.round.type` |"), std::string::npos);
}
