// Matrix products by their definition.
//
// One element at a time, in 128-bit integers, with nothing shared with the
// vectorised code under test.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_PRODUCTREFERENCE_H
#define PTX_TEST_PRODUCTREFERENCE_H

#include "Tensor/Product.h"

#include <cstdint>
#include <random>
#include <vector>

namespace ptx::test {

/// Exponent and fraction bits of a format, what its largest exponent means,
/// and the position of its lowest bit in its container.
struct FormatInfo {
  unsigned exponentBits, fractionBits;
  bool hasInfinity;
  bool hasNaN = true;
  unsigned low = 0;
};
FormatInfo infoOf(tensor::Format format);

/// One row of A times one column of B plus c, as \p product's rule says.
/// Elements are bit patterns of their containers. ue8m0 scales of the row and
/// the column; 127 is one.
uint32_t fusedReference(const tensor::Product &product,
                        const std::vector<uint32_t> &a,
                        const std::vector<uint32_t> &b, uint32_t c,
                        uint32_t scaleOfRow = 127,
                        uint32_t scaleOfColumn = 127);
/// The same for packed e2m1: each scale word has the scale of chunk i in byte
/// i.
uint32_t groupReference(const tensor::Product &product,
                        const std::vector<uint32_t> &a,
                        const std::vector<uint32_t> &b, uint32_t c,
                        uint32_t scaleOfRow, uint32_t scaleOfColumn);
/// A scale, exactly; ue4m3 ignores the sign bit.
double scaleValue(bool ue4m3, uint32_t bits);
/// The same for integers and single bits.
uint32_t integerReference(const tensor::Product &product,
                          const std::vector<uint32_t> &a,
                          const std::vector<uint32_t> &b, uint32_t c);

/// A value of a floating-point format, exactly.
double valueOf(tensor::Format format, uint32_t bits);

/// Elements packed as Product.h wants them.
struct Operands {
  std::vector<std::vector<uint32_t>> rows, columns; ///< [m][k], [n][k]
  std::vector<std::vector<uint32_t>> c;             ///< [m][n]
  std::vector<uint32_t> packedRows, packedColumns, packedC;
  void pack(const tensor::Product &product);
  uint32_t result(const tensor::Product &product, unsigned m,
                  unsigned n) const {
    return packedC[(m / 16 * product.columns + n) * 16 + m % 16];
  }
};

} // namespace ptx::test

#endif // PTX_TEST_PRODUCTREFERENCE_H
