// The fast mode of one warp's m16n8.
//
// The sums stay in the order of the lanes: a register of C holds, in lane
// 4 r + t, row r of eight and a column that belongs to t. For each k, a row's
// element of A is spread over its four lanes and the four columns' elements of
// B over the eight rows; neither C nor D is rearranged.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Vectors.h"

namespace ptx::PTX_CPU_LEVEL {
namespace {

constexpr unsigned kHalves = 2;  ///< vectors a register
constexpr unsigned kGroups = 2;  ///< of eight rows
constexpr unsigned kColumns = 8; ///< even ones, then odd ones

/// Groups of rows whose sums are kept in registers at a time.
#if defined(__AVX512F__)
constexpr unsigned kTogether = 2;
#else
constexpr unsigned kTogether = 1;
#endif

/// Word \p t of each row (four lanes), in all lanes of the row.
template <int t> inline F32 spreadInRow(F32 v) {
  return __builtin_shufflevector(v, v, t, t, t, t, t + 4, t + 4, t + 4, t + 4,
                                 t + 8, t + 8, t + 8, t + 8, t + 12, t + 12,
                                 t + 12, t + 12);
}

/// Four columns' elements, for each of four rows.
inline F32 spreadOverRows(const float *columns) {
  using Quad = float __attribute__((vector_size(16)));
  const auto v = load<Quad>(columns);
  return __builtin_shufflevector(v, v, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1,
                                 2, 3);
}

/// Words t and t + 1 of the eight columns, even columns first.
template <int t> inline U32 columnWords(U32 low, U32 high) {
  return __builtin_shufflevector(low, high, t, t + 8, t + 16, t + 24, t + 4,
                                 t + 12, t + 20, t + 28, t + 1, t + 9, t + 17,
                                 t + 25, t + 5, t + 13, t + 21, t + 29);
}

template <Format format>
constexpr unsigned kPerWord = format == Format::TF32 ? 1 : 2;

/// A register of B as floats: out[j][t][column] is element j of word t.
template <Format format>
inline void decodeColumns(const uint32_t *words,
                          float (&out)[kPerWord<format>][4][kColumns]) {
  const U32 low = load<U32>(words), high = load<U32>(words + 16);
  const U32 pairs[2] = {columnWords<0>(low, high), columnWords<2>(low, high)};
  for (unsigned j = 0; j < kPerWord<format>; ++j)
    for (unsigned i = 0; i < 2; ++i)
      store(out[j][2 * i], elementAsFloat(format, pairs[i], j));
}

/// The sums of one or two groups of rows: [group][odd column][half].
template <unsigned groups> using Sums = F32[groups][2][kHalves];

/// Adds the products of element \p j of word \p t.
template <int t, bool exact, unsigned groups>
inline void addProducts(const F32 (&rows)[groups][kHalves],
                        const float *columns, Sums<groups> &sum) {
  const F32 even = spreadOverRows(columns), odd = spreadOverRows(columns + 4);
  for (unsigned g = 0; g < groups; ++g)
    for (unsigned h = 0; h < kHalves; ++h) {
      const F32 row = spreadInRow<t>(rows[g][h]);
      sum[g][0][h] = multiplyAdd<exact>(row, even, sum[g][0][h]);
      sum[g][1][h] = multiplyAdd<exact>(row, odd, sum[g][1][h]);
    }
}

/// Quadruple of words \p a: registers of the groups of rows.
template <Format format, bool exact, unsigned groups>
inline void addQuad(const uint32_t *const *a,
                    const float (&columns)[kPerWord<format>][4][kColumns],
                    Sums<groups> &sum) {
  constexpr unsigned per = kPerWord<format>;
  F32 rows[per][groups][kHalves];
  for (unsigned g = 0; g < groups; ++g)
    for (unsigned h = 0; h < kHalves; ++h)
      for (unsigned j = 0; j < per; ++j)
        rows[j][g][h] = elementAsFloat(format, load<U32>(a[g] + 16 * h), j);
  for (unsigned j = 0; j < per; ++j)
    addProducts<0, exact>(rows[j], columns[j][0], sum);
  for (unsigned j = 0; j < per; ++j)
    addProducts<1, exact>(rows[j], columns[j][1], sum);
  for (unsigned j = 0; j < per; ++j)
    addProducts<2, exact>(rows[j], columns[j][2], sum);
  for (unsigned j = 0; j < per; ++j)
    addProducts<3, exact>(rows[j], columns[j][3], sum);
}

inline U32 canonical(F32 v) { return v == v ? (U32)v : U32{} + 0x7fffffff; }

template <Format format, unsigned quads, bool exact>
void multiply(const uint32_t *const *a, const uint32_t *const *b,
              const uint32_t *const *c, uint32_t *const *d) {
  alignas(64) float columns[quads][kPerWord<format>][4][kColumns];
  for (unsigned i = 0; i < quads; ++i)
    decodeColumns<format>(b[i], columns[i]);
  // D may lie where A or C do: it is written when all is read.
  U32 result[2 * kGroups][kHalves];
  for (unsigned group = 0; group < kGroups; group += kTogether) {
    Sums<kTogether> sum;
    for (unsigned i = 0; i < 2 * kTogether; ++i)
      for (unsigned h = 0; h < kHalves; ++h)
        sum[i / 2][i % 2][h] = load<F32>(c[2 * group + i] + 16 * h);
    for (unsigned i = 0; i < quads; ++i)
      addQuad<format, exact, kTogether>(a + 2 * i + group, columns[i], sum);
    for (unsigned i = 0; i < 2 * kTogether; ++i)
      for (unsigned h = 0; h < kHalves; ++h)
        result[2 * group + i][h] = canonical(sum[i / 2][i % 2][h]);
  }
  for (unsigned i = 0; i < 2 * kGroups; ++i)
    for (unsigned h = 0; h < kHalves; ++h)
      store(d[i] + 16 * h, result[i][h]);
}

/// Whether every product of elements of A and B is exact in f32.
template <Format format>
bool productsExact(unsigned quads, const uint32_t *const *a,
                   const uint32_t *const *b) {
  if constexpr (kFuses || format == Format::F16)
    return true;
  bool all = true;
  auto look = [&](const uint32_t *words) {
    for (unsigned h = 0; h < kHalves; ++h)
      for (unsigned j = 0; j < kPerWord<format>; ++j)
        all &= multipliesExactly(
            elementAsFloat(format, load<U32>(words + 16 * h), j));
  };
  for (unsigned i = 0; i < quads; ++i) {
    look(a[2 * i]);
    look(a[2 * i + 1]);
    look(b[i]);
  }
  return all;
}

template <Format format>
void multiplyAs(unsigned quads, const uint32_t *const *a,
                const uint32_t *const *b, const uint32_t *const *c,
                uint32_t *const *d) {
  if (!productsExact<format>(quads, a, b)) [[unlikely]]
    return quads == 1 ? multiply<format, 1, false>(a, b, c, d)
                      : multiply<format, 2, false>(a, b, c, d);
  return quads == 1 ? multiply<format, 1, true>(a, b, c, d)
                    : multiply<format, 2, true>(a, b, c, d);
}

} // namespace

void multiplyWarp(Format format, unsigned quads, const uint32_t *const *a,
                  const uint32_t *const *b, const uint32_t *const *c,
                  uint32_t *const *d) {
  switch (format) {
  case Format::BF16:
    return multiplyAs<Format::BF16>(quads, a, b, c, d);
  case Format::F16:
    return multiplyAs<Format::F16>(quads, a, b, c, d);
  default:
    return multiplyAs<Format::TF32>(quads, a, b, c, d);
  }
}

} // namespace ptx::PTX_CPU_LEVEL
