//===- Wgmma.cpp - Products of a warpgroup --------------------------------===//

#include "Tensor/Wgmma.h"

#include <cstring>

namespace ptx::tensor {

MatrixTile WgmmaShape::tileOf(bool ofB, uint64_t descriptor) const {
  MatrixTile tile;
  tile.descriptor = MatrixDescriptor::decode(descriptor);
  tile.elementBytes = bitsOf(a) < 8 ? 1 : bitsOf(a) / 8;
  tile.transposed = ofB ? transposedB : transposedA;
  return tile;
}

void rowsToVectors(const uint32_t *rows, unsigned words, uint32_t *out) {
  for (unsigned row = 0; row < kRows; ++row)
    for (unsigned q = 0; q < words; ++q)
      out[q * kRows + row] = rows[row * words + q];
}

void multiplyGroupRows(const Kernels &kernels, const WgmmaShape &shape,
                       const Rule &rule, bool exact, const uint32_t *a,
                       const uint32_t *b, Registers c, MutableRegisters d) {
  Product p;
  p.a = shape.a;
  p.b = shape.b;
  p.c = p.d = shape.d;
  p.depth = shape.k;
  p.columns = shape.n;
  p.negate = shape.negate;
  p.saturate = shape.saturate;
  p.rule = rule;
  alignas(64) uint32_t sums[kMaxWordsOfGroupC];
  if (c)
    gatherC(kernels, kRows, shape.n, shape.d, c, sums);
  else
    std::memset(sums, 0, shape.n * kRows * sizeof *sums);
  auto run = isInteger(p.a) ? kernels.integer
             : exact        ? kernels.exact
                            : kernels.fast;
  run(p, a, b, sums);
  scatterD(kernels, kRows, shape.n, shape.d, sums, d);
}

} // namespace ptx::tensor
