// Arithmetic of asynchronous reductions.
//
// As recorded on an H100: f32 keeps subnormals unless the tensor is f32ftz;
// f64 returns a NaN operand as it is, the new one before memory's; the other
// formats give the canonical NaN.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/Reduction.h"

#include <cmath>
#include <cstring>
#include <type_traits>

namespace ptx::async {
namespace {

template <class T> T bitsTo(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T> uint64_t toBits(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

template <class T> uint64_t combineIntegers(Combine combine, T a, T b) {
  using U = std::make_unsigned_t<T>;
  switch (combine) {
  case Combine::Add:
    return static_cast<U>(static_cast<U>(a) + static_cast<U>(b));
  case Combine::Min:
    return static_cast<U>(b < a ? b : a);
  case Combine::Max:
    return static_cast<U>(b > a ? b : a);
  case Combine::Inc:
    return static_cast<U>(a >= b ? 0 : a + 1);
  case Combine::Dec:
    return static_cast<U>(a == 0 || a > b ? b : a - 1);
  case Combine::And:
    return static_cast<U>(a & b);
  case Combine::Or:
    return static_cast<U>(a | b);
  case Combine::Xor:
    return static_cast<U>(a ^ b);
  case Combine::Copy:
    break;
  }
  return static_cast<U>(b);
}

/// A 16-bit format as f32, exactly, and back with rounding to nearest even.
struct Half {
  unsigned exponentBits, fractionBits;

  double value(uint32_t bits) const {
    const uint32_t top = (1u << exponentBits) - 1;
    const uint32_t field = bits >> fractionBits & top;
    const uint32_t fraction = bits & ((1u << fractionBits) - 1);
    const int bias = (1 << (exponentBits - 1)) - 1;
    double magnitude;
    if (field == top)
      magnitude = fraction ? NAN : INFINITY;
    else
      magnitude = std::ldexp(fraction | (field ? 1u << fractionBits : 0),
                             static_cast<int>(field ? field : 1) - bias -
                                 static_cast<int>(fractionBits));
    return bits >> 15 & 1 ? -magnitude : magnitude;
  }

  uint32_t round(double value) const {
    if (std::isnan(value))
      return 0x7fff;
    const uint32_t sign = std::signbit(value) ? 0x8000 : 0;
    const uint32_t infinity = ((1u << exponentBits) - 1) << fractionBits;
    value = std::fabs(value);
    if (std::isinf(value))
      return sign | infinity;
    const int bias = (1 << (exponentBits - 1)) - 1;
    int exponent = value > 0 ? std::ilogb(value) : 1 - bias;
    if (exponent < 1 - bias)
      exponent = 1 - bias;
    double scaled =
        std::ldexp(value, static_cast<int>(fractionBits) - exponent);
    auto q = static_cast<uint32_t>(std::nearbyint(scaled));
    uint32_t bits = q;
    if (q >> fractionBits)
      bits += static_cast<uint32_t>(exponent + bias - 1) << fractionBits;
    return sign | (bits < infinity ? bits : infinity);
  }
};

uint32_t combineHalves(Combine combine, Half format, uint32_t memory,
                       uint32_t operand) {
  const double a = format.value(memory), b = format.value(operand);
  if (combine == Combine::Add)
    return format.round(a + b); // exact in double, or a NaN
  if (std::isnan(a) || std::isnan(b))
    return std::isnan(a) && std::isnan(b) ? 0x7fff
           : std::isnan(a)                ? operand
                                          : memory;
  // -0 is less than +0.
  const bool less = b < a || (b == a && std::signbit(b));
  return less == (combine == Combine::Min) ? operand : memory;
}

uint32_t flush(uint32_t bits) {
  return (bits & 0x7f800000) ? bits : bits & 0x80000000;
}

uint64_t addF32(uint32_t memory, uint32_t operand, bool ftz) {
  if (ftz) {
    memory = flush(memory);
    operand = flush(operand);
  }
  float sum = bitsTo<float>(memory) + bitsTo<float>(operand);
  if (std::isnan(sum))
    return 0x7fffffff;
  auto bits = static_cast<uint32_t>(toBits(sum));
  return ftz ? flush(bits) : bits;
}

uint64_t addF64(uint64_t memory, uint64_t operand) {
  double a = bitsTo<double>(memory), b = bitsTo<double>(operand);
  if (std::isnan(b))
    return operand;
  if (std::isnan(a))
    return memory;
  double sum = a + b;
  return std::isnan(sum) ? 0xfff8000000000000 : toBits(sum);
}

uint64_t combineOne(Combine combine, Element element, uint64_t memory,
                    uint64_t operand) {
  switch (element) {
  case Element::U32:
    return combineIntegers(combine, static_cast<uint32_t>(memory),
                           static_cast<uint32_t>(operand));
  case Element::S32:
    return combineIntegers(combine, static_cast<int32_t>(memory),
                           static_cast<int32_t>(operand));
  case Element::U64:
    return combineIntegers(combine, memory, operand);
  case Element::S64:
    return combineIntegers(combine, static_cast<int64_t>(memory),
                           static_cast<int64_t>(operand));
  case Element::F16:
    return combineHalves(combine, {5, 10}, static_cast<uint32_t>(memory),
                         static_cast<uint32_t>(operand));
  case Element::BF16:
    return combineHalves(combine, {8, 7}, static_cast<uint32_t>(memory),
                         static_cast<uint32_t>(operand));
  case Element::F32:
  case Element::F32Ftz:
    return addF32(static_cast<uint32_t>(memory), static_cast<uint32_t>(operand),
                  element == Element::F32Ftz);
  case Element::F64:
    return addF64(memory, operand);
  case Element::B8:
    break;
  }
  return operand;
}

} // namespace

unsigned byteSize(Element element) {
  constexpr unsigned bytes[] = {1, 4, 4, 8, 8, 2, 2, 4, 4, 8};
  return bytes[static_cast<unsigned>(element)];
}

bool supports(Combine combine, Element element) {
  switch (element) {
  case Element::B8:
    return combine == Combine::Copy;
  case Element::F16:
  case Element::BF16:
    return combine == Combine::Add || combine == Combine::Min ||
           combine == Combine::Max;
  case Element::F32:
  case Element::F32Ftz:
  case Element::F64:
    return combine == Combine::Add;
  case Element::U32:
    return combine != Combine::Copy;
  default:
    return combine != Combine::Copy && combine != Combine::Inc &&
           combine != Combine::Dec;
  }
}

void reduce(Combine combine, Element element, std::byte *memory,
            const std::byte *operand, uint32_t bytes) {
  const unsigned size = byteSize(element);
  for (uint32_t i = 0; i + size <= bytes; i += size) {
    uint64_t a = 0, b = 0;
    std::memcpy(&a, memory + i, size);
    std::memcpy(&b, operand + i, size);
    a = combineOne(combine, element, a, b);
    std::memcpy(memory + i, &a, size);
  }
}

} // namespace ptx::async
