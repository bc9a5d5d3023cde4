// Conversion between f32 and the 16-bit types.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "moe/Routing/Element.h"

#include <bit>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace moe::routing;

namespace {

struct Format {
  const char *name;
  float (*widen)(uint16_t);
  uint16_t (*round)(float);
  uint16_t infinity;
  int mantissaBits, bias;
};

class ElementFormat : public ::testing::TestWithParam<Format> {};

/// The value of a finite pattern, from the definition of the format.
double valueOf(const Format &format, uint16_t pattern) {
  int mantissa = pattern & ((1 << format.mantissaBits) - 1);
  int exponent = (pattern & 0x7FFF) >> format.mantissaBits;
  double value = exponent == 0
                     ? std::ldexp(mantissa, 1 - format.bias)
                     : std::ldexp(mantissa + (1 << format.mantissaBits),
                                  exponent - format.bias);
  value = std::ldexp(value, -format.mantissaBits);
  return (pattern & 0x8000) != 0 ? -value : value;
}

TEST_P(ElementFormat, WidensEveryFinitePatternExactly) {
  const Format &format = GetParam();
  for (uint32_t p = 0; p < 0x10000; ++p)
    if ((p & 0x7FFF) < format.infinity) {
      float wide = format.widen(p);
      ASSERT_EQ(double(wide), valueOf(format, p)) << p;
      ASSERT_EQ(std::signbit(wide), p >= 0x8000) << p;
      ASSERT_EQ(format.round(wide), p);
    }
}

TEST_P(ElementFormat, RoundsToNearestAndHalvesToEven) {
  const Format &format = GetParam();
  for (uint16_t sign : {0x0000, 0x8000})
    for (uint32_t p = 0; p + 1 < format.infinity; ++p) {
      uint16_t low = sign | p, high = sign | (p + 1);
      // Half way between neighbours is an f32, except among bf16 subnormals
      // and normals alike: they have 16 bits more.
      float half = float((valueOf(format, low) + valueOf(format, high)) / 2.0);
      uint16_t even = (p & 1) == 0 ? low : high;
      ASSERT_EQ(format.round(half), even) << p;
      float zero = std::copysign(0.0f, half);
      float infinity =
          std::copysign(std::numeric_limits<float>::infinity(), half);
      ASSERT_EQ(format.round(std::nextafter(half, zero)), low) << p;
      ASSERT_EQ(format.round(std::nextafter(half, infinity)), high) << p;
    }
}

TEST_P(ElementFormat, OverflowsToInfinity) {
  const Format &format = GetParam();
  uint16_t largest = format.infinity - 1;
  double step = valueOf(format, largest) - valueOf(format, largest - 1);
  float half = float(valueOf(format, largest) + step / 2.0);
  EXPECT_EQ(format.round(half), format.infinity);
  EXPECT_EQ(format.round(-half), format.infinity | 0x8000);
  EXPECT_EQ(format.round(std::nextafter(half, 0.0f)), largest);
  EXPECT_EQ(format.round(std::numeric_limits<float>::infinity()),
            format.infinity);
  EXPECT_EQ(format.widen(format.infinity),
            std::numeric_limits<float>::infinity());
  EXPECT_EQ(format.widen(format.infinity | 0x8000),
            -std::numeric_limits<float>::infinity());
}

TEST_P(ElementFormat, KeepsNaN) {
  const Format &format = GetParam();
  for (uint32_t p = 0; p < 0x10000; ++p)
    if ((p & 0x7FFF) > format.infinity) {
      ASSERT_TRUE(std::isnan(format.widen(p))) << p;
      uint16_t quiet = 1 << (format.mantissaBits - 1);
      ASSERT_EQ(format.round(format.widen(p)), p | quiet);
    }
  // A payload that the narrow type has no bits for must not become infinity.
  uint16_t narrow = format.round(std::bit_cast<float>(0x7F800001u));
  EXPECT_TRUE(std::isnan(format.widen(narrow)));
  EXPECT_EQ(std::bit_cast<uint32_t>(
                format.widen(format.round(std::bit_cast<float>(0x7FC00000u)))),
            0x7FC00000u);
}

INSTANTIATE_TEST_SUITE_P(
    All, ElementFormat,
    ::testing::Values(Format{"bf16", widenBF16, roundToBF16, 0x7F80, 7, 127},
                      Format{"f16", widenF16, roundToF16, 0x7C00, 10, 15}),
    [](const auto &info) { return info.param.name; });

TEST(Element, LoadsAndStoresArrays) {
  uint16_t bf16[] = {0x3F80, 0xC000, 0x0000};
  float wide[2];
  loadElements(bf16, ElementType::BF16, 0, 2, wide);
  EXPECT_EQ(wide[0], 1.0f);
  EXPECT_EQ(loadElement(bf16, ElementType::BF16, 1), -2.0f);
  uint16_t f16[2];
  storeElements(wide, 2, ElementType::F16, f16);
  EXPECT_EQ(f16[0], 0x3C00);
  EXPECT_EQ(loadElement(f16, ElementType::F16, 1), -2.0f);
  float copy[2];
  storeElements(wide, 2, ElementType::F32, copy);
  EXPECT_EQ(loadElement(copy, ElementType::F32, 1), -2.0f);
  EXPECT_EQ(byteWidth(ElementType::F32), 4u);
  EXPECT_EQ(byteWidth(ElementType::BF16), 2u);
  EXPECT_EQ(byteWidth(ElementType::F16), 2u);
}

} // namespace
