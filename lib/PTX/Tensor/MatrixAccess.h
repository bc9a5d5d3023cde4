// Accesses of matrix loads and stores.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_MATRIXACCESS_H
#define PTX_TENSOR_MATRIXACCESS_H

#include "Machine/Memory.h"

namespace ptx::tensor {

/// Asks the observers, then resolves the addresses of the lanes they left;
/// returns those, which are to be carried out.
inline LaneMask prepareAccess(Warp &warp, const Instruction &in,
                              const Access &access, std::byte **pointer) {
  LaneMask lanes = warp.access(access) & access.lanes;
  if (lanes)
    resolvePointers(warp, in, access.space, access.address, lanes, access.bytes,
                    access.writes(), pointer);
  return lanes;
}

} // namespace ptx::tensor

#endif // PTX_TENSOR_MATRIXACCESS_H
