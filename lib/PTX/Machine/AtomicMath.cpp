// What atomics compute.
//
// As recorded on an H100: f32 sums in global memory flush subnormal operands
// and results, in shared memory they do not; NaN results are canonical, but
// f64 sums keep a NaN operand, the new one first in global memory (as it is)
// and the old one first in shared memory (quieted).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Atomic.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace ptx {
namespace {

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

template <class T> uint64_t widen(T value) {
  return static_cast<uint64_t>(static_cast<std::make_unsigned_t<T>>(value));
}
template <class T> uint64_t addInteger(uint64_t a, uint64_t b) {
  return widen(static_cast<T>(static_cast<std::make_unsigned_t<T>>(a) +
                              static_cast<std::make_unsigned_t<T>>(b)));
}
template <class T> uint64_t minInteger(uint64_t a, uint64_t b) {
  return widen(std::min(static_cast<T>(a), static_cast<T>(b)));
}
template <class T> uint64_t maxInteger(uint64_t a, uint64_t b) {
  return widen(std::max(static_cast<T>(a), static_cast<T>(b)));
}
uint64_t increment(uint64_t a, uint64_t b) {
  auto old = static_cast<uint32_t>(a), limit = static_cast<uint32_t>(b);
  return old >= limit ? 0 : old + 1;
}
uint64_t decrement(uint64_t a, uint64_t b) {
  auto old = static_cast<uint32_t>(a), limit = static_cast<uint32_t>(b);
  return old == 0 || old > limit ? limit : old - 1;
}
uint64_t bitAnd(uint64_t a, uint64_t b) { return a & b; }
uint64_t bitOr(uint64_t a, uint64_t b) { return a | b; }
uint64_t bitXor(uint64_t a, uint64_t b) { return a ^ b; }
uint64_t exchange(uint64_t, uint64_t b) { return b; }

//===----------------------------------------------------------------------===//
// f32 and f64 sums
//===----------------------------------------------------------------------===//

uint32_t flushed(uint32_t bits) {
  return (bits & 0x7f800000u) ? bits : bits & 0x80000000u;
}

template <bool flush> uint64_t addFloat(uint64_t a, uint64_t b) {
  auto x = static_cast<uint32_t>(a), y = static_cast<uint32_t>(b);
  if (flush) {
    x = flushed(x);
    y = flushed(y);
  }
  float sum = std::bit_cast<float>(x) + std::bit_cast<float>(y);
  if (std::isnan(sum))
    return 0x7fffffffu;
  auto bits = std::bit_cast<uint32_t>(sum);
  return flush ? flushed(bits) : bits;
}

bool isNaN64(uint64_t bits) {
  return (bits & ~(uint64_t{1} << 63)) > 0x7ff0000000000000u;
}

template <bool inGlobal> uint64_t addDouble(uint64_t a, uint64_t b) {
  constexpr uint64_t quiet = 0x0008000000000000u;
  if (isNaN64(a) || isNaN64(b)) {
    if (inGlobal)
      return isNaN64(b) ? b : a;
    return (isNaN64(a) ? a : b) | quiet;
  }
  double sum = std::bit_cast<double>(a) + std::bit_cast<double>(b);
  if (std::isnan(sum)) // inf - inf
    return 0xfff8000000000000u;
  return std::bit_cast<uint64_t>(sum);
}

//===----------------------------------------------------------------------===//
// 16-bit floats. Sums are exact in double (or one operand is the sum), so that
// rounding once more is right.
//===----------------------------------------------------------------------===//

struct Half {
  static constexpr unsigned kFraction = 10, kBias = 15, kExponents = 31;
};
struct BFloat {
  static constexpr unsigned kFraction = 7, kBias = 127, kExponents = 255;
};

template <class F> bool isNaN(uint16_t bits) {
  return (bits & 0x7fff) > (F::kExponents << F::kFraction);
}

template <class F> double toDouble(uint16_t bits) {
  int exponent = bits >> F::kFraction & F::kExponents;
  int fraction = bits & ((1 << F::kFraction) - 1);
  double value;
  if (exponent == F::kExponents)
    value = HUGE_VAL;
  else if (exponent == 0)
    value = std::ldexp(fraction, 1 - int(F::kBias) - int(F::kFraction));
  else
    value = std::ldexp(fraction + (1 << F::kFraction),
                       exponent - int(F::kBias) - int(F::kFraction));
  return bits >> 15 ? -value : value;
}

/// Rounds to nearest even.
template <class F> uint16_t fromDouble(double value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  value = std::fabs(value);
  constexpr uint16_t infinity = F::kExponents << F::kFraction;
  if (std::isinf(value))
    return sign | infinity;
  if (value == 0)
    return sign;
  int exponent = std::max(std::ilogb(value), 1 - int(F::kBias));
  double scaled =
      std::nearbyint(std::ldexp(value, int(F::kFraction) - exponent));
  auto units = static_cast<uint32_t>(scaled);
  // With the hidden bit added to the exponent field, carries work out.
  uint32_t bits = units + ((exponent + int(F::kBias) - 1) << F::kFraction);
  return bits >= infinity ? sign | infinity
                          : sign | static_cast<uint16_t>(bits);
}

template <class F> uint16_t addHalf(uint16_t a, uint16_t b) {
  if (isNaN<F>(a) || isNaN<F>(b))
    return 0x7fff;
  double sum = toDouble<F>(a) + toDouble<F>(b);
  return std::isnan(sum) ? 0x7fff : fromDouble<F>(sum);
}

/// A key that orders numbers, -0 below +0.
int32_t keyOf(uint16_t bits) {
  return bits >> 15 ? -int32_t(bits & 0x7fff) - 1 : int32_t(bits);
}

template <class F, bool maximum> uint16_t pickHalf(uint16_t a, uint16_t b) {
  if (isNaN<F>(a))
    return isNaN<F>(b) ? 0x7fff : b;
  if (isNaN<F>(b))
    return a;
  return (keyOf(a) > keyOf(b)) == maximum ? a : b;
}

using HalfOp = uint16_t (*)(uint16_t, uint16_t);
template <HalfOp op> uint64_t single(uint64_t a, uint64_t b) {
  return op(static_cast<uint16_t>(a), static_cast<uint16_t>(b));
}
template <HalfOp op> uint64_t packed(uint64_t a, uint64_t b) {
  uint32_t low = op(static_cast<uint16_t>(a), static_cast<uint16_t>(b));
  uint32_t high =
      op(static_cast<uint16_t>(a >> 16), static_cast<uint16_t>(b >> 16));
  return low | high << 16;
}

template <class F> Combine halfCombine(AtomicOp op, bool isPacked) {
  switch (op) {
  case AtomicOp::Add:
    return isPacked ? packed<addHalf<F>> : single<addHalf<F>>;
  case AtomicOp::Min:
    return isPacked ? packed<pickHalf<F, false>> : single<pickHalf<F, false>>;
  case AtomicOp::Max:
    return isPacked ? packed<pickHalf<F, true>> : single<pickHalf<F, true>>;
  default:
    return nullptr;
  }
}

template <class T> Combine integerCombine(AtomicOp op) {
  switch (op) {
  case AtomicOp::Add:
    return addInteger<T>;
  case AtomicOp::Min:
    return minInteger<T>;
  case AtomicOp::Max:
    return maxInteger<T>;
  default:
    return nullptr;
  }
}

} // namespace

Combine combineOf(AtomicOp op, Type type, bool inGlobal) {
  switch (op) {
  case AtomicOp::And:
    return bitAnd;
  case AtomicOp::Or:
    return bitOr;
  case AtomicOp::Xor:
    return bitXor;
  case AtomicOp::Exchange:
    return exchange;
  case AtomicOp::Inc:
    return increment;
  case AtomicOp::Dec:
    return decrement;
  default:
    break;
  }
  switch (type) {
  case Type::U32:
    return integerCombine<uint32_t>(op);
  case Type::S32:
    return integerCombine<int32_t>(op);
  case Type::U64:
    return integerCombine<uint64_t>(op);
  case Type::S64:
    return integerCombine<int64_t>(op);
  case Type::F32:
    return inGlobal ? addFloat<true> : addFloat<false>;
  case Type::F64:
    return inGlobal ? addDouble<true> : addDouble<false>;
  case Type::F16:
    return halfCombine<Half>(op, false);
  case Type::F16x2:
    return halfCombine<Half>(op, true);
  case Type::BF16:
    return halfCombine<BFloat>(op, false);
  case Type::BF16x2:
    return halfCombine<BFloat>(op, true);
  default:
    return nullptr;
  }
}

} // namespace ptx
