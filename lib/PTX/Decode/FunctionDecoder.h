// From the tree of a body to instructions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DECODE_FUNCTIONDECODER_H
#define PTX_DECODE_FUNCTIONDECODER_H

#include "Decode/ModuleDecoder.h"
#include "Decode/RegisterAllocation.h"
#include "Decode/SpecialRegisters.h"

#include <optional>
#include <tuple>

namespace ptx {

/// While a body is decoded, operands name registers by number; the allocation
/// turns numbers into offsets at the end.
class FunctionDecoder {
public:
  FunctionDecoder(ModuleContext &module, const syntax::Function &ast,
                  uint32_t index);
  void decode();

private:
  /// The operands of one instruction as they fit one row.
  struct Matched {
    const Row *row = nullptr;
    std::vector<Slot> slots;
    std::vector<Width> widths;
    size_t results = 0; ///< flattened
    unsigned addresses = 0;
    int64_t offset[3] = {0, 0, 0};
    uint32_t negated = 0;
    int memberMask = -1;
    uint32_t target = 0;
    const syntax::Table *table = nullptr;
    std::optional<ClockKind> clock; ///< the source is a clock
    void clear(const Row &newRow);
    void add(Slot slot, Width width) {
      slots.push_back(slot);
      widths.push_back(width);
    }
  };
  /// Why operands do not fit. The text is made only when it will be shown.
  struct Mismatch {
    bool wanted = false;
    size_t depth = 0; ///< how far it fitted; the best row is explained
    syntax::Position position;
    std::string why;
  };
  struct Source {
    const syntax::Instruction *ast;
    const Form *form;
  };
  struct LabelKey {
    std::string_view name;
    uint32_t scope;
    bool operator==(const LabelKey &) const = default;
  };
  struct LabelHash {
    size_t operator()(const LabelKey &key) const {
      return std::hash<std::string_view>()(key.name) * 31 + key.scope;
    }
  };

  // FunctionDecoder.cpp: declarations and order.
  void collectLabels();
  void declareFormals();
  Formal declareFormal(const syntax::Variable &variable);
  void declare(const syntax::Variable &variable);
  void declareRegister(const syntax::Variable &variable);
  uint32_t placeParam(uint64_t size, uint64_t alignment);
  void walk();
  void decodeInstruction(const syntax::Instruction &in);
  void readClock();
  void setGuard(const syntax::Instruction &in, Instruction &out);
  void commit(const syntax::Instruction &in, const Form &form,
              const Matched &matched);

  // OperandDecoder.cpp: operands against a row.
  const Matched &matchForm(const syntax::Instruction &in, const Form &form);
  bool matchRow(const Row &row, const syntax::Instruction &in,
                Mismatch &mismatch);
  bool matchOperand(const OperandSpec &spec, const syntax::Operand &operand,
                    bool isResult, Mismatch &mismatch);
  bool matchRegister(const OperandSpec &spec, const syntax::Operand &operand,
                     bool isResult, Mismatch &mismatch);
  bool matchSource(const OperandSpec &spec, const syntax::Operand &operand,
                   Mismatch &mismatch);
  bool matchConstant(const OperandSpec &spec, const syntax::Operand &operand,
                     Mismatch &mismatch);
  bool matchImmediate(const OperandSpec &spec, const syntax::Operand &operand,
                      Mismatch &mismatch);
  bool matchPredicate(const OperandSpec &spec, const syntax::Operand &operand,
                      bool isResult, Mismatch &mismatch);
  bool matchVector(const OperandSpec &spec, const syntax::Operand &operand,
                   bool isResult, Mismatch &mismatch);
  bool matchSpecial(const OperandSpec &spec, const syntax::Operand &operand,
                    const SpecialRegister &special, Mismatch &mismatch);
  bool matchLabel(const OperandSpec &spec, const syntax::Operand &operand,
                  Mismatch &mismatch);
  bool reject(Mismatch &mismatch, const syntax::Operand &operand,
              std::string_view why) const;

