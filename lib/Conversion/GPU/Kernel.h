// Kernels and their launches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_KERNEL_H
#define MOE_LIB_CONVERSION_GPU_KERNEL_H

#include "KernelBuilder.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::moe {

/// The gpu.module of all kernels of a module.
inline constexpr StringLiteral kKernelModule = "moe_kernels";
/// Marks a gpu.launch_func whose blocks must all be resident at once.
inline constexpr StringLiteral kCooperative = "moe.cooperative";

/// The host calls it for the number of the device's multiprocessors, until
/// moe-lower-launches.
inline constexpr StringLiteral kMultiprocessors = "moe_multiprocessors";

/// One kernel and the launch of it that replaces an op.
///
/// Arguments are added on the host's side, and each stands for itself in the
/// body: memrefs as pointers to global memory, sizes as i32. The op's operands
/// are dense in row-major order (the pass that converts has checked that).
///
/// Usage: `pointer` and `size` for everything the body needs, then `emit`.
class Kernel {
public:
  /// A kernel named after `op`, unique in its module; `host` inserts where the
  /// launch is to stand.
  Kernel(OpBuilder &host, Operation *op, StringRef name);

  /// Number of an argument: the address of a memref's first element.
  unsigned pointer(Value memref);
  /// Number of an argument: an index value of the host as an i32.
  unsigned size(Value index);
  /// Number of an argument: a size of a memref, less `minus`, as an i32.
  unsigned size(Value memref, int64_t dimension, int64_t minus = 0);

  /// Number of an argument: a scalar of the host.
  unsigned scalar(Value value);

  /// How a kernel is launched. Grid sizes are index values of the host.
  struct Shape {
    Value gridX, gridY;
    int64_t threads = 0;
    /// Bytes of dynamic shared memory, or the same as an index value.
    int64_t sharedBytes = 0;
    Value sharedSize;
    /// Blocks of a cluster; 0: no clusters.
    int64_t cluster = 0;
    /// Blocks that share a multiprocessor, at least: registers are handed out
    /// accordingly. 0: as ptxas sees fit.
    int64_t residentBlocks = 0;
    /// All blocks are resident at once.
    bool cooperative = false;
  };
  /// Writes the body and launches it; `body` gets the kernel's arguments.
  gpu::LaunchFuncOp emit(const Shape &shape,
                         function_ref<void(KernelBuilder &, ValueRange)> body);

  /// A size of a memref, less `minus`, as an index value of the host.
  Value dim(Value memref, int64_t dimension, int64_t minus = 0);

  /// The start of dynamic shared memory, aligned to 1024 bytes.
  static Value sharedMemory(KernelBuilder &b);

private:
  OpBuilder &host;
  Operation *op;
  std::string name;
  SmallVector<Value> arguments;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_KERNEL_H
