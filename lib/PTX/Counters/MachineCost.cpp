// Machine instructions by opcode and form.
//
// Counts of what ptxas 13 makes for sm_90. Divisions and roots are the issue
// slots measured on an H100; the loops they fall into for rare operands are
// not counted.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/MachineCost.h"

#include "Isa/IsaTable.h"

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
      {"mul24", {1, 1, Pipe::Fma}},      {"mad24", {1, 1, Pipe::Fma}},
      {"fma", {1, 1, Pipe::Fma}},        {"sad", {2, 4, Pipe::Alu}},
      {"dp4a", {1, 1, Pipe::Fma}},       {"dp2a", {1, 1, Pipe::Fma}},
      {"abs", {1, 3, Pipe::Alu}},        {"min", {1, 4, Pipe::Alu}},
      {"max", {1, 4, Pipe::Alu}},        {"and", {1, 2, Pipe::Alu}},
      {"or", {1, 2, Pipe::Alu}},         {"xor", {1, 2, Pipe::Alu}},
      {"not", {1, 2, Pipe::Alu}},        {"cnot", {2, 4, Pipe::Alu}},
      {"lop3", {1, 1, Pipe::Alu}},       {"shl", {1, 2, Pipe::Alu}},
      {"shr", {1, 2, Pipe::Alu}},        {"shf", {1, 1, Pipe::Alu}},
      {"prmt", {1, 1, Pipe::Alu}},       {"bfe", {2, 6, Pipe::Alu}},
      {"bfi", {3, 8, Pipe::Alu}},        {"szext", {1, 1, Pipe::Alu}},
      {"bmsk", {1, 1, Pipe::Alu}},       {"fns", {20, 20, Pipe::Alu}},
      {"selp", {1, 2, Pipe::Alu}},       {"slct", {2, 3, Pipe::Alu}},
      {"setp", {1, 2, Pipe::Alu}},       {"set", {1, 3, Pipe::Alu}},
      {"testp", {2, 4, Pipe::Alu}},      {"copysign", {1, 1, Pipe::Alu}},
      {"mov", {1, 2, Pipe::Both}},       {"cvta", {0, 0, Pipe::None}},
      {"isspacep", {1, 1, Pipe::Alu}},   {"cvt", {1, 1, Pipe::Special}},
      {"popc", {1, 3, Pipe::Special}},   {"brev", {1, 2, Pipe::Special}},
      {"clz", {2, 5, Pipe::Special}},    {"bfind", {1, 4, Pipe::Special}},
      {"ex2", {1, 1, Pipe::Special}},    {"lg2", {1, 1, Pipe::Special}},
      {"rcp", {1, 8, Pipe::Special}},    {"rsqrt", {1, 8, Pipe::Special}},
      {"sqrt", {1, 20, Pipe::Special}},  {"sin", {2, 2, Pipe::Special}},
      {"cos", {2, 2, Pipe::Special}},    {"tanh", {1, 1, Pipe::Special}},
      {"div", {17, 60, Pipe::Both}},     {"rem", {18, 64, Pipe::Both}},
      {"bra", {1, 1, Pipe::None}},       {"brx", {4, 4, Pipe::None}},
      {"call", {4, 4, Pipe::None}},      {"ret", {1, 1, Pipe::None}},
      {"exit", {1, 1, Pipe::None}},      {"bar", {1, 1, Pipe::None}},
      {"barrier", {1, 1, Pipe::None}},   {"membar", {2, 2, Pipe::None}},
      {"fence", {2, 2, Pipe::None}},     {"shfl", {1, 1, Pipe::Memory}},
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

Entry refine(const Row &row, Entry entry) {
  std::string_view op = row.opcode;
  bool f64 = has(row, ".f64");
  if (f64 && (op == "add" || op == "sub" || op == "mul" || op == "fma" ||
              op == "mad" || op == "neg" || op == "abs" || op == "setp"))
    return {1, 1, op == "neg" || op == "abs" ? Pipe::Alu : Pipe::None};
  // Denormals are scaled before and after.
  bool approx = has(row, ".approx");
  if ((op == "ex2" || op == "lg2" || op == "sqrt" || op == "rsqrt") && approx &&
      !has(row, ".ftz") && has(row, ".f32"))
    return {4, 4, Pipe::Special};
  if (op == "rcp" && !approx && !f64)
    return {8, 8, Pipe::Fma};
  if (op == "sqrt" && !approx && !f64)
    return {12, 12, Pipe::Fma};
  if (op == "div" && (approx || has(row, ".full")))
    return {approx ? 2.0f : 6.0f, 2, Pipe::Both};
  if ((op == "mul" || op == "mad") && has(row, ".hi") && isWide(row))
    return {1, 8, Pipe::Fma};
  return entry;
}

/// Conversions: between integers they are moves, at the most.
MachineCost conversion(const Row &row) {
  bool anyFloat = false, wideFloat = false, anyInteger = false;
  for (const std::string &m : row.modifiers) {
    Type type = typeNamed(m);
    if (type == Type::None)
      continue;
    (isFloat(type) ? anyFloat : anyInteger) = true;
    wideFloat |= isFloat(type) && bitWidth(type) >= 64;
  }
  MachineCost cost;
  if (!anyFloat)
    cost.alu = 1;
  else if (anyInteger || wideFloat)
    cost.xu = 1;
  else
    cost.alu = 1; // f32 to and from 16 and 8 bits
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
  auto at = entries().find(row.opcode);
  if (at != entries().end()) {
    Entry entry = refine(row, at->second);
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
