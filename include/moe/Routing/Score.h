// The fixed evaluation of scores.
//
// Equal logits must give the same bits on every target, because a ranking
// across tokens sees the last bit of a score. So the sequence of f32 operations
// is part of the contract: only add, subtract, multiply, divide, square root
// (each rounded to nearest even), compare, select, small int -> f32 and integer
// bit operations, and never a fused multiply-add.
//
// The bodies are out of line on purpose: they live in one file that is compiled
// without contraction, whatever flags the including file has.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_SCORE_H
#define MOE_ROUTING_SCORE_H

#include <cstdint>

namespace moe::routing {

/// How a logit becomes a score.
enum class Score : uint8_t { Softmax, Sigmoid, SqrtSoftplus, Identity };

/// The zero rule: |value| < 2^-125 becomes +0, by a bit test, so that neither
/// flush-to-zero nor denormals-are-zero can change a result.
float flushTiny(float value);

/// The zero rule, and every NaN becomes 0x7FC00000.
float canonical(float value);

// The names keep clear of exp and log: optimisers know those.

/// e^x, less than 0.9 ulp from exact; 0 below -86.6, infinity above 88.7.
float fixedExp(float x);

/// log(x), less than 0.9 ulp from exact; -infinity for |x| < 2^-125, NaN below.
float fixedLog(float x);

/// 1 / (1 + e^-x), less than 2.5 ulp from exact.
float fixedSigmoid(float x);

/// sqrt(log(1 + e^x)), less than 1.7 ulp from exact.
float fixedSqrtSoftplus(float x);

/// Scores of one token: `count` logits in, `count` scores out (canonical). The
/// arrays may be the same.
void scoreToken(Score score, const float *logits, int64_t count, float *scores);

/// canonical(score + bias): what is compared. `bias` is taken through the zero
/// rule first.
float biasedScore(float score, float bias);

/// canonical(a + b), for group scores.
float canonicalSum(float a, float b);

/// An unsigned number that orders as the score does: 0 for a NaN (below
/// everything), 0x80000000 for both zeros.
uint32_t orderedKey(float score);

/// The score of a key: inverse of orderedKey up to the choice of zero and NaN.
float scoreOfKey(uint32_t key);

/// What becomes of a token's scores on the way to its gates.
enum class Normalize : uint8_t { None, Sum, Softmax };

/// Constants of the gates; `eps` and `normMin` are read by Normalize::Sum.
struct GateConstants {
  Normalize normalize = Normalize::None;
  float scale = 1.0f;
  float eps = 0.0f;
  float normMin = 0.0f;
};

/// Gates of one token's pairs, which come in expert order with their scores
/// and logits. All arrays have `count` elements; `gates` may be `scores`.
void gateToken(const GateConstants &constants, const float *scores,
               const float *logits, int64_t count, float *gates);

} // namespace moe::routing

#endif // MOE_ROUTING_SCORE_H