  // AddressDecoder.cpp
  bool matchAddress(const OperandSpec &spec, const syntax::Operand &operand,
                    Mismatch &mismatch);
  bool matchAddressName(const OperandSpec &spec, const syntax::Operand &operand,
                        Mismatch &mismatch);
  bool matchAddressOf(const OperandSpec &spec, const syntax::Operand &operand,
                      const Symbol &symbol, Mismatch &mismatch);
  Slot addressOf(const Symbol &symbol, int64_t addend, Width width,
                 bool generic, const syntax::Operand &operand);
  Slot sharedAddress(const Symbol &symbol, uint64_t base, Width width);

  // Calls.cpp
  void decodeCall(const syntax::Instruction &in, const Form &form);
  void decodeCallee(const syntax::Instruction &in,
                    const syntax::Operand &operand, CallSite &site,
                    Matched &matched);
  void checkRuntimeFunction(const syntax::Instruction &in,
                            syntax::Position position, std::string_view name,
                            const CallSite &site) const;
  std::vector<Actual> actuals(const syntax::Operand *list, bool results);
  void checkActuals(const syntax::Instruction &in,
                    const std::vector<Actual> &given,
                    const std::vector<syntax::Variable> &formals,
                    std::string_view what);

  // Names.
  struct RegisterName {
    uint32_t id = ~0u; ///< of the first
    Type type = Type::None;
    unsigned vector = 1;
    bool exists() const { return id != ~0u; }
  };
  RegisterName findRegister(std::string_view name);
  const Symbol *findSymbol(std::string_view name);
  std::optional<uint32_t> findLabel(std::string_view name, uint32_t from) const;
  const syntax::Table *findTable(std::string_view name) const;
  uint32_t newRegister(Type type);
  uint32_t frameValue(FrameValueKind kind, Width width, uint64_t value);
  void checkSpecial(const SpecialRegister &special,
                    const syntax::Operand &operand) const;

  // Finish.cpp
  void finish();
  void endFunction();
  void resolveTables();
  void findBlocks();
  void placeRegisters();
  void rewrite(Slot &slot, const std::vector<Slot> &places) const;
  void runRowDecoders();
  void addFlags();

  [[noreturn]] void fail(const syntax::Instruction &in,
                         syntax::Position position, std::string why) const;
  [[noreturn]] void fail(syntax::Position position, std::string why) const;

  ModuleContext &module;
  const syntax::Function &ast;
  uint32_t index; ///< in Program::functions
  uint32_t begin = 0;

  NameTable names;
  std::vector<VirtualRegister> registers;
  std::vector<FrameValue> frameValues; ///< `slot` is a register's number
  std::map<std::tuple<FrameValueKind, Width, uint64_t>, uint32_t> frameIds;
  std::map<std::tuple<uint32_t, uint64_t, Width>, Slot> sharedSlots;

  std::unordered_map<LabelKey, uint32_t, LabelHash> labels; ///< instruction
  std::unordered_map<LabelKey, uint32_t, LabelHash> tables;
  std::vector<uint32_t> tableScopes;
  std::vector<uint32_t> scopeParents; ///< by scope, in order of `{`
  uint32_t scope = 0;
  std::vector<uint32_t> paramMarks; ///< param bytes where blocks began
  uint32_t paramBytes = 0;

  std::vector<Source> sources; ///< of each instruction of the function
  std::vector<bool> labelled;  ///< instruction begins a block
  struct PendingTable {
    std::shared_ptr<BranchTable> table;
    const syntax::Table *ast;
    const syntax::Instruction *in;
  };
  std::vector<PendingTable> pendingTables;
  std::unordered_map<uint32_t, std::shared_ptr<CallSite>> calls;
  const Form *currentForm = nullptr;
  const syntax::Instruction *current = nullptr;
  Matched matched;
  uint32_t sourceLine = 0, sourceFile = 0;
};

} // namespace ptx

#endif // PTX_DECODE_FUNCTIONDECODER_H
