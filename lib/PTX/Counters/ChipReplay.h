// The caches of a chip fed by traces of CTAs.
//
// CTAs are placed on the SMs in launch order, the next one where one ends. All
// that are resident advance together, a few instructions at a time: run far
// ahead, a CTA would find its neighbours' lines in L1 much too often.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_CHIPREPLAY_H
#define PTX_COUNTERS_CHIPREPLAY_H

#include "Counters/BlockTrace.h"
#include "Counters/L2Cache.h"
#include "ptx/Counters.h"

#include <map>
#include <memory>
#include <vector>

namespace ptx {

/// Sectors of all SMs.
struct L1Counts {
  uint64_t globalHits = 0, localHits = 0;
  uint64_t fetched = 0; ///< over the crossbar to the SMs
  uint64_t written = 0; ///< and from them, atomics left out
  uint64_t writeRequests = 0, atomicSectors = 0, atomicRequests = 0;
};

/// Instructions that fetched sectors over the crossbar: site -> sectors.
using SiteMisses = std::vector<uint64_t>;

class ChipReplay {
public:
  /// \p sites: number of instructions of the program.
  ChipReplay(const Chip &chip, const LaunchShape &shape, size_t sites);
  ~ChipReplay();

  /// Takes the trace of a CTA that ended; in any order. Those that are
  /// complete up to here are replayed as far as the chip would get.
  void feed(std::unique_ptr<BlockTrace> trace);
  /// Replays the rest.
  void finish();

  const L1Counts &l1() const { return sums; }
  const L2Counts &l2() const { return cache.counts(); }
  const SiteMisses &misses() const { return siteMisses; }

private:
  struct Resident;
  struct Multiprocessor;

  void advance(bool toTheEnd);
  bool place(unsigned sm, unsigned slot);
  /// Carries out what one CTA does before \p clock; false when it ended.
  bool step(unsigned sm, unsigned slot, uint64_t clock);
  void carryOut(unsigned sm, unsigned slot, const BlockTrace &trace,
                const BlockTrace::Event &event);
  void load(unsigned sm, const LineAccess &access, bool local, bool bypass,
            uint32_t site);
  void store(unsigned sm, const LineAccess &access);

  unsigned slots;
  uint64_t blocks;
  L2Cache cache;
  std::vector<std::unique_ptr<Multiprocessor>> sms;
  std::map<uint64_t, std::unique_ptr<BlockTrace>> waiting;
  uint64_t next = 0, clock = 0;
  L1Counts sums;
  SiteMisses siteMisses;
};

} // namespace ptx

#endif // PTX_COUNTERS_CHIPREPLAY_H
