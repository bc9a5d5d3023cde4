// The fixed evaluation of scores.
//
// Built with -ffp-contract=off (see CMakeLists.txt): clang, and gcc with
// -march=native, would otherwise fuse a * b + c and change bits.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/Score.h"

#include <array>
#include <bit>
#include <cfloat>
#include <cmath>

#ifdef __FAST_MATH__
#error "the fixed evaluation of scores must not be built with -ffast-math"
#endif
#if FLT_EVAL_METHOD != 0
#error "the fixed evaluation of scores needs f32 arithmetic in f32"
#endif

using namespace moe::routing;

static float asFloat(uint32_t bits) { return std::bit_cast<float>(bits); }
static uint32_t asBits(float value) { return std::bit_cast<uint32_t>(value); }
static bool isNaN(float value) { return value != value; }

static constexpr uint32_t kNaN = 0x7FC00000u;
static constexpr uint32_t kInfinity = 0x7F800000u;
static constexpr uint32_t kMinusInfinity = 0xFF800000u;

// log 2 in two parts; products of the first with a small integer are exact.
static constexpr uint32_t kLog2High = 0x3F317200u;
static constexpr uint32_t kLog2Low = 0x35BFBE8Eu;

// sqrt(1/2): the logarithm's argument is brought into [sqrt(1/2), sqrt(2)).
static constexpr uint32_t kSqrtHalf = 0x3F3504F3u;

//===----------------------------------------------------------------------===//
// Elementary functions
//===----------------------------------------------------------------------===//

float moe::routing::flushTiny(float value) {
  return (asBits(value) & 0x7F000000u) == 0 ? 0.0f : value;
}

float moe::routing::canonical(float value) {
  return isNaN(value) ? asFloat(kNaN) : flushTiny(value);
}

float moe::routing::fixedExp(float x) {
  // Adding 1.5 * 2^23 rounds x / log 2 to an integer, kept in the low bits.
  const float roundingBias = asFloat(0x4B400000u);
  float biased = x * asFloat(0x3FB8AA3Bu) + roundingBias;
  float n = biased - roundingBias;
  float high = x - n * asFloat(kLog2High);
  float low = n * asFloat(kLog2Low);
  float r = high - low;
  float q = asFloat(0x3AB56394u) * r + asFloat(0x3C091EEFu);
  q = q * r + asFloat(0x3D2AAC2Cu);
  q = q * r + asFloat(0x3E2AAA46u);
  q = q * r + asFloat(0x3EFFFFFEu);
  float p = 1.0f + (high - (low - (r * r) * q));
  float y = asFloat(asBits(p) + (asBits(biased) << 23));
  if (x < asFloat(0xC2AD496Bu))
    y = 0.0f;
  else if (x > asFloat(0x42B17217u))
    y = asFloat(kInfinity);
  return isNaN(x) ? asFloat(kNaN) : y;
}

/// log(u) of a normal positive u. `uMinusOne` is u - 1 without rounding error
/// where u is near 1; sqrtsoftplus knows it better than u does.
static float logOf(float u, float uMinusOne) {
  uint32_t shifted = asBits(u) + (0x3F800000u - kSqrtHalf);
  int32_t exponent = static_cast<int32_t>(shifted >> 23) - 127;
  float n = static_cast<float>(exponent);
  float reduced = asFloat((shifted & 0x007FFFFFu) + kSqrtHalf) - 1.0f;
  float f = exponent == 0 ? uMinusOne : reduced;
  float s = f / (2.0f + f);
  float z = s * s;
  float h = (0.5f * f) * f;
  float q = asFloat(0x3E98F01Eu) * z + asFloat(0x3ECCAF6Cu);
  q = q * z + asFloat(0x3F2AAABDu);
  float t = s * (h + z * q);
  return n * asFloat(kLog2High) - ((h - (t + n * asFloat(kLog2Low))) - f);
}

float moe::routing::fixedLog(float x) {
  bool isZero = flushTiny(x) == 0.0f;
  bool isNegative = (asBits(x) >> 31) != 0;
  if (isNaN(x) || (isNegative && !isZero))
    return asFloat(kNaN);
  if (isZero)
    return asFloat(kMinusInfinity);
  return x == asFloat(kInfinity) ? x : logOf(x, x - 1.0f);
}

float moe::routing::fixedSigmoid(float x) {
  return canonical(1.0f / (1.0f + fixedExp(-x)));
}

float moe::routing::fixedSqrtSoftplus(float x) {
  float e = fixedExp(x);
  return canonical(std::sqrt(x <= 64.0f ? logOf(1.0f + e, e) : x));
}

