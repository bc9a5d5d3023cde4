// Elementwise linalg ops, as what may become part of a moe op.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_TRANSFORMS_ELEMENTWISEMAP_H
#define MOE_LIB_TRANSFORMS_ELEMENTWISEMAP_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::moe {

/// How an input of an elementwise map of rows [R, N] is indexed.
enum class Access {
  Element, // [R, N]
  Row,     // [R]
  Columns, // [N], the same for all experts
  Scalar,  // a scalar, or a tensor of rank 0
};

/// How an input with this indexing map is read, if in one of these ways.
std::optional<Access> accessOf(AffineMap map);

/// Whether `op` computes each element of a matrix from the elements, rows,
/// columns and scalars of its inputs alone.
bool isElementwiseMap(linalg::LinalgOp op);

} // namespace mlir::moe

#endif // MOE_LIB_TRANSFORMS_ELEMENTWISEMAP_H
