// The device memory of one call of a compiled function.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_DEVICEMEMORY_H
#define MOE_LIB_CONVERSION_GPU_DEVICEMEMORY_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

/// What compiled functions call, see moe/Runtime/GPUContext.h.
inline constexpr StringLiteral kArena = "moe_gpu_arena";
inline constexpr StringLiteral kResult = "moe_gpu_result";
inline constexpr StringLiteral kZeroed = "moe_gpu_zeroed";
/// Marks a memref.alloc of memory that is zero before the first launch of the
/// first call and keeps its contents from call to call.
inline constexpr StringLiteral kZeroedMark = "moe.zeroed";
/// The names of the kernels of a module, by their numbers.
inline constexpr StringLiteral kKernelNames = "moe.kernels";

/// Places every memref.alloc of a function: results get memory of their own,
/// all temporaries share one arena. All sizes are computed and all memory is
/// asked for before the first launch.
class DeviceMemory {
public:
  /// The first argument of `function` is the runtime's context. `zeroedNumber`
  /// counts the zeroed allocations of the module.
  DeviceMemory(func::FuncOp function, int32_t &zeroedNumber);

  /// Replaces the allocations. Fails, saying why, if a size depends on what a
  /// kernel computes, or if memory is returned that no allocation is behind.
  LogicalResult assign();

  int64_t numTemporaries() const { return temporaries.size(); }
  /// Places of the arena: fewer than temporaries where lives do not overlap.
  int64_t numPlaces() const { return places.size(); }

private:
  /// An allocation that is returned.
  struct Result {
    memref::AllocOp op;
    int32_t number;
  };
  /// An allocation and the first and last operation that reads or writes it,
  /// by their position in the function.
  struct Temporary {
    memref::AllocOp op;
    int64_t first = 0, last = 0;
    size_t place = 0;
  };
  /// A piece of the arena, by the first temporary that it holds.
  struct Place {
    memref::AllocOp owner;
    int64_t freeFrom = 0;
  };

  LogicalResult collect();
  LogicalResult hoistSizes();
  void choosePlaces();
  void requestResults();
  void requestZeroed();
  void requestArena();

  Value index(int64_t value);
  Value bytesOf(memref::AllocOp op);
  Value request(StringRef name, ValueRange operands);
  Value request(StringRef name, int32_t number, memref::AllocOp op);
  void replace(memref::AllocOp op, Value memory, Value offset);

  func::FuncOp function;
  int32_t &zeroedNumber;
  ImplicitLocOpBuilder b;
  SmallVector<Result> results;
  SmallVector<memref::AllocOp> zeroed;
  SmallVector<Temporary> temporaries;
  SmallVector<Place> places;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_DEVICEMEMORY_H
