// The GPUs that code is generated for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_GPUCHIP_H
#define MOE_ROUTING_GPUCHIP_H

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace moe::routing {

/// A chip by the name of its compute capability. Code for it is PTX that every
/// later chip runs too.
struct GPUChip {
  std::string_view name; ///< "sm_80"
  int capability;        ///< ten times the compute capability: 80
  int ptx;               ///< ten times the version of PTX that is emitted: 76
  int driver;            ///< the oldest driver interface that reads it: 11060
  int sharedBytes;       ///< the most shared memory of one block
  /// Multiprocessors of its largest device and of its smallest one. A part of
  /// a device that is shared out may have fewer.
  int multiprocessors, leastMultiprocessors;
  int clusterBlocks; ///< the most blocks of a cluster; 1: it has no clusters
};

/// All of them, the oldest first.
std::span<const GPUChip> gpuChips();

/// The chip of a name; none if code is not generated for it.
std::optional<GPUChip> findGPUChip(std::string_view name);

/// The newest chip whose code a device of this capability (ten times it) runs;
/// none if the device is older than all.
std::optional<GPUChip> gpuChipOfDevice(int capability);

/// "sm_80, sm_86, ...", for messages.
std::string gpuChipNames();

} // namespace moe::routing

#endif // MOE_ROUTING_GPUCHIP_H
