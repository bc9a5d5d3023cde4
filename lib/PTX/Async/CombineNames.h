// Reductions as instructions spell them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_COMBINENAMES_H
#define PTX_ASYNC_COMBINENAMES_H

#include "Async/Reduction.h"
#include "Decode/DecodeContext.h"

#include <string_view>
#include <utility>

namespace ptx::async {

inline constexpr std::pair<std::string_view, Combine> kCombineNames[] = {
    {".add", Combine::Add}, {".min", Combine::Min}, {".max", Combine::Max},
    {".inc", Combine::Inc}, {".dec", Combine::Dec}, {".and", Combine::And},
    {".or", Combine::Or},   {".xor", Combine::Xor}};

inline Combine combineOf(const DecodeContext &context) {
  for (auto [name, combine] : kCombineNames)
    if (context.has(name))
      return combine;
  return Combine::Copy;
}

/// The element of a reduction on \p type.
inline Element elementOf(Type type) {
  switch (type) {
  case Type::S32:
    return Element::S32;
  case Type::S64:
    return Element::S64;
  case Type::U64:
  case Type::B64:
    return Element::U64;
  case Type::F16:
    return Element::F16;
  case Type::BF16:
    return Element::BF16;
  case Type::F32:
    return Element::F32;
  case Type::F64:
    return Element::F64;
  default:
    return Element::U32;
  }
}

} // namespace ptx::async

#endif // PTX_ASYNC_COMBINENAMES_H
