// Ldmatrix where all is well.
//
// Four matrices at a time: row r of each in the quarters of one vector.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Vectors.h"

namespace ptx::PTX_CPU_LEVEL {
namespace {

using Row = uint16_t __attribute__((vector_size(16)));
using TwoRows = uint16_t __attribute__((vector_size(32)));
using FourRows = uint16_t __attribute__((vector_size(64)));

constexpr unsigned kRowBytes = 16, kMatrixRows = 8, kMatrices = 4;

/// All addresses are multiples of 16 and their rows inside.
bool allInside(const uint32_t *address, uint32_t offset, uint64_t size,
               unsigned lanes) {
  if (size < kRowBytes)
    return false;
  const auto last = static_cast<uint32_t>(
      size - kRowBytes < UINT32_MAX ? size - kRowBytes : UINT32_MAX);
  uint32_t low = 0, outside = 0;
  auto look = [&](unsigned begin, unsigned end) {
    for (unsigned l = begin; l < end; ++l) {
      uint32_t at = address[l] + offset;
      low |= at;
      outside |= at > last;
    }
  };
  look(0, 8);
  if (lanes > 8)
    look(8, 16);
  if (lanes > 16)
    look(16, 32);
  return !(low % kRowBytes) && !outside;
}

inline FourRows join(Row a, Row b, Row c, Row d) {
  const TwoRows ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
                                             10, 11, 12, 13, 14, 15);
  const TwoRows cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
                                             10, 11, 12, 13, 14, 15);
  return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                                 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
                                 24, 25, 26, 27, 28, 29, 30, 31);
}

/// Elements of a and b in turn, of the lower or upper half of each row.
template <bool upper> inline FourRows zip(FourRows a, FourRows b) {
  constexpr int s = upper ? 4 : 0, b0 = 32 + s;
  return __builtin_shufflevector(
      a, b, s, b0, s + 1, b0 + 1, s + 2, b0 + 2, s + 3, b0 + 3, s + 8, b0 + 8,
      s + 9, b0 + 9, s + 10, b0 + 10, s + 11, b0 + 11, s + 16, b0 + 16, s + 17,
      b0 + 17, s + 18, b0 + 18, s + 19, b0 + 19, s + 24, b0 + 24, s + 25,
      b0 + 25, s + 26, b0 + 26, s + 27, b0 + 27);
}

/// Eight rows of eight -> eight columns, of each of the four matrices.
inline void transpose(FourRows (&r)[kMatrixRows]) {
  for (unsigned round = 0; round < 3; ++round) {
    FourRows next[kMatrixRows];
    for (unsigned i = 0; i < 4; ++i) {
      next[2 * i] = zip<false>(r[i], r[i + 4]);
      next[2 * i + 1] = zip<true>(r[i], r[i + 4]);
    }
    for (unsigned i = 0; i < kMatrixRows; ++i)
      r[i] = next[i];
  }
}

using Quarters = uint64_t __attribute__((vector_size(64)));

/// Quarters 0 and 2 of a, then of b (first = 0); 1 and 3 (first = 1).
template <int first> inline Quarters alternate(Quarters a, Quarters b) {
  constexpr int f = 2 * first;
  return __builtin_shufflevector(a, b, f, f + 1, f + 4, f + 5, f + 8, f + 9,
                                 f + 12, f + 13);
}
/// The lower (or upper) halves of both.
template <int upper> inline Quarters halves(Quarters a, Quarters b) {
  constexpr int f = 4 * upper;
  return __builtin_shufflevector(a, b, f, f + 1, f + 2, f + 3, f + 8, f + 9,
                                 f + 10, f + 11);
}

/// Four vectors with a quarter a matrix -> a vector a matrix.
inline void separate(const FourRows *rows, Quarters (&out)[kMatrices]) {
  const Quarters low01 = halves<0>((Quarters)rows[0], (Quarters)rows[1]);
  const Quarters high01 = halves<1>((Quarters)rows[0], (Quarters)rows[1]);
  const Quarters low23 = halves<0>((Quarters)rows[2], (Quarters)rows[3]);
  const Quarters high23 = halves<1>((Quarters)rows[2], (Quarters)rows[3]);
  out[0] = alternate<0>(low01, low23);
  out[1] = alternate<1>(low01, low23);
  out[2] = alternate<0>(high01, high23);
  out[3] = alternate<1>(high01, high23);
}

} // namespace

bool loadMatrixRows(const uint32_t *address, uint32_t offset,
                    const std::byte *shared, uint64_t size, unsigned count,
                    bool transposed, uint32_t *const *result) {
  if (!allInside(address, offset, size, kMatrixRows * count))
    return false;
  auto row = [&](unsigned matrix, unsigned r) {
    // Matrices that nobody asked for are the first one.
    const unsigned lane = (matrix < count ? kMatrixRows * matrix : 0) + r;
    return load<Row>(shared + (address[lane] + offset));
  };
  // A result may be the register of the addresses: all is read first.
  Quarters lower[kMatrices], upper[kMatrices];
  if (transposed) {
    FourRows rows[kMatrixRows];
    for (unsigned r = 0; r < kMatrixRows; ++r)
      rows[r] = join(row(0, r), row(1, r), row(2, r), row(3, r));
    transpose(rows);
    separate(rows, lower);
    separate(rows + 4, upper);
  } else {
    for (unsigned j = 0; j < kMatrices; ++j) {
      lower[j] = (Quarters)join(row(j, 0), row(j, 1), row(j, 2), row(j, 3));
      upper[j] = (Quarters)join(row(j, 4), row(j, 5), row(j, 6), row(j, 7));
    }
  }
  for (unsigned j = 0; j < count; ++j) {
    store(result[j], lower[j]);
    store(result[j] + kRows, upper[j]);
  }
  return true;
}

} // namespace ptx::PTX_CPU_LEVEL
