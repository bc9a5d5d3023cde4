// What an architecture allows.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Limits.h"
#include "ptx/Launch.h"

#include <algorithm>

namespace ptx {

static constexpr uint32_t K = 1024;

static const Limits kLimits[] = {
    {70, "V100", 80, 2048, 32, 64, 96 * K, 96 * K, 0, 65536, false},
    {75, "T4", 40, 1024, 16, 32, 64 * K, 64 * K, 0, 65536, false},
    {80, "A100", 108, 2048, 32, 64, 164 * K, 163 * K, K, 65536, false},
    {86, "A40", 84, 1536, 16, 48, 100 * K, 99 * K, K, 65536, false},
    {87, "Orin", 16, 1536, 16, 48, 164 * K, 163 * K, K, 65536, false},
    {89, "L40", 142, 1536, 24, 48, 100 * K, 99 * K, K, 65536, false},
    {90, "H100", 132, 2048, 32, 64, 228 * K, 227 * K, K, 65536, true},
    {100, "B200", 148, 2048, 32, 64, 228 * K, 227 * K, K, 65536, true},
    {120, "RTX PRO 6000", 188, 1536, 24, 48, 100 * K, 99 * K, K, 65536, true},
};

const Limits &limitsOf(unsigned sm) {
  const Limits *found = &kLimits[0];
  for (const Limits &limits : kLimits)
    if (limits.sm <= sm)
      found = &limits;
  return *found;
}

unsigned occupancy(unsigned sm, unsigned threads, uint32_t sharedBytes,
                   unsigned registers) {
  const Limits &limits = limitsOf(sm);
  unsigned warps = (threads + 31) / 32;
  if (!warps || threads > kThreadsPerBlock)
    return 0;
  unsigned blocks = std::min(limits.blocksPerSm, limits.warpsPerSm / warps);
  blocks = std::min(blocks, limits.threadsPerSm / (warps * 32));
  // Shared memory is given in pieces of 128 bytes, registers in pieces of 256
  // a warp.
  uint64_t shared =
      (uint64_t{sharedBytes} + limits.sharedReserved + 127) / 128 * 128;
  if (sharedBytes)
    blocks = std::min<uint64_t>(blocks, limits.sharedPerSm / shared);
  if (registers) {
    unsigned perWarp = (registers * 32 + 255) / 256 * 256;
    unsigned held = limits.registersPerSm / perWarp / 4 * 4;
    blocks = std::min(blocks, held / warps);
  }
  return blocks;
}

unsigned multiprocessors(unsigned sm) { return limitsOf(sm).multiprocessors; }

} // namespace ptx
