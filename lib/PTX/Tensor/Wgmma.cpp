// Products of a warpgroup.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Wgmma.h"

#include "Tensor/Spelling.h"

namespace ptx::tensor {

WgmmaShape wgmmaShapeOf(const Row &row) {
  const Spelling s = spellingOf(row);
  WgmmaShape shape;
  shape.n = s.n;
  shape.k = s.k;
  shape.d = accumulatorOf(s.types.at(0));
  shape.a = formatOf(s.types.at(1));
  shape.b = formatOf(s.types.at(2));
  shape.saturate = hasModifier(row, ".satfinite");
  shape.sparse = hasModifier(row, ".sp");
  return shape;
}

MatrixTile WgmmaShape::tileOf(bool ofB, uint64_t descriptor) const {
  MatrixTile tile;
  tile.descriptor = MatrixDescriptor::decode(descriptor);
  // Single bits lie by the byte, as eight of them.
  tile.elementBytes = bitsOf(a) < 8 ? 1 : bitsOf(a) / 8;
  tile.transposed = ofB ? transposedB : transposedA;
  return tile;
}

void groupRowsToVectors(const uint32_t *rows, unsigned words, uint32_t *out) {
  for (unsigned row = 0; row < kGroupRows; ++row)
    for (unsigned q = 0; q < words; ++q)
      out[(row / kRows * words + q) * kRows + row % kRows] =
          rows[row * words + q];
}

void multiplyGroup(const Kernels &kernels, const WgmmaShape &shape,
                   const Rule &rule, bool exact, const uint32_t *a,
                   const uint32_t *b, uint32_t *d) {
  Product p;
  p.a = shape.a;
  p.b = shape.b;
  p.c = p.d = shape.d;
  p.depth = shape.k;
  p.columns = shape.n;
  p.blocks = kGroupWarps;
  p.negate = shape.negate;
  p.saturate = shape.saturate;
  p.exclusive = shape.exclusive;
  p.rule = rule;
  auto run = isInteger(p.a) ? kernels.integer
             : exact        ? kernels.exact
                            : kernels.fast;
  run(p, a, b, d);
}

} // namespace ptx::tensor
