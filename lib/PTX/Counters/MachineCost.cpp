// Machine instructions by opcode and form.
//
// Counts of what ptxas 13 makes for sm_90, read off its output: see
// test/PTX/test_ptx_machine_code.py, which compares. Divisions and roots are
// counted on their usual way; the subroutines they call for rare operands are
// not.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/MachineCost.h"

#include "Isa/IsaTable.h"

#include <array>
#include <string_view>
#include <unordered_map>

namespace ptx {
namespace {

enum class Pipe : unsigned char { None, Alu, Fma, Both, Special, Memory };

struct Entry {
  float narrow; ///< up to 32 bits
  float wide;   ///< 64 bits
  Pipe pipe;
};

/// By opcode. Sums of integers go to either pipe, as ptxas balances them.
const std::unordered_map<std::string_view, Entry> &entries() {
  static const std::unordered_map<std::string_view, Entry> table = {
      {"add", {1, 2, Pipe::Both}},       {"sub", {1, 2, Pipe::Both}},
      {"addc", {1, 2, Pipe::Both}},      {"subc", {1, 2, Pipe::Both}},
      {"neg", {1, 2, Pipe::Both}},       {"mul", {1, 4, Pipe::Fma}},
      {"mad", {1, 4, Pipe::Fma}},        {"madc", {1, 4, Pipe::Fma}},
      {"mul24", {2, 2, Pipe::Fma}},      {"mad24", {2, 2, Pipe::Fma}},
      {"fma", {1, 1, Pipe::Fma}},        {"sad", {1, 10, Pipe::Alu}},
      {"dp4a", {1, 1, Pipe::Fma}},       {"dp2a", {1, 1, Pipe::Fma}},
      {"abs", {1, 5, Pipe::Alu}},        {"min", {1, 4, Pipe::Alu}},
      {"max", {1, 4, Pipe::Alu}},        {"and", {1, 2, Pipe::Alu}},
      {"or", {1, 2, Pipe::Alu}},         {"xor", {1, 2, Pipe::Alu}},
      {"not", {1, 2, Pipe::Alu}},        {"cnot", {3, 5, Pipe::Alu}},
      {"lop3", {1, 1, Pipe::Alu}},       {"shl", {1, 2, Pipe::Alu}},
      {"shr", {1, 2, Pipe::Alu}},        {"shf", {1, 1, Pipe::Alu}},
      {"prmt", {1, 1, Pipe::Alu}},       {"bfe", {4, 4, Pipe::Alu}},
      {"bfi", {4, 6, Pipe::Alu}},        {"szext", {1, 1, Pipe::Alu}},
      {"bmsk", {1, 1, Pipe::Alu}},       {"fns", {53, 53, Pipe::Alu}},
      {"selp", {1, 2, Pipe::Alu}},       {"slct", {1, 2, Pipe::Alu}},
      {"setp", {1, 2, Pipe::Alu}},       {"set", {2, 3, Pipe::Alu}},
      {"testp", {2, 4, Pipe::Alu}},      {"copysign", {1, 1, Pipe::Alu}},
      {"mov", {1, 2, Pipe::Both}},       {"cvta", {0, 0, Pipe::None}},
      {"isspacep", {1, 1, Pipe::Alu}},   {"cvt", {1, 1, Pipe::Special}},
      {"popc", {1, 3, Pipe::Special}},   {"brev", {1, 2, Pipe::Special}},
      {"clz", {2, 4, Pipe::Special}},    {"bfind", {1, 6, Pipe::Special}},
      {"ex2", {4, 4, Pipe::Special}},    {"lg2", {4, 4, Pipe::Special}},
      {"rcp", {10, 11, Pipe::Special}},  {"rsqrt", {4, 14, Pipe::Special}},
      {"sqrt", {10, 19, Pipe::Special}}, {"sin", {2, 2, Pipe::Special}},
      {"cos", {2, 2, Pipe::Special}},    {"tanh", {1, 1, Pipe::Special}},
      {"div", {18, 60, Pipe::Both}},     {"rem", {17, 64, Pipe::Both}},
      {"bra", {1, 1, Pipe::None}},       {"brx", {4, 4, Pipe::None}},
      {"call", {4, 4, Pipe::None}},      {"ret", {1, 1, Pipe::None}},
      {"exit", {1, 1, Pipe::None}},      {"bar", {1, 1, Pipe::None}},
      {"barrier", {1, 1, Pipe::None}},   {"membar", {4, 4, Pipe::None}},
      {"fence", {4, 4, Pipe::None}},     {"shfl", {1, 1, Pipe::Memory}},
      {"vote", {1, 1, Pipe::Alu}},       {"match", {1, 1, Pipe::None}},
      {"activemask", {1, 1, Pipe::Alu}}, {"redux", {2, 2, Pipe::Special}},
      {"elect", {2, 2, Pipe::Alu}},
  };
  return table;
}

bool has(const Row &row, std::string_view modifier) {
  for (const std::string &m : row.modifiers)
    if (m == modifier)
      return true;
  return false;
}

/// Does the form work on 64-bit values? A widening product does not.
bool isWide(const Row &row) {
  if (has(row, ".wide"))
    return false;
  for (const char *type : {".s64", ".u64", ".b64", ".f64"})
    if (has(row, type))
      return true;
  return false;
}

/// Forms that cost something else than their opcode usually does: the first
/// with these modifiers counts.
struct Form {
  std::string_view opcode;
  std::array<std::string_view, 2> modifiers; ///< empty: any
  float count;
  Pipe pipe;
};
constexpr Form kForms[] = {
    {"div", {".approx", ".ftz"}, 2, Pipe::Special},
    {"div", {".approx", ""}, 5, Pipe::Special}, // denormals are scaled
    {"div", {".full", ".ftz"}, 5, Pipe::Special},
    {"div", {".full", ""}, 8, Pipe::Special},
    {"div", {".f32", ""}, 10, Pipe::Special},
    {"div", {".f64", ""}, 16, Pipe::Special},
    {"div", {".s32", ""}, 24, Pipe::Both},
    {"rem", {".s32", ""}, 20, Pipe::Both},
    {"rcp", {".approx", ".ftz"}, 1, Pipe::Special},
    {"rcp", {".approx", ""}, 7, Pipe::Special},
    {"bfe", {".s64", ""}, 10, Pipe::Alu},
    {"sqrt", {".approx", ".ftz"}, 1, Pipe::Special},
    {"sqrt", {".approx", ""}, 4, Pipe::Special},
    {"rsqrt", {".f64", ""}, 14, Pipe::Special},
    {"rsqrt", {".ftz", ""}, 1, Pipe::Special},
    {"ex2", {".f16x2", ""}, 3, Pipe::Special},
    {"ex2", {".bf16x2", ""}, 3, Pipe::Special},
    {"ex2", {".f16", ""}, 1, Pipe::Special},
    {"ex2", {".ftz", ""}, 1, Pipe::Special},
    {"lg2", {".ftz", ""}, 1, Pipe::Special},
    {"tanh", {".f16x2", ""}, 3, Pipe::Special},
    {"tanh", {".bf16x2", ""}, 3, Pipe::Special},
    {"min", {".f64", ""}, 7, Pipe::Alu},
    {"max", {".f64", ""}, 7, Pipe::Alu},
    {"add", {".f64", ""}, 1, Pipe::None}, // a pipe of their own
    {"sub", {".f64", ""}, 1, Pipe::None},
    {"mul", {".f64", ""}, 1, Pipe::None},
    {"fma", {".f64", ""}, 1, Pipe::None},
    {"mad", {".f64", ""}, 1, Pipe::None},
    {"setp", {".f64", ""}, 1, Pipe::None},
    {"neg", {".f64", ""}, 1, Pipe::Alu},
    {"abs", {".f64", ""}, 1, Pipe::Alu},
    {"mul", {".hi", ".s64"}, 16, Pipe::Fma},
    {"mul", {".hi", ".u64"}, 7, Pipe::Fma},
    {"mad", {".hi", ".s64"}, 18, Pipe::Fma},
    {"mad", {".hi", ".u64"}, 9, Pipe::Fma},
    {"bar", {".warp", ""}, 0, Pipe::None}, // where lanes are together anyway
    {"membar", {".cta", ""}, 1, Pipe::None},
    {"fence", {".cta", ""}, 1, Pipe::None},
    {"fence", {".proxy", ""}, 1, Pipe::None},
};

/// What a row costs that the tables name; null for one that they do not.
const Form *formOf(const Row &row) {
  for (const Form &form : kForms)
    if (row.opcode == form.opcode && has(row, form.modifiers[0]) &&
        (form.modifiers[1].empty() || has(row, form.modifiers[1])))
      return &form;
  return nullptr;
}

/// Conversions: between integers they are moves, at the most.
MachineCost conversion(const Row &row) {
  bool anyFloat = false, wide = false, anyInteger = false, fromInteger = false;
  for (const std::string &m : row.modifiers) {
    Type type = typeNamed(m);
    if (type == Type::None)
      continue;
    (isFloat(type) ? anyFloat : anyInteger) = true;
    fromInteger = !isFloat(type); // the last one
    wide |= bitWidth(type) >= 64;
  }
  MachineCost cost;
  // Integers of 32 bits become floats, and floats shorter ones, in the ALU.
  if (anyFloat && (wide || (anyInteger && !fromInteger)))
    cost.xu = 1;
  else
    cost.alu = 1;
  return cost;
}

MachineCost onPipe(float count, Pipe pipe) {
  MachineCost cost;
  cost.instructions = count;
  switch (pipe) {
  case Pipe::None:
    break;
  case Pipe::Alu:
    cost.alu = count;
    break;
  case Pipe::Fma:
    cost.fma = count;
    break;
  case Pipe::Both:
    cost.alu = cost.fma = count / 2;
    break;
  case Pipe::Special:
    cost.xu = 1; // the rest scales and corrects
    cost.fma = count - 1;
    break;
  case Pipe::Memory:
    cost.lsu = count;
    break;
  }
  return cost;
}

} // namespace

MachineCost machineCost(const Row &row) {
  if (row.opcode == "cvt")
    return conversion(row);
  if (const Form *form = formOf(row))
    return onPipe(form->count, form->pipe);
  auto at = entries().find(row.opcode);
  if (at != entries().end()) {
    const Entry &entry = at->second;
    Pipe pipe = entry.pipe;
    bool floats = has(row, ".f32") || has(row, ".f32x2");
    if (pipe == Pipe::Both && floats)
      pipe = Pipe::Fma;
    return onPipe(isWide(row) ? entry.wide : entry.narrow, pipe);
  }
  switch (row.cost) {
  case Cost::Shared:
  case Cost::Global:
  case Cost::Local:
  case Cost::Atomic:
  case Cost::Matrix:
    return onPipe(1, Pipe::Memory);
  case Cost::Special:
  case Cost::Convert:
    return onPipe(1, Pipe::Special);
  case Cost::Fma:
    return onPipe(1, Pipe::Fma);
  case Cost::Alu:
    return onPipe(1, Pipe::Alu);
  default:
    return onPipe(1, Pipe::None);
  }
}

} // namespace ptx
