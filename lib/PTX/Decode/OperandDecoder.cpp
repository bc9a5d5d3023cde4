// Operands against the rows of a form.
//
// The rules are the assembler's: a register must be as wide as the type (or
// wider, where the form says so) and of a kind the type accepts: `.b` any,
// `.u` and `.s` each other and `.b`, `.f` itself and `.b`. Immediates of float
// types are floats, of integer types integers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/FunctionDecoder.h"

#include <bit>

using namespace ptx;

void FunctionDecoder::Matched::clear(const Row &newRow) {
  row = &newRow;
  slots.clear();
  widths.clear();
  results = 0;
  addresses = 0;
  offset[0] = offset[1] = offset[2] = 0;
  negated = 0;
  memberMask = -1;
  target = 0;
  table = nullptr;
  clock.reset();
}

bool FunctionDecoder::reject(Mismatch &mismatch, const syntax::Operand &operand,
                             std::string_view why) const {
  mismatch.position = operand.position;
  if (mismatch.wanted)
    mismatch.why = why;
  return false;
}

static std::string quoted(std::string_view name) {
  return "'" + std::string(name) + "'";
}

const FunctionDecoder::Matched &
FunctionDecoder::matchForm(const syntax::Instruction &in, const Form &form) {
  size_t furthest = 0;
  const Row *best = form.rows.front();
  for (const Row *row : form.rows) {
    Mismatch mismatch;
    if (matchRow(*row, in, mismatch))
      return matched;
    if (mismatch.depth > furthest) {
      furthest = mismatch.depth;
      best = row;
    }
  }
  // Once more, for the words.
  Mismatch mismatch;
  mismatch.wanted = true;
  mismatch.position = in.position;
  matchRow(*best, in, mismatch);
  fail(in, mismatch.position, mismatch.why);
}

bool FunctionDecoder::matchRow(const Row &row, const syntax::Instruction &in,
                               Mismatch &mismatch) {
  matched.clear(row);
  mismatch.position = in.position;
  const syntax::Operand *operands = ast.operands.data() + in.firstOperand;
  size_t next = 0;
  for (size_t i = 0; i < row.operands.size(); ++i) {
    const OperandSpec &spec = row.operands[i];
    if (i == row.resultCount)
      matched.results = matched.slots.size();
    if (row.memberMask >= 0 &&
        static_cast<size_t>(row.memberMask) == matched.slots.size())
      matched.memberMask = row.memberMask;
    bool present = next < in.operandCount &&
                   operands[next].paired == spec.has(operand::Pair);
    mismatch.depth = 2 * next;
    if (present) {
      bool wantsVector = spec.kind == OperandKind::Vector;
      bool isVector = operands[next].kind == syntax::Operand::Kind::Vector;
      mismatch.depth += wantsVector == isVector;
      if (!matchOperand(spec, operands[next], i < row.resultCount, mismatch))
        return false;
      ++next;
      continue;
    }
    if (!spec.has(operand::Optional)) {
      if (mismatch.wanted)
        mismatch.why = next < in.operandCount && operands[next].paired
                           ? quoted(row.name()) + " has no operand behind '|'"
                           : quoted(row.name()) +
                                 " needs more operands than the " +
                                 std::to_string(in.operandCount) + " given";
      return false;
    }
    for (unsigned k = 0; k < spec.count; ++k)
      matched.add(kNoSlot, Width::None);
  }
  if (row.resultCount == row.operands.size())
    matched.results = matched.slots.size();
  mismatch.depth = 2 * next;
  if (next == in.operandCount)
    return true;
  mismatch.position = operands[next].position;
  if (mismatch.wanted)
    mismatch.why = operands[next].paired
                       ? quoted(row.name()) + " has no operand behind '|'"
                       : quoted(row.name()) + " takes only " +
                             std::to_string(next) + " operands";
  return false;
}

