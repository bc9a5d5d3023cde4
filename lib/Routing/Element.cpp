// The float types of logits and gates.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/Element.h"

#include <bit>
#include <cstring>

using namespace moe::routing;

static bool isNaNBits(uint32_t bits) {
  return (bits & 0x7FFFFFFFu) > 0x7F800000u;
}

/// `bits` without its lowest `shift` bits, rounded to nearest even. A carry out
/// of the mantissa raises the exponent, which is what rounding up means there.
static uint32_t dropBits(uint32_t bits, unsigned shift) {
  uint32_t half = 1u << (shift - 1);
  uint32_t odd = (bits >> shift) & 1u;
  return (bits + half - 1u + odd) >> shift;
}

size_t moe::routing::byteWidth(ElementType type) {
  return type == ElementType::F32 ? 4 : 2;
}

float moe::routing::widenBF16(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  if (isNaNBits(wide))
    wide |= 0x00400000u;
  return std::bit_cast<float>(wide);
}

float moe::routing::widenF16(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  uint32_t exponent = (bits >> 10) & 0x1Fu;
  uint32_t mantissa = bits & 0x3FFu;
  if (exponent == 0x1Fu) {
    uint32_t quiet = mantissa != 0 ? 0x00400000u : 0u;
    return std::bit_cast<float>(sign | 0x7F800000u | quiet | (mantissa << 13));
  }
  if (exponent == 0) {
    if (mantissa == 0)
      return std::bit_cast<float>(sign);
    // A subnormal: move the leading one to the implicit place.
    int shift = std::countl_zero(mantissa) - 21;
    mantissa = (mantissa << shift) & 0x3FFu;
    return std::bit_cast<float>(
        sign | (static_cast<uint32_t>(113 - shift) << 23) | (mantissa << 13));
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) |
                              (mantissa << 13));
}

uint16_t moe::routing::roundToBF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if (isNaNBits(bits))
    return static_cast<uint16_t>((bits >> 16) | 0x0040u);
  return static_cast<uint16_t>(dropBits(bits, 16));
}

uint16_t moe::routing::roundToF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (isNaNBits(bits))
    return static_cast<uint16_t>(sign | 0x7E00u | ((bits >> 13) & 0x3FFu));
  // 65520 lies half way between the largest f16 and the next power of two, and
  // the even neighbour is the infinity.
  if (magnitude >= 0x477FF000u)
    return static_cast<uint16_t>(sign | 0x7C00u);
  uint32_t exponent = magnitude >> 23;
  if (exponent >= 113)
    return static_cast<uint16_t>(sign | dropBits(magnitude - (112u << 23), 13));
  // Below 2^-14 the result is a count of 2^-24; below 2^-25 it is zero.
  if (exponent < 102)
    return static_cast<uint16_t>(sign);
  uint32_t mantissa = (magnitude & 0x007FFFFFu) | 0x00800000u;
  return static_cast<uint16_t>(sign | dropBits(mantissa, 126u - exponent));
}

void moe::routing::loadElements(const void *data, ElementType type,
                                int64_t first, int64_t count, float *out) {
  if (type == ElementType::F32) {
    if (count != 0)
      std::memcpy(out, static_cast<const float *>(data) + first,
                  static_cast<size_t>(count) * sizeof(float));
    return;
  }
  const uint16_t *bits = static_cast<const uint16_t *>(data) + first;
  for (int64_t i = 0; i < count; ++i)
    out[i] = type == ElementType::BF16 ? widenBF16(bits[i]) : widenF16(bits[i]);
}

float moe::routing::loadElement(const void *data, ElementType type,
                                int64_t index) {
  float value;
  loadElements(data, type, index, 1, &value);
  return value;
}

void moe::routing::storeElements(const float *values, int64_t count,
                                 ElementType type, void *out) {
  if (type == ElementType::F32) {
    if (count != 0)
      std::memcpy(out, values, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  uint16_t *bits = static_cast<uint16_t *>(out);
  for (int64_t i = 0; i < count; ++i)
    bits[i] = type == ElementType::BF16 ? roundToBF16(values[i])
                                        : roundToF16(values[i]);
}
