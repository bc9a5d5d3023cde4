// What ptxas folds into neighbours.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_FOLDBLOCK_H
#define PTX_COUNTERS_FOLDBLOCK_H

#include "Counters/MachineCode.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace ptx {

/// A load that must look at memory each time: volatile, relaxed, acquire.
bool isOrderedLoad(const Instruction &in);

/// Lowers the costs of one basic block's instructions by what disappears in
/// machine code: three-input logic and sums, products that carry the address
/// sum, conversions of indices, moves, the control of short loops.
class FoldBlock {
public:
  FoldBlock(const Program &program, const Function &function,
            const ControlFlow &flow, size_t block,
            std::vector<CodeFacts> &facts);
  void run();

private:
  /// What happens to the first result of an instruction inside the block.
  struct Value {
    uint32_t uses = 0;
    uint32_t user = 0;   ///< the last one
    bool leaves = false; ///< read after the block, or by the next round
  };
  const Instruction &at(uint32_t pc) const { return program.instructions[pc]; }
  std::string_view op(uint32_t pc) const;
  bool has(uint32_t pc, std::string_view modifier) const;
  bool isConstant(uint32_t pc, unsigned source) const;
  /// The instruction of this block that made a source, or kNone.
  static constexpr uint32_t kNone = ~0u;
  uint32_t maker(uint32_t pc, unsigned source) const;
  Value &valueOf(uint32_t pc) { return values[pc - begin]; }
  bool usedOnceBy(uint32_t pc, std::string_view user);
  bool allUsersAre(uint32_t pc, std::string_view user);
  void setCost(uint32_t pc, float instructions);
  void absorb(uint32_t pc, uint32_t user);

  void findValues();
  void foldMove(uint32_t pc);
  void foldConvert(uint32_t pc);
  void foldField(uint32_t pc);
  bool sumsProduct(uint32_t pc);
  bool isCounter(uint32_t pc) const;
  void foldWideSum(uint32_t pc);
  void foldLogic(uint32_t pc);
  void foldSum(uint32_t pc);
  void foldSign(uint32_t pc);
  void foldCompare(uint32_t pc);
  void foldBranch(uint32_t pc);
  void unroll();

  const Program &program;
  const Function &function;
  const ControlFlow &flow;
  const ControlFlow::Range &range;
  uint32_t begin, end;
  std::vector<CodeFacts> &facts;
  std::vector<Value> values;
  std::vector<std::vector<uint32_t>> users;  ///< of the first result
  std::vector<std::vector<uint32_t>> makers; ///< of each source
  std::vector<bool> absorbed; ///< has taken in another instruction
};

} // namespace ptx

#endif // PTX_COUNTERS_FOLDBLOCK_H
