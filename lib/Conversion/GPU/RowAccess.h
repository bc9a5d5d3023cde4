// How the threads of a block share the columns of a row.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_ROWACCESS_H
#define MOE_LIB_CONVERSION_GPU_ROWACCESS_H

#include "KernelBuilder.h"

namespace mlir::moe {

/// Rows of one length and element type, whose columns a block of threads takes
/// by the widest access that every row's start permits.
struct RowAccess {
  /// Of a dense matrix whose last dimension is static.
  explicit RowAccess(MemRefType matrix);

  int64_t bytesOf(int64_t elements) const { return elements * elementBytes; }
  /// Calls `body` with each column that a thread accesses, `lanes` at a time.
  void forEachColumn(KernelBuilder &b, function_ref<void(Value)> body) const;
  /// The address of `lanes` elements of row `row` at `column`.
  Value place(KernelBuilder &b, Value matrix, Value row, Value column) const;
  VectorType vectorOf(Type element) const {
    return VectorType::get({lanes}, element);
  }

  Type element;
  int64_t columns;
  int64_t elementBytes;
  /// Elements of one access.
  int64_t lanes;
  /// Threads of a block, whole warps.
  int64_t threads;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_ROWACCESS_H
