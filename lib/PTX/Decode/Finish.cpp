// What is left when all of a body is decoded.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/DecodeContext.h"
#include "Decode/FunctionDecoder.h"

#include <algorithm>

using namespace ptx;

namespace {
/// True behind an instruction that never goes on to the next one.
bool endsPath(const Instruction &in) {
  std::string_view opcode = in.row->opcode;
  if (in.flags & kGuarded)
    return false;
  return opcode == "ret" || opcode == "exit" || opcode == "bra" ||
         opcode == "brx" || opcode == "trap";
}

bool endsBlock(const Instruction &in) {
  return in.row->cost == Cost::Control && in.row->opcode != "call";
}

/// What Row::decode sees of an instruction.
class RowDecodeContext final : public DecodeContext {
public:
  RowDecodeContext(ModuleContext &module, const syntax::Instruction &ast,
                   const syntax::Operand *operands, const Form &form,
                   const Instruction &in)
      : module(module), ast(ast), operands(operands), form(form), in(in) {}

  bool has(std::string_view modifier) const override {
    return std::find(form.modifiers.begin(), form.modifiers.end(), modifier) !=
           form.modifiers.end();
  }
  std::string_view option(std::string_view name) const override {
    for (const OptionGroup &group : in.row->options)
      if (group.name == name)
        for (const std::string &choice : group.choices)
          if (has(choice))
            return choice;
    return {};
  }
  std::optional<uint64_t> constant(unsigned position) const override {
    if (position >= in.operandCount)
      return std::nullopt;
    Slot slot = in.operand[position];
    if (slot == kNoSlot || !(slot & kConstant))
      return std::nullopt;
    return module.constants.value(slot, in.width[position]);
  }
  unsigned registerBits(unsigned position) const override {
    if (position >= in.operandCount || in.operand[position] & kConstant)
      return 0;
    return in.width[position] == Width::Predicate
               ? 1
               : 8 * bytesOf(in.width[position]);
  }
  std::string_view part(unsigned index) const override {
    if (index >= ast.operandCount)
      return {};
    std::string_view name = operands[index].name;
    size_t dot = name.find('.');
    return dot == name.npos ? name.substr(0, 0) : name.substr(dot + 1);
  }
  bool minus(unsigned index) const override {
    return index < ast.operandCount && operands[index].minus;
  }
  unsigned sm() const override { return module.ast.sm; }
  unsigned ptxVersion() const override { return module.ast.version; }
  [[noreturn]] void fail(std::string why) const override {
    module.fail(ast.position, ast.textBegin, std::move(why));
  }

protected:
  void own(std::shared_ptr<const void> value) override {
    module.program.extras.push_back(std::move(value));
  }

private:
  ModuleContext &module;
  const syntax::Instruction &ast;
  const syntax::Operand *operands; ///< of the statement
  const Form &form;
  const Instruction &in;
};

/// What this CPU can run: 2 is AVX-512, 1 AVX2. PTX_CPU asks for less; it is
/// read for each function, so that a process can load modules at all levels.
int cpuLevel() {
#if defined(__x86_64__)
  const char *wish = std::getenv("PTX_CPU");
  std::string_view name = wish ? wish : "";
  int most = name == "baseline" ? 0 : name == "avx2" ? 1 : 2;
  if (most >= 2 && __builtin_cpu_supports("x86-64-v4"))
    return 2;
  return most >= 1 && __builtin_cpu_supports("x86-64-v3") ? 1 : 0;
#else
  return 0;
#endif
}

Handler chooseHandler(const HandlerSet &handlers, int level) {
  if (level >= 2 && handlers.avx512)
    return handlers.avx512;
  if (level >= 1 && handlers.avx2)
    return handlers.avx2;
  return handlers.baseline;
}
} // namespace

void FunctionDecoder::finish() {
  endFunction();
  resolveTables();
  placeRegisters();
  addFlags();
  runRowDecoders();
}

/// Every path of a function ends in an instruction.
void FunctionDecoder::endFunction() {
  Program &program = module.program;
  bool falls = program.instructions.size() == begin ||
               !endsPath(program.instructions.back()) ||
               labelled[sources.size()];
  if (falls) {
    static const syntax::Instruction nothing;
    const Form &form = module.forms.find("ret");
    if (form.rows.empty())
      fail(ast.position, "the instruction table has no 'ret'");
    Instruction ret;
    ret.row = form.rows.front();
    if (!program.instructions.empty() && program.instructions.size() > begin) {
      const Instruction &last = program.instructions.back();
      ret.line = last.line;
      ret.column = last.column;
      ret.sourceLine = last.sourceLine;
      ret.sourceFile = last.sourceFile;
    } else {
      ret.line = ast.position.line;
      ret.column = ast.position.column;
    }
    program.instructions.push_back(ret);
    sources.push_back({&nothing, &form});
  }
  Function &function = program.functions[index];
  function.begin = begin;
  function.end = static_cast<uint32_t>(program.instructions.size());
}

void FunctionDecoder::resolveTables() {
  for (const PendingTable &pending : pendingTables) {
    if (pending.ast->kind != syntax::Table::Kind::BranchTargets)
      fail(*pending.in, pending.in->position,
           "'" + std::string(pending.ast->name) +
               "' is no list of '.branchtargets'");
    size_t number = static_cast<size_t>(pending.ast - ast.tables.data());
    for (std::string_view name : pending.ast->targets) {
      std::optional<uint32_t> target = findLabel(name, tableScopes[number]);
      if (!target)
        fail(pending.ast->position,
             "unknown label '" + std::string(name) + "'");
      pending.table->targets.push_back(*target);
    }
  }
}