/// Whether a result may be `_`. Loads, atomics and the like look before they
/// write; arithmetic does not, unless its row says that it does.
static bool resultMayBeSink(const Row &row, const OperandSpec &spec) {
  switch (row.cost) {
  case Cost::Alu:
  case Cost::Fma:
  case Cost::Half:
  case Cost::Double:
  case Cost::Special:
  case Cost::Convert:
  case Cost::Tensor:
    return spec.has(operand::Sink);
  default:
    return true;
  }
}

bool FunctionDecoder::matchOperand(const OperandSpec &spec,
                                   const syntax::Operand &operand,
                                   bool isResult, Mismatch &mismatch) {
  if (operand.kind == syntax::Operand::Kind::Sink) {
    if (!(isResult ? resultMayBeSink(*matched.row, spec)
                   : spec.has(operand::Sink)))
      return reject(mismatch, operand, "'_' cannot be used here");
    for (unsigned k = 0; k < spec.count; ++k)
      matched.add(kNoSlot, Width::None);
    return true;
  }
  if (operand.negated && !spec.has(operand::Negate))
    return reject(mismatch, operand, "'!' cannot be used here");
  if (operand.minus && !spec.has(operand::Minus))
    return reject(mismatch, operand, "'-' cannot stand before a name here");
  // `{a}` is `a`.
  if (operand.kind == syntax::Operand::Kind::Vector &&
      operand.childCount == 1 && spec.kind != OperandKind::Vector)
    return matchOperand(spec, ast.operands[operand.firstChild], isResult,
                        mismatch);
  switch (spec.kind) {
  case OperandKind::Register:
    return matchRegister(spec, operand, isResult, mismatch);
  case OperandKind::Source:
  case OperandKind::SourceOrAddressOf:
    return matchSource(spec, operand, mismatch);
  case OperandKind::Predicate:
    return matchPredicate(spec, operand, isResult, mismatch);
  case OperandKind::Immediate:
    return matchImmediate(spec, operand, mismatch);
  case OperandKind::Vector:
    return matchVector(spec, operand, isResult, mismatch);
  case OperandKind::Address:
  case OperandKind::TensorAddress:
    return matchAddress(spec, operand, mismatch);
  case OperandKind::Label:
  case OperandKind::LabelTable:
    return matchLabel(spec, operand, mismatch);
  case OperandKind::CallResults:
  case OperandKind::Callee:
  case OperandKind::CallArguments:
  case OperandKind::CallPrototype:
    break;
  }
  return reject(mismatch, operand, "only 'call' has such an operand");
}

static bool classFits(const OperandSpec &spec, Type have) {
  if (spec.has(operand::Integer))
    return true;
  TypeClass wanted = typeClass(spec.type), given = typeClass(have);
  return wanted == TypeClass::Bits || given == TypeClass::Bits ||
         wanted == given;
}

static bool typeFits(const OperandSpec &spec, Type have) {
  if (have == Type::Pred || spec.type == Type::Pred)
    return have == spec.type;
  unsigned wanted = bitWidth(spec.type), given = bitWidth(have);
  if (given != wanted && !(given > wanted && spec.has(operand::Wider)))
    return false;
  return classFits(spec, have);
}

