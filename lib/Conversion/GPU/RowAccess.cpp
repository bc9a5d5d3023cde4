// How the threads of a block share the columns of a row.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RowAccess.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

/// The widest access of one thread, in bytes, and the most threads of a block:
/// enough to hide latency, few enough that rows of usual length occupy all.
static constexpr int64_t kAccessBytes = 16, kMaxThreads = 256, kWarp = 32;

RowAccess::RowAccess(MemRefType matrix)
    : element(matrix.getElementType()), columns(matrix.getShape().back()),
      elementBytes(matrix.getElementTypeBitWidth() / 8) {
  // The power of two in `columns`: every row then starts at a whole access.
  lanes = std::min(kAccessBytes / elementBytes, columns & -columns);
  auto accesses = static_cast<int64_t>(llvm::divideCeil(columns, lanes));
  threads = std::min(kMaxThreads,
                     static_cast<int64_t>(llvm::alignTo(accesses, kWarp)));
}

void RowAccess::forEachColumn(KernelBuilder &b,
                              function_ref<void(Value)> body) const {
  b.forEach(b.mul(b.threadId(), lanes), b.word(columns),
            b.word(threads * lanes), body);
}

Value RowAccess::place(KernelBuilder &b, Value matrix, Value row,
                       Value column) const {
  Value start = b.element(matrix, row, bytesOf(columns));
  return b.element(start, column, elementBytes);
}
