// What checks know beforehand.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/InstructionTraits.h"

#include "Isa/IsaTable.h"
#include "Machine/Program.h"

#include <algorithm>
#include <set>
#include <string_view>

using namespace ptx;
using namespace ptx::checks;

namespace {
bool has(const Row &row, std::string_view modifier) {
  return std::find(row.modifiers.begin(), row.modifiers.end(), modifier) !=
         row.modifiers.end();
}

uint8_t ownTraits(const Instruction &in) {
  if (!in.row)
    return 0;
  const Row &row = *in.row;
  uint8_t found = 0;
  if ((row.opcode == "div" || row.opcode == "rem") && in.operandCount == 3 &&
      !isFloat(row.operands[0].type))
    found |= kDivides;
  if (row.opcode == "wgmma")
    found |= kMatrixGroup;
  if (row.opcode != "cp")
    return found;
  found |= kCopies;
  if (has(row, ".bulk_group") ||
      (has(row, ".bulk") &&
       (has(row, ".commit_group") || has(row, ".wait_group"))))
    found |= kBulkGroup;
  if (has(row, ".reduce"))
    found |= kReduces;
  return found;
}

bool isOpcode(const Instruction &in, std::string_view opcode) {
  return in.row && in.row->opcode == opcode;
}

/// Registers whose value may become that of \p slot by moves alone.
std::set<Slot> sourcesOf(const Program &program, const Function &function,
                         Slot slot) {
  std::set<Slot> slots{slot};
  for (bool grew = true; grew;) {
    grew = false;
    for (uint32_t i = function.begin; i < function.end; ++i) {
      const Instruction &in = program.instructions[i];
      if (isOpcode(in, "mov") && in.operandCount == 2 &&
          slots.count(in.operand[0]) && !(in.operand[1] & kConstant))
        grew |= slots.insert(in.operand[1]).second;
    }
  }
  return slots;
}

void findOptimistic(const Program &program, const Function &function,
                    std::vector<uint8_t> &traits) {
  for (uint32_t i = function.begin; i < function.end; ++i) {
    const Instruction &swap = program.instructions[i];
    if (!isOpcode(swap, "atom") || !has(*swap.row, ".cas") ||
        swap.operandCount < 4 || (swap.operand[2] & kConstant))
      continue;
    std::set<Slot> compared = sourcesOf(program, function, swap.operand[2]);
    for (uint32_t j = function.begin; j < function.end; ++j) {
      const Instruction &load = program.instructions[j];
      if (isOpcode(load, "ld") && load.resultCount == 1 &&
          compared.count(load.operand[0]))
        traits[j] |= kOptimistic;
    }
  }
}

/// Whether the word that \p load reads is stored back with a part replaced,
/// in the same basic block.
bool updatesBitField(const Program &program, const Function &function,
                     uint32_t load) {
  const Instruction &first = program.instructions[load];
  std::set<Slot> derived{first.operand[0]};
  bool masked = false;
  for (uint32_t i = load + 1; i < function.end; ++i) {
    const Instruction &in = program.instructions[i];
    if (in.block != first.block || !in.row)
      return false;
    // A cache policy may follow the stored value.
    if (isOpcode(in, "st") && in.operandCount >= 2) {
      if (in.operand[0] == first.operand[1] && in.offset[0] == first.offset[0])
        return masked && derived.count(in.operand[1]);
      continue;
    }
    bool uses = false, constant = false;
    for (unsigned o = in.resultCount; o < in.operandCount; ++o) {
      uses |= derived.count(in.operand[o]) != 0;
      constant |= (in.operand[o] & kConstant) != 0;
    }
    const bool combines =
        isOpcode(in, "and") || isOpcode(in, "or") || isOpcode(in, "bfi");
    for (unsigned o = 0; o < in.resultCount; ++o)
      if (uses && combines)
        derived.insert(in.operand[o]);
      else
        derived.erase(in.operand[o]);
    masked |= uses && constant && combines && !isOpcode(in, "or");
  }
  return false;
}

bool isWanted(const Instruction &in) {
  if (!in.row)
    return false;
  switch (in.row->cost) {
  case Cost::Barrier:
  case Cost::Mbarrier:
  case Cost::Async:
    return true;
  default:
    return ownTraits(in) != 0;
  }
}

} // namespace

ProgramTraits::ProgramTraits(const Program &program) {
  for (const Instruction &in : program.instructions) {
    traits.push_back(ownTraits(in));
    wanted.push_back(isWanted(in));
  }
  for (const Function &function : program.functions) {
    findOptimistic(program, function, traits);
    for (uint32_t i = function.begin; i < function.end; ++i) {
      const Instruction &in = program.instructions[i];
      if (isOpcode(in, "ld") && in.resultCount == 1 && in.operandCount >= 2 &&
          updatesBitField(program, function, i))
        traits[i] |= kBitField;
    }
  }
}
