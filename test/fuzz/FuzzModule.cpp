// Any text is either a module or one clear error.
//
// libFuzzer, with ASan and UBSan. Whatever is accepted must also be sound:
// the machine trusts targets and offsets without looking.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"
#include "Machine/Program.h"
#include "ptx/Error.h"
#include "ptx/Module.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

using namespace ptx;

namespace {
[[noreturn]] void give(const char *what) {
  std::fprintf(stderr, "unsound: %s\n", what);
  std::abort();
}

void require(bool holds, const char *what) {
  if (!holds)
    give(what);
}

/// An operand lies inside the frame or the constants.
void checkSlot(const Program &program, const Function &function, Slot slot,
               Width width) {
  if (slot == kNoSlot)
    return;
  bool constant = slot & kConstant;
  uint64_t offset = slot & ~kConstant;
  uint64_t size = constant ? program.constants.size : function.frameBytes;
  require(offset + fileBytesOf(width) <= size, "an operand outside its file");
  if (constant)
    return;
  require((width == Width::Predicate) == (offset < function.predicateBytes),
          "a predicate among registers, or the other way round");
  require(width == Width::Predicate || offset % 128 == 0,
          "a register between two places");
}

void checkInstruction(const Program &program, const Function &function,
                      const Instruction &in) {
  require(in.row && in.run, "an instruction without a handler");
  require(in.resultCount <= in.operandCount, "more results than operands");
  for (unsigned k = 0; k < in.operandCount; ++k) {
    checkSlot(program, function, in.operand[k], in.width[k]);
    require(k >= in.resultCount || in.operand[k] == kNoSlot ||
                !(in.operand[k] & kConstant),
            "a constant as a result");
  }
  checkSlot(program, function, in.guard, Width::Predicate);
  require(in.block < program.basicBlocks, "a block that does not exist");
  if (in.row->opcode == "bra")
    require(in.target >= function.begin && in.target < function.end,
            "a branch out of its function");
  if (in.row->opcode == "brx")
    for (uint32_t target : static_cast<const BranchTable *>(in.extra)->targets)
      require(target >= function.begin && target < function.end,
              "a branch out of its function");
  if (in.row->opcode == "call") {
    const auto &site = *static_cast<const CallSite *>(in.extra);
    require(site.function < static_cast<int32_t>(program.functions.size()),
            "a call of nothing");
    for (const auto *list : {&site.arguments, &site.results})
      for (const Actual &actual : *list) {
        if (actual.inRegister)
          checkSlot(program, function, actual.slot, actual.width);
        else
          require(uint64_t{actual.offset} + actual.size <= function.paramBytes,
                  "a parameter outside its frame");
      }
  }
}

void checkProgram(const Program &program) {
  for (const Function &function : program.functions) {
    require(function.begin < function.end &&
                function.end <= program.instructions.size(),
            "an empty function");
    for (uint32_t i = function.begin; i < function.end; ++i)
      checkInstruction(program, function, program.instructions[i]);
    for (const FrameValue &value : function.frameValues)
      checkSlot(program, function, value.slot, value.width);
    const Instruction &last = program.instructions[function.end - 1];
    require(!(last.flags & kGuarded), "a function that falls out");
  }
  for (const GlobalVariable &variable : program.variables)
    require(variable.initial.size() <= variable.size || variable.isExtern,
            "more initial values than bytes");
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  try {
    checkProgram(Module::parse(text).program());
  } catch (const Error &error) {
    auto lines = std::count(text.begin(), text.end(), '\n') + 1;
    require(!error.why.empty(), "an error without a reason");
    require(error.line <= lines, "an error behind the end of the text");
  }
  return 0;
}