bool FunctionDecoder::matchRegister(const OperandSpec &spec,
                                    const syntax::Operand &operand,
                                    bool isResult, Mismatch &mismatch) {
  if (operand.kind != syntax::Operand::Kind::Name)
    return reject(mismatch, operand,
                  isResult ? "a result must be a register"
                           : "this operand must be a register");
  std::string_view name = operand.name;
  RegisterName found = findRegister(name);
  unsigned component = 0;
  if (!found.exists()) {
    // `V.x` of a vector register.
    size_t dot = name.rfind('.');
    size_t at = dot == std::string_view::npos || dot + 2 != name.size()
                    ? std::string_view::npos
                    : std::string_view("xyzwrgba").find(name[dot + 1]);
    if (at != std::string_view::npos)
      found = findRegister(name.substr(0, dot));
    component =
        at == std::string_view::npos ? 0 : static_cast<unsigned>(at & 3);
    if (found.exists() && (found.vector == 1 || component >= found.vector))
      found = {};
    else if (found.exists())
      found.vector = 1;
    if (spec.has(operand::Part))
      found = findRegister(name.substr(0, name.find('.')));
  } else if (spec.has(operand::PartNeeded)) {
    return reject(mismatch, operand,
                  "a part of the register must be named, such as 'r.b0'");
  }
  if (!found.exists()) {
    if (!mismatch.wanted)
      return reject(mismatch, operand, {});
    if (findSymbol(name) || specialRegister(name))
      return reject(mismatch, operand, quoted(name) + " is no register");
    return reject(mismatch, operand, "unknown register " + quoted(name));
  }
  if (operand.constant.bits || operand.indexed)
    return reject(mismatch, operand, "nothing can be added to a register here");
  if (found.vector != 1)
    return reject(mismatch, operand, "a vector register cannot be used here");
  if (!typeFits(spec, found.type)) {
    if (mismatch.wanted)
      reject(mismatch, operand,
             quoted(name) + " is a '" + std::string(typeName(found.type)) +
                 "' register, '" + std::string(typeName(spec.type)) +
                 (spec.has(operand::Wider) ? "' or wider" : "'") +
                 " is needed");
    return reject(mismatch, operand, mismatch.why);
  }
  uint32_t id = found.id + component;
  matched.add(id, registers[id].width);
  return true;
}

bool FunctionDecoder::matchSource(const OperandSpec &spec,
                                  const syntax::Operand &operand,
                                  Mismatch &mismatch) {
  if (operand.kind == syntax::Operand::Kind::Constant)
    return matchConstant(spec, operand, mismatch);
  if (operand.kind != syntax::Operand::Kind::Name)
    return reject(mismatch, operand,
                  "this operand must be a register or a constant");
  if (findRegister(operand.name).exists())
    return matchRegister(spec, operand, false, mismatch);
  if (const Symbol *symbol = findSymbol(operand.name))
    if (symbol->kind != Symbol::Kind::Register) {
      if (spec.kind == OperandKind::SourceOrAddressOf)
        return matchAddressOf(spec, operand, *symbol, mismatch);
      return reject(mismatch, operand,
                    "the address of a variable cannot be used here: 'mov' it "
                    "to a register first");
    }
  if (operand.name[0] == '%')
    if (std::optional<SpecialRegister> special = specialRegister(operand.name))
      return matchSpecial(spec, operand, *special, mismatch);
  return matchRegister(spec, operand, false, mismatch);
}

/// The bits of a constant in a type; nothing if it has none there.
static std::optional<uint64_t> bitsIn(Type type, bool anyInteger,
                                      const syntax::Constant &constant) {
  using Kind = syntax::Constant::Kind;
  unsigned bits = bitWidth(type);
  bool isInteger = constant.kind == Kind::Integer;
  switch (typeClass(type)) {
  case TypeClass::Float:
    if (type == Type::F32 && !isInteger)
      return constant.asSingleBits();
    if (type == Type::F64 && !isInteger)
      return constant.kind == Kind::Double
                 ? constant.bits
                 : std::bit_cast<uint64_t>(constant.asDouble());
    if (anyInteger && isInteger)
      break;
    return std::nullopt;
  case TypeClass::Bits:
    if (constant.kind == Kind::Single && bits != 32)
      return std::nullopt;
    if (constant.kind == Kind::Double && bits != 64)
      return std::nullopt;
    break;
  case TypeClass::Integer:
    if (!isInteger)
      return std::nullopt;
    break;
  default:
    return std::nullopt;
  }
  return bits >= 64 ? constant.bits
                    : constant.bits & ((uint64_t{1} << bits) - 1);
}

