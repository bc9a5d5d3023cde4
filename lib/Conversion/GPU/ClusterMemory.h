// What the blocks of a cluster share: barriers, and each other's memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_CLUSTERMEMORY_H
#define MOE_LIB_CONVERSION_GPU_CLUSTERMEMORY_H

#include "KernelBuilder.h"

namespace mlir::moe {

/// Where a place of this block's shared memory lies in that of block `rank` of
/// the cluster. A block may not end while others read its memory.
inline Value remote(KernelBuilder &b, Value pointer, Value rank) {
  auto space = static_cast<unsigned>(NVVM::NVVMMemorySpace::SharedCluster);
  Type type = LLVM::LLVMPointerType::get(b.getContext(), space);
  return b.make<NVVM::MapaOp>(type, pointer, rank);
}

/// All threads of the cluster arrive; those that wait see what the others wrote
/// before they arrived. A thread waits before it arrives again.
inline void arriveInCluster(KernelBuilder &b) {
  b.make<NVVM::ClusterArriveOp>(b.getUnitAttr());
}
inline void waitForCluster(KernelBuilder &b) {
  b.make<NVVM::ClusterWaitOp>(b.getUnitAttr());
}

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_CLUSTERMEMORY_H
