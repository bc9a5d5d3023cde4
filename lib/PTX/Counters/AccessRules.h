// What one warp-wide access costs the memory pipe.
//
// Pure functions of 32 lane addresses, the lanes that take part and the bytes
// each of them moves. They restate what the counters of an H100 showed for 740
// access patterns (test/PTX/counters/probes.txt holds the recordings).
//
// A sector is 32 bytes, a line 128 bytes; shared memory has 32 banks of
// 4 bytes. A wavefront is one cycle of the shared memory's data path.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_ACCESSRULES_H
#define PTX_COUNTERS_ACCESSRULES_H

#include <cstdint>

namespace ptx {

struct RequestCount {
  uint32_t sectors = 0; ///< Distinct 32-byte sectors.
  uint32_t lines = 0;   ///< Distinct 128-byte lines.
};

struct WaveCount {
  uint32_t wavefronts = 0;
  uint32_t conflicts = 0; ///< Wavefronts beyond one a group of lanes.
};

struct AtomicCount {
  uint32_t sectors = 0;
  uint32_t requests = 0; ///< What arrives at L2.
};

/// All functions take the addresses of 32 lanes; those of lanes outside
/// \c lanes are not read as addresses, but must be readable memory.
struct AccessRules {
  /// ld, st and the source of cp.async.ca: any width, any alignment.
  RequestCount (*global)(const uint64_t *address, uint32_t lanes,
                         uint32_t bytes);
  /// \c offset counts bytes in the lane's own frame: word j of lane l lies at
  /// byte (32 * j + l) * 4.
  RequestCount (*local)(const uint64_t *offset, uint32_t lanes, uint32_t bytes);
  /// Shared accesses are aligned to their width: hardware faults otherwise.
  WaveCount (*sharedLoad)(const uint64_t *address, uint32_t lanes,
                          uint32_t bytes);
  WaveCount (*sharedStore)(const uint64_t *address, uint32_t lanes,
                           uint32_t bytes);
  /// ldmatrix and stmatrix: lanes 8j to 8j+7 give the rows of matrix j.
  WaveCount (*matrix)(const uint64_t *address, uint32_t matrices);
  /// \c wordsJoin: lanes that add the constant 1 to one word without asking
  /// for the result are served together; others one after the other.
  WaveCount (*sharedAtomic)(const uint64_t *address, uint32_t lanes,
                            uint32_t bytes, bool wordsJoin);
  AtomicCount (*globalAtomic)(const uint64_t *address, uint32_t lanes);
  /// cp.async.cg: pairs of destination sector and source line; the last lane
  /// wins a destination that several name.
  uint32_t (*asyncBypass)(const uint64_t *destination, const uint64_t *source,
                          uint32_t lanes);
  /// cp.async.ca: shared wavefronts. Exact when source or destination is a
  /// plain run; permuted on both sides hardware takes up to 1.8 times this.
  uint32_t (*asyncCached)(const uint64_t *destination, const uint64_t *source,
                          uint32_t lanes, uint32_t bytes);
  /// Do the lanes lie as far from the first of them as \p distance says?
  bool (*sameShape)(const uint64_t *address, const uint64_t *distance,
                    uint32_t lanes);
  /// The same of 32-bit addresses.
  bool (*sameRows)(const uint32_t *address, const uint32_t *distance,
                   uint32_t lanes);
  /// Of the eight groups of four lanes, those in which any of \p count
  /// registers is not zero.
  unsigned (*groupsUsed)(const uint32_t *const *values, unsigned count);
  /// Whether each of three registers alone has all of them.
  bool (*allGroupsUsed)(const uint32_t *a, const uint32_t *b,
                        const uint32_t *c);
  /// Requests of the constant cache.
  uint32_t (*constant)(const uint64_t *address, uint32_t lanes);
};

/// The rules compiled for this CPU.
const AccessRules &accessRules();

enum class RuleLevel : uint8_t { Baseline, Avx2, Avx512 };
/// The rules compiled for \p level, or null where this CPU lacks it.
const AccessRules *accessRulesAt(RuleLevel level);

namespace baseline {
extern const AccessRules kAccessRules;
}
namespace avx2 {
extern const AccessRules kAccessRules;
}
namespace avx512 {
extern const AccessRules kAccessRules;
}

} // namespace ptx

#endif // PTX_COUNTERS_ACCESSRULES_H
