// Ldmatrix where all is well.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Vectors.h"

namespace ptx::PTX_CPU_LEVEL {
namespace {

using Row = uint16_t __attribute__((vector_size(16)));

constexpr uint32_t kRowBytes = 16;

/// All addresses are multiples of 16 and their rows inside.
bool allInside(const uint32_t *address, uint32_t offset, uint64_t size,
               unsigned lanes) {
  if (size < kRowBytes)
    return false;
  const auto last = static_cast<uint32_t>(
      size - kRowBytes < UINT32_MAX ? size - kRowBytes : UINT32_MAX);
  uint32_t low = 0, outside = 0;
  for (unsigned l = 0; l < lanes; ++l) {
    uint32_t at = address[l] + offset;
    low |= at;
    outside |= at > last;
  }
  return !(low % kRowBytes) && !outside;
}

template <bool upper> inline Row zip(Row a, Row b) {
  constexpr int s = upper ? 4 : 0;
  return __builtin_shufflevector(a, b, s, s + 8, s + 1, s + 9, s + 2, s + 10,
                                 s + 3, s + 11);
}

/// Eight rows of eight -> eight columns, which is the order of the lanes.
inline void transpose(const Row (&r)[8], uint32_t *out) {
  Row a[8], b[8];
  for (unsigned i = 0; i < 4; ++i) {
    a[2 * i] = zip<false>(r[i], r[i + 4]);
    a[2 * i + 1] = zip<true>(r[i], r[i + 4]);
  }
  for (unsigned i = 0; i < 4; ++i) {
    b[2 * i] = zip<false>(a[i], a[i + 4]);
    b[2 * i + 1] = zip<true>(a[i], a[i + 4]);
  }
  for (unsigned i = 0; i < 4; ++i) {
    store(out + 8 * i, zip<false>(b[i], b[i + 4]));
    store(out + 8 * i + 4, zip<true>(b[i], b[i + 4]));
  }
}

} // namespace

bool loadMatrixRows(const uint32_t *address, uint32_t offset,
                    const std::byte *shared, uint64_t size, unsigned count,
                    bool transposed, uint32_t *const *result) {
  if (!allInside(address, offset, size, 8 * count))
    return false;
  // A result may be the register of the addresses.
  Row rows[4][8];
  for (unsigned l = 0; l < 8 * count; ++l)
    rows[l / 8][l % 8] = load<Row>(shared + (address[l] + offset));
  for (unsigned j = 0; j < count; ++j) {
    if (transposed)
      transpose(rows[j], result[j]);
    else
      std::memcpy(result[j], rows[j], sizeof rows[j]);
  }
  return true;
}

} // namespace ptx::PTX_CPU_LEVEL