static Width constantWidth(Type type) {
  unsigned bits = bitWidth(type);
  return bits <= 16   ? Width::Half
         : bits <= 32 ? Width::Word
         : bits <= 64 ? Width::Double
                      : Width::Quad;
}

bool FunctionDecoder::matchConstant(const OperandSpec &spec,
                                    const syntax::Operand &operand,
                                    Mismatch &mismatch) {
  std::optional<uint64_t> bits =
      bitsIn(spec.type, spec.has(operand::Integer), operand.constant);
  if (!bits) {
    if (!mismatch.wanted)
      return reject(mismatch, operand, {});
    bool isInteger = operand.constant.kind == syntax::Constant::Kind::Integer;
    return reject(mismatch, operand,
                  std::string(isInteger ? "an integer" : "a float") +
                      " cannot be a '" + std::string(typeName(spec.type)) +
                      "' operand");
  }
  Width width = constantWidth(spec.type);
  matched.add(module.constants.get(*bits, width), width);
  return true;
}

bool FunctionDecoder::matchImmediate(const OperandSpec &spec,
                                     const syntax::Operand &operand,
                                     Mismatch &mismatch) {
  if (operand.kind != syntax::Operand::Kind::Constant)
    return reject(mismatch, operand, "this operand must be a constant");
  const syntax::Constant &constant = operand.constant;
  int64_t value = static_cast<int64_t>(constant.bits);
  bool outside = value < spec.minimum || value > spec.maximum ||
                 (constant.isUnsigned && value < 0);
  if (constant.kind == syntax::Constant::Kind::Integer && outside &&
      typeClass(spec.type) != TypeClass::Float)
    return reject(mismatch, operand,
                  mismatch.wanted ? "the constant must be from " +
                                        std::to_string(spec.minimum) + " to " +
                                        std::to_string(spec.maximum)
                                  : std::string());
  return matchConstant(spec, operand, mismatch);
}

bool FunctionDecoder::matchPredicate(const OperandSpec &spec,
                                     const syntax::Operand &operand,
                                     bool isResult, Mismatch &mismatch) {
  OperandSpec predicate = spec;
  predicate.type = Type::Pred;
  if (operand.kind == syntax::Operand::Kind::Constant && !isResult) {
    if (operand.constant.kind != syntax::Constant::Kind::Integer)
      return reject(mismatch, operand, "a float cannot be a predicate");
    matched.add(
        module.constants.get(operand.constant.bits != 0, Width::Predicate),
        Width::Predicate);
    return true;
  }
  size_t position = matched.slots.size();
  if (!isResult && operand.kind == syntax::Operand::Kind::Name &&
      operand.name[0] == '%' && !findRegister(operand.name).exists())
    if (std::optional<SpecialRegister> special = specialRegister(operand.name))
      return matchSpecial(predicate, operand, *special, mismatch);
  if (!matchRegister(predicate, operand, isResult, mismatch))
    return false;
  if (operand.negated && position < 32)
    matched.negated |= 1u << position;
  else if (operand.negated)
    return reject(mismatch, operand, "'!' cannot be used here");
  return true;
}

