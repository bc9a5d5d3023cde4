// One warp-wide memory access.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_ACCESS_H
#define PTX_MACHINE_ACCESS_H

#include "Machine/Instruction.h"

#include <cstdint>

namespace ptx {

enum class AccessKind : uint8_t {
  Load,
  Store,
  Atomic,    ///< returns the old value
  Reduction, ///< atomic without a result
  LoadMatrix,
  StoreMatrix,
  CopySource, ///< cp.async
  CopyDestination,
  BulkSource, ///< cp.async.bulk, cp.reduce.async.bulk
  BulkDestination,
  TensorSource, ///< cp.async.bulk.tensor
  TensorDestination,
  Prefetch,
};

enum class Order : uint8_t {
  Weak,
  Volatile,
  Relaxed,
  Acquire,
  Release,
  AcqRel
};

/// One access of a warp (its space is never Generic), given to whoever observes
/// it. Generic addresses are resolved already: one instruction whose lanes
/// reach several spaces makes one Access per space.
///
/// address[l], by space:
///   Global, Constant: host pointer;
///   Shared: offset in the window of the block; the bits from kRankShift up
///           are 0 for the own block, else 1 + rank in the cluster;
///   Local:  offset in the lane's local memory;
///   Param:  offset in the kernel's parameters.
struct Access {
  const Instruction *instruction = nullptr;
  Warp *warp = nullptr;
  Space space = Space::Global;
  AccessKind kind = AccessKind::Load;
  LaneMask lanes = 0;
  uint32_t bytes = 0;                ///< a lane, all elements of a vector
  uint32_t elementBytes = 0;         ///< of one element
  const uint64_t *address = nullptr; ///< [32]
  Order order = Order::Weak;
  Scope scope = Scope::None;
  bool nonCoherent = false; ///< ld.global.nc, ldu
  /// Undefined data (only while poison is tracked, else null). One mask per
  /// element of up to 4 bytes, two (four) per element of 8 (16) bytes:
  /// stores give the lanes whose data are undefined, loads ask for them.
  const LaneMask *storedPoison = nullptr;
  LaneMask *loadedPoison = nullptr;
  /// Stored data by lane, for those who compare values: element e of lane l
  /// at value[e * 32 + l]; null where not known.
  const uint64_t *value = nullptr;

  bool reads() const {
    return kind == AccessKind::Load || kind == AccessKind::Atomic ||
           kind == AccessKind::Reduction || kind == AccessKind::LoadMatrix ||
           kind == AccessKind::CopySource || kind == AccessKind::BulkSource ||
           kind == AccessKind::TensorSource;
  }
  bool writes() const {
    return kind != AccessKind::Prefetch &&
           (!reads() || kind == AccessKind::Atomic ||
            kind == AccessKind::Reduction);
  }
};

/// A load or store of all 32 lanes of a warp, in each half of which the lanes
/// lie side by side or all at one place. Addresses as in Access.
struct WholeAccess {
  const Instruction *instruction = nullptr;
  Warp *warp = nullptr;
  Space space = Space::Global;
  AccessKind kind = AccessKind::Load;
  uint32_t bytes = 0;     ///< a lane
  uint64_t first[2] = {}; ///< address of the first lane of each half
  bool one[2] = {};       ///< all lanes of the half there
};

/// Addresses of shared memory: see Access::address. `mapa` and `cvta` of a
/// shared::cluster address produce the same form.
inline constexpr unsigned kRankShift = 24;
constexpr uint64_t sharedOffset(uint64_t address) {
  return address & ((1u << kRankShift) - 1);
}
/// 0: the own block; else 1 + rank in the cluster.
constexpr uint64_t sharedRankField(uint64_t address) {
  return address >> kRankShift;
}

/// Generic addresses: bits 63..48 tell the space.
inline constexpr unsigned kWindowShift = 48;
inline constexpr uint64_t kSharedWindow = uint64_t{1} << kWindowShift;
inline constexpr uint64_t kLocalWindow = uint64_t{2} << kWindowShift;
/// Kernel parameters (`cvta.param`).
inline constexpr uint64_t kParamWindow = uint64_t{3} << kWindowShift;
/// Addresses of functions: kFunctionWindow + function index.
inline constexpr uint64_t kFunctionWindow = uint64_t{4} << kWindowShift;

/// Addresses in `.param` space: kernel parameters from 0 on, the parameters of
/// device functions and the `.param` variables of calls from here on.
inline constexpr uint64_t kCallParam = 1u << 20;

} // namespace ptx

#endif // PTX_MACHINE_ACCESS_H
