// What a wgmma reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_GROUPOPERANDS_H
#define PTX_ASYNC_GROUPOPERANDS_H

#include "Async/GroupMma.h"
#include "Tensor/MatrixPoison.h"

namespace ptx::async {

/// Checks the matrix descriptors (of A unless it is in registers) and tells
/// observers what the warp reads; returns what is undefined in its sixteen
/// rows of A and in B.
tensor::UndefinedLines readGroupOperands(Warp &warp, const Instruction &in,
                                         const GroupMmaInfo &info, uint64_t a,
                                         uint64_t b);

} // namespace ptx::async

#endif // PTX_ASYNC_GROUPOPERANDS_H