bool FunctionDecoder::matchVector(const OperandSpec &spec,
                                  const syntax::Operand &operand, bool isResult,
                                  Mismatch &mismatch) {
  OperandSpec element = spec;
  element.kind = isResult ? OperandKind::Register : OperandKind::Source;
  element.count = 1;
  if (operand.kind == syntax::Operand::Kind::Name) {
    RegisterName found = findRegister(operand.name);
    if (found.exists() && found.vector == spec.count && spec.count > 1) {
      if (!typeFits(element, found.type))
        return reject(mismatch, operand,
                      "the vector register has another type of element");
      for (unsigned k = 0; k < found.vector; ++k)
        matched.add(found.id + k, registers[found.id + k].width);
      return true;
    }
    if (!found.exists() && !isResult && spec.count == 4 &&
        currentForm->modifiers.front() == ".v4" &&
        specialRegister(std::string(operand.name) + ".x")) {
      for (const char *component : {".x", ".y", ".z", ".w"})
        if (!matchSpecial(
                element, operand,
                *specialRegister(std::string(operand.name) + component),
                mismatch))
          return false;
      return true;
    }
  }
  if (operand.kind != syntax::Operand::Kind::Vector) {
    if (spec.count == 1)
      return matchOperand(element, operand, isResult, mismatch);
    return reject(mismatch, operand,
                  "a vector '{...}' of " + std::to_string(spec.count) +
                      " elements is needed");
  }
  if (operand.childCount != spec.count)
    return reject(mismatch, operand,
                  "the vector has " + std::to_string(operand.childCount) +
                      " elements, " + std::to_string(spec.count) +
                      " are needed");
  for (unsigned k = 0; k < operand.childCount; ++k) {
    const syntax::Operand &child = ast.operands[operand.firstChild + k];
    if (child.kind == syntax::Operand::Kind::Sink && isResult &&
        resultMayBeSink(*matched.row, spec))
      matched.add(kNoSlot, Width::None);
    else if (!matchOperand(element, child, isResult, mismatch))
      return false;
  }
  return true;
}

bool FunctionDecoder::matchSpecial(const OperandSpec &spec,
                                   const syntax::Operand &operand,
                                   const SpecialRegister &special,
                                   Mismatch &mismatch) {
  if (currentForm->opcode != "mov" && currentForm->opcode != "cvt")
    return reject(mismatch, operand,
                  "a special register can only be read by 'mov' or 'cvt'");
  if (special.isClock && currentForm->opcode != "mov")
    return reject(mismatch, operand, "a clock can only be read by 'mov'");
  bool isPredicate = special.width == Width::Predicate;
  if (isPredicate != (spec.type == Type::Pred))
    return reject(mismatch, operand,
                  isPredicate ? "this special register is a predicate"
                              : "a predicate is needed");
  unsigned wanted = bitWidth(spec.type), has = 8 * bytesOf(special.width);
  // A conversion reads what its type holds.
  bool cut = (special.mayBeCut || currentForm->opcode == "cvt") &&
             wanted >= 16 && wanted < has;
  if (isFloat(spec.type) || (!isPredicate && wanted != has && !cut))
    return reject(mismatch, operand,
                  mismatch.wanted
                      ? quoted(special.name) + " has " + std::to_string(has) +
                            " bits and is no '" +
                            std::string(typeName(spec.type)) + "'"
                      : std::string());
  checkSpecial(special, operand);
  Width width = !cut ? special.width : wanted == 16 ? Width::Half : Width::Word;
  if (special.isClock)
    matched.clock = special.clock;
  else if (special.isZero)
    matched.add(module.constants.get(0, width), width);
  else
    matched.add(frameValue(special.kind, width, special.value), width);
  return true;
}

void FunctionDecoder::checkSpecial(const SpecialRegister &special,
                                   const syntax::Operand &operand) const {
  if (module.ast.sm < special.minSm)
    fail(*current, operand.position,
         quoted(special.name) + " needs sm_" + std::to_string(special.minSm));
  if (module.ast.version < special.minPtx)
    fail(*current, operand.position,
         quoted(special.name) + " needs a newer '.version'");
}

bool FunctionDecoder::matchLabel(const OperandSpec &spec,
                                 const syntax::Operand &operand,
                                 Mismatch &mismatch) {
  if (operand.kind != syntax::Operand::Kind::Name)
    return reject(mismatch, operand, "this operand must be a label");
  if (spec.kind == OperandKind::LabelTable) {
    matched.table = findTable(operand.name);
    if (matched.table)
      return true;
    return reject(mismatch, operand,
                  quoted(operand.name) + " is no list of '.branchtargets'");
  }
  std::optional<uint32_t> target = findLabel(operand.name, scope);
  if (!target)
    return reject(mismatch, operand, "unknown label " + quoted(operand.name));
  matched.target = *target;
  return true;
}
