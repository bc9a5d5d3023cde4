// Shapes and formats as instructions spell them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Spelling.h"

#include "ptx/Error.h"

#include <algorithm>
#include <charconv>
#include <string>

namespace ptx::tensor {

Format formatOf(Type type) {
  switch (type) {
  case Type::F16:
    return Format::F16;
  case Type::BF16:
    return Format::BF16;
  case Type::TF32:
    return Format::TF32;
  case Type::E4M3:
    return Format::E4M3;
  case Type::E5M2:
    return Format::E5M2;
  case Type::E3M2:
    return Format::E3M2;
  case Type::E2M3:
    return Format::E2M3;
  case Type::E2M1:
    return Format::E2M1;
  case Type::F64:
    return Format::F64;
  case Type::S8:
    return Format::S8;
  case Type::U8:
    return Format::U8;
  case Type::S4:
    return Format::S4;
  case Type::U4:
    return Format::U4;
  case Type::B1:
    return Format::B1;
  default:
    throw Error("no matrix element: " + std::string(typeName(type)));
  }
}

Accumulator accumulatorOf(Type type) {
  switch (type) {
  case Type::F16:
    return Accumulator::F16;
  case Type::F32:
    return Accumulator::F32;
  case Type::S32:
    return Accumulator::S32;
  case Type::F64:
    return Accumulator::F64;
  default:
    throw Error("no accumulator: " + std::string(typeName(type)));
  }
}

bool parseShape(std::string_view modifier, unsigned &m, unsigned &n,
                unsigned &k) {
  const char *at = modifier.data(), *end = at + modifier.size();
  auto take = [&](std::string_view letter, unsigned &value) {
    if (std::string_view(at, static_cast<size_t>(end - at))
            .substr(0, letter.size()) != letter)
      return false;
    at += letter.size();
    auto [next, problem] = std::from_chars(at, end, value);
    at = next;
    return problem == std::errc();
  };
  return take(".m", m) && take("n", n) && take("k", k) && at == end;
}

Spelling spellingOf(const Row &row) {
  Spelling spelling;
  for (const std::string &modifier : row.written) {
    if (parseShape(modifier, spelling.m, spelling.n, spelling.k))
      continue;
    if (modifier == ".row" || modifier == ".col")
      spelling.rows.push_back(modifier == ".row");
    else if (Type type = typeNamed(modifier); type != Type::None)
      spelling.types.push_back(type);
  }
  return spelling;
}

bool hasModifier(const Row &row, std::string_view modifier) {
  return std::find(row.written.begin(), row.written.end(), modifier) !=
         row.written.end();
}

Type registerTypeOf(Accumulator accumulator) {
  switch (accumulator) {
  case Accumulator::F16:
    return Type::B32;
  case Accumulator::F32:
    return Type::F32;
  case Accumulator::S32:
    return Type::S32;
  case Accumulator::F64:
    return Type::F64;
  }
  return Type::B32;
}

} // namespace ptx::tensor