void FunctionDecoder::rewrite(Slot &slot,
                              const std::vector<Slot> &places) const {
  if (slot != kNoSlot && !(slot & kConstant))
    slot = places[slot];
}

/// Blocks begin at labels and behind what may branch.
static std::vector<BlockRange> blocksOf(std::span<Instruction> code,
                                        const std::vector<bool> &labelled,
                                        uint32_t begin, uint32_t firstBlock) {
  std::vector<BlockRange> blocks;
  for (uint32_t i = 0; i < code.size(); ++i) {
    bool starts = i == 0 || (i < labelled.size() && labelled[i]) ||
                  endsBlock(code[i - 1]);
    if (starts) {
      if (!blocks.empty())
        blocks.back().end = i;
      blocks.push_back({i, 0, {}});
    }
    code[i].block = firstBlock + static_cast<uint32_t>(blocks.size()) - 1;
  }
  blocks.back().end = static_cast<uint32_t>(code.size());
  for (uint32_t b = 0; b < blocks.size(); ++b) {
    const Instruction &last = code[blocks[b].end - 1];
    auto add = [&](uint32_t target) {
      if (target >= begin && target - begin < code.size())
        blocks[b].successors.push_back(code[target - begin].block - firstBlock);
    };
    if (!endsPath(last))
      add(begin + blocks[b].end);
    if (last.row->opcode == "bra")
      add(last.target);
    if (last.row->opcode == "brx")
      for (uint32_t target :
           static_cast<const BranchTable *>(last.extra)->targets)
        add(target);
  }
  return blocks;
}

void FunctionDecoder::placeRegisters() {
  Program &program = module.program;
  std::span<Instruction> code(program.instructions.data() + begin,
                              program.instructions.size() - begin);
  std::vector<BlockRange> blocks =
      blocksOf(code, labelled, begin, program.basicBlocks);
  program.basicBlocks += static_cast<uint32_t>(blocks.size());
  // What runs asynchronously touches its registers later.
  for (const Instruction &in : code)
    if (in.row->opcode == "wgmma")
      for (unsigned k = 0; k < in.operandCount; ++k)
        if (!(in.operand[k] & kConstant))
          registers[in.operand[k]].pinned = true;
  auto uses = [&](uint32_t i, RegisterUses &found) {
    const Instruction &in = code[i];
    auto add = [](std::vector<uint32_t> &list, Slot slot) {
      if (!(slot & kConstant)) // nor kNoSlot
        list.push_back(slot);
    };
    for (unsigned k = 0; k < in.operandCount; ++k)
      add(k < in.resultCount ? found.writes : found.reads, in.operand[k]);
    add(found.reads, in.guard);
    found.mayNotWrite = in.flags & kGuarded;
    if (auto call = calls.find(i); call != calls.end()) {
      for (const Actual &actual : call->second->arguments)
        if (actual.inRegister)
          add(found.reads, actual.slot);
      for (const Actual &actual : call->second->results)
        if (actual.inRegister)
          add(found.writes, actual.slot);
    }
  };
  RegisterPlacement placement = ptx::placeRegisters(
      registers, blocks, static_cast<uint32_t>(code.size()), uses, true);
  for (Instruction &in : code) {
    Slot *slots = const_cast<Slot *>(in.operand); // ours until now
    for (unsigned k = 0; k < in.operandCount; ++k)
      rewrite(slots[k], placement.slots);
    rewrite(in.guard, placement.slots);
  }
  for (auto &[number, site] : calls)
    for (std::vector<Actual> *list : {&site->arguments, &site->results})
      for (Actual &actual : *list)
        if (actual.inRegister)
          rewrite(actual.slot, placement.slots);
  Function &function = program.functions[index];
  for (std::vector<Formal> *list : {&function.parameters, &function.results})
    for (Formal &formal : *list)
      if (formal.inRegister)
        rewrite(formal.slot, placement.slots);
  for (FrameValue &value : frameValues)
    rewrite(value.slot, placement.slots);
  function.frameValues = std::move(frameValues);
  function.frameBytes = placement.frameBytes;
  function.predicateBytes = placement.predicateBytes;
}

void FunctionDecoder::addFlags() {
  const int level = cpuLevel();
  for (size_t i = begin; i < module.program.instructions.size(); ++i) {
    Instruction &in = module.program.instructions[i];
    if (in.row->aligned)
      in.flags |= kAligned;
    if (in.row->cost == Cost::Control)
      in.flags |= kBranches;
    in.run = chooseHandler(in.row->handlers, level);
  }
}

void FunctionDecoder::runRowDecoders() {
  for (size_t i = 0; i < sources.size(); ++i) {
    Instruction &in = module.program.instructions[begin + i];
    if (!in.row->decode)
      continue;
    const syntax::Instruction &statement = *sources[i].ast;
    RowDecodeContext context(module, statement,
                             ast.operands.data() + statement.firstOperand,
                             *sources[i].form, in);
    in.row->decode(context, in);
  }
}
