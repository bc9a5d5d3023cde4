// Video instructions of one lane: arithmetic on parts of 32-bit registers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arithmetic/Video.h"

#include <algorithm>

using namespace ptx;
using namespace ptx::video;

namespace {
/// Wide enough for every product and shifted operand.
using Integer = __int128;

/// Part \p index of \p bits bits as a number.
int64_t part(uint64_t from, unsigned index, unsigned bits, bool isSigned) {
  uint64_t value = from >> (index * bits);
  if (isSigned)
    return static_cast<int64_t>(value << (64 - bits)) >> (64 - bits);
  return static_cast<int64_t>(value & ((uint64_t{1} << bits) - 1));
}

Integer clampTo(Integer value, unsigned bits, bool isSigned) {
  Integer low = isSigned ? -(Integer{1} << (bits - 1)) : 0;
  Integer high = (Integer{1} << (isSigned ? bits - 1 : bits)) - 1;
  return std::clamp(value, low, high);
}

bool holds(Relation relation, int64_t a, int64_t b) {
  switch (relation) {
  case Relation::Equal:
    return a == b;
  case Relation::NotEqual:
    return a != b;
  case Relation::Less:
    return a < b;
  case Relation::AtMost:
    return a <= b;
  case Relation::More:
    return a > b;
  case Relation::AtLeast:
    return a >= b;
  }
  return false;
}

Integer combine(const Form &form, int64_t a, int64_t b) {
  unsigned amount = form.wraps ? static_cast<unsigned>(b & 31)
                               : static_cast<unsigned>(std::min<int64_t>(
                                     static_cast<uint32_t>(b), 32));
  switch (form.op) {
  case Op::Add:
    return a + b;
  case Op::Sub:
    return a - b;
  case Op::Difference:
    return a > b ? a - b : b - a;
  case Op::Average:
    return (a + b + (a + b >= 0)) >> 1;
  case Op::Min:
    return std::min(a, b);
  case Op::Max:
    return std::max(a, b);
  case Op::ShiftLeft:
    return Integer{a} * (Integer{1} << amount);
  case Op::ShiftRight:
    return a >> amount;
  case Op::Set:
    return holds(form.relation, a, b);
  case Op::Multiply:
    break;
  }
  return Integer{a} * b;
}

/// \p value in place of part \p index of \p c.
uint32_t merge(uint32_t c, uint32_t value, unsigned index, unsigned bits) {
  uint32_t ones = bits == 32 ? ~0u : (1u << bits) - 1;
  unsigned shift = index * bits;
  return (c & ~(ones << shift)) | (value & ones) << shift;
}

uint32_t multiply(const Form &form, Integer product, uint32_t c) {
  bool isSigned =
      form.signedA || form.signedB || form.negatesProduct || form.negatesC;
  Integer addend = isSigned ? Integer{static_cast<int32_t>(c)} : Integer{c};
  if (form.negatesProduct)
    product = -product;
  if (form.negatesC)
    addend = -addend;
  Integer sum = (product + addend + form.addsOne) >> form.scale;
  if (form.saturates)
    sum = clampTo(sum, 32, isSigned);
  return static_cast<uint32_t>(sum);
}

uint32_t evaluateParts(const Form &form, uint32_t a, uint32_t b, uint32_t c) {
  uint64_t both = uint64_t{b} << 32 | a;
  unsigned bits = 32 / form.parts;
  uint32_t result = c;
  for (unsigned k = 0; k < form.parts; ++k) {
    if (!(form.mask >> k & 1))
      continue;
    Integer value = combine(form, part(both, form.partA[k], bits, form.signedA),
                            part(both, form.partB[k], bits, form.signedB));
    if (form.saturates)
      value = clampTo(value, bits, form.signedResult);
    result = form.second == Second::Add
                 ? result + static_cast<uint32_t>(value)
                 : merge(result, static_cast<uint32_t>(value), k, bits);
  }
  return result;
}
} // namespace

uint32_t video::evaluate(const Form &form, uint32_t a, uint32_t b, uint32_t c) {
  if (form.parts > 1)
    return evaluateParts(form, a, b, c);
  Integer value =
      combine(form, part(a, form.partA[0], form.bitsA, form.signedA),
              part(b, form.partB[0], form.bitsB, form.signedB));
  if (form.op == Op::Multiply)
    return multiply(form, value, c);
  if (form.saturates)
    value = clampTo(value, form.bitsResult, form.signedResult);
  uint32_t word = static_cast<uint32_t>(value);
  auto number = [&](uint32_t x) {
    return form.signedResult ? int64_t{static_cast<int32_t>(x)} : int64_t{x};
  };
  switch (form.second) {
  case Second::None:
    return word;
  case Second::Merge:
    return merge(c, word, form.partResult, form.bitsResult);
  case Second::Add:
    return word + c;
  case Second::Min:
    return number(word) < number(c) ? word : c;
  case Second::Max:
    return number(word) > number(c) ? word : c;
  }
  return word;
}