//===----------------------------------------------------------------------===//
// Scores and keys of a token
//===----------------------------------------------------------------------===//

/// The largest logit by compare and select, in which a NaN loses; -infinity
/// becomes 0, so that a token without a finite logit scores +0 throughout.
static float softmaxReference(const float *logits, int64_t count) {
  float maximum = asFloat(kMinusInfinity);
  for (int64_t i = 0; i < count; ++i)
    maximum = logits[i] > maximum ? logits[i] : maximum;
  return maximum == asFloat(kMinusInfinity) ? 0.0f : maximum;
}

static void softmaxToken(const float *logits, int64_t count, float *scores) {
  float reference = softmaxReference(logits, count);
  // 32 strided partial sums, then a tree: the order that vectors and warps of
  // every width can follow.
  std::array<float, 32> partial = {};
  for (int64_t i = 0; i < count; ++i) {
    scores[i] = fixedExp(logits[i] - reference);
    partial[i % 32] = partial[i % 32] + scores[i];
  }
  for (unsigned distance = 16; distance != 0; distance /= 2)
    for (unsigned j = 0; j < distance; ++j)
      partial[j] = partial[j] + partial[j + distance];
  float sum = partial[0] == 0.0f ? 1.0f : partial[0];
  for (int64_t i = 0; i < count; ++i)
    scores[i] = canonical(scores[i] / sum);
}

void moe::routing::scoreToken(Score score, const float *logits, int64_t count,
                              float *scores) {
  switch (score) {
  case Score::Softmax:
    softmaxToken(logits, count, scores);
    return;
  case Score::Sigmoid:
    for (int64_t i = 0; i < count; ++i)
      scores[i] = fixedSigmoid(logits[i]);
    return;
  case Score::SqrtSoftplus:
    for (int64_t i = 0; i < count; ++i)
      scores[i] = fixedSqrtSoftplus(logits[i]);
    return;
  case Score::Identity:
    for (int64_t i = 0; i < count; ++i)
      scores[i] = canonical(logits[i]);
    return;
  }
}

float moe::routing::canonicalSum(float a, float b) { return canonical(a + b); }

float moe::routing::biasedScore(float score, float bias) {
  return canonical(score + canonical(bias));
}

uint32_t moe::routing::orderedKey(float score) {
  if (isNaN(score))
    return 0;
  if (flushTiny(score) == 0.0f)
    return 0x80000000u;
  uint32_t bits = asBits(score);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

float moe::routing::scoreOfKey(uint32_t key) {
  if (key == 0)
    return asFloat(kNaN);
  return asFloat((key >> 31) != 0 ? key ^ 0x80000000u : ~key);
}

//===----------------------------------------------------------------------===//
// Gates of a token
//===----------------------------------------------------------------------===//

static void normalizeBySum(const GateConstants &constants, const float *scores,
                           int64_t count, float *gates) {
  float sum = 0.0f;
  for (int64_t i = 0; i < count; ++i)
    sum = sum + scores[i];
  float divisor = sum + flushTiny(constants.eps);
  float least = flushTiny(constants.normMin);
  // A NaN divisor is not smaller and stays: it must not turn into numbers.
  divisor = divisor < least ? least : divisor;
  for (int64_t i = 0; i < count; ++i)
    gates[i] = divisor == 0.0f ? 0.0f : canonical(scores[i] / divisor);
}

static void normalizeBySoftmax(const float *logits, int64_t count,
                               float *gates) {
  float reference = softmaxReference(logits, count);
  float sum = 0.0f;
  for (int64_t i = 0; i < count; ++i) {
    gates[i] = fixedExp(logits[i] - reference);
    sum = sum + gates[i];
  }
  sum = sum == 0.0f ? 1.0f : sum;
  for (int64_t i = 0; i < count; ++i)
    gates[i] = canonical(gates[i] / sum);
}

void moe::routing::gateToken(const GateConstants &constants,
                             const float *scores, const float *logits,
                             int64_t count, float *gates) {
  switch (constants.normalize) {
  case Normalize::None:
    for (int64_t i = 0; i < count; ++i)
      gates[i] = scores[i];
    break;
  case Normalize::Sum:
    normalizeBySum(constants, scores, count, gates);
    break;
  case Normalize::Softmax:
    normalizeBySoftmax(logits, count, gates);
    break;
  }
  float scale = flushTiny(constants.scale);
  for (int64_t i = 0; i < count; ++i)
    gates[i] = canonical(gates[i] * scale);
}
