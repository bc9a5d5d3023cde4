// What an architecture allows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_LIMITS_H
#define PTX_MACHINE_LIMITS_H

#include <cstdint>

namespace ptx {

/// From the CUDA C++ Programming Guide, "Technical Specifications per Compute
/// Capability"; `multiprocessors` of the chip named.
struct Limits {
  unsigned sm;
  const char *chip;
  unsigned multiprocessors;
  unsigned threadsPerSm, blocksPerSm, warpsPerSm;
  uint32_t sharedPerSm, sharedPerBlock; ///< bytes; the block's opt-in maximum
  uint32_t sharedReserved;              ///< bytes the system takes a block
  uint32_t registersPerSm;
  bool clusters;
};

/// Those of the newest architecture that is not newer than \p sm.
const Limits &limitsOf(unsigned sm);

inline constexpr uint32_t kStaticSharedLimit = 48u << 10;
inline constexpr unsigned kThreadsPerBlock = 1024;
inline constexpr unsigned kClusterLimit = 8;
inline constexpr unsigned kClusterLimitNonPortable = 16;

} // namespace ptx

#endif // PTX_MACHINE_LIMITS_H
