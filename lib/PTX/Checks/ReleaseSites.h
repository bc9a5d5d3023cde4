// Synchronisation through memory.
//
// Release and acquire patterns of the PTX memory model: what a strong write
// releases stays with its word until a strong read of a scope that includes
// both acquires it, at once (ld.acquire) or by its next fence.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_RELEASESITES_H
#define PTX_CHECKS_RELEASESITES_H

#include "Checks/RaceDetector.h"
#include "Checks/WarpOrder.h"

#include <unordered_map>

namespace ptx::checks {

/// A strong operation of some lanes on one word each.
struct StrongAccess {
  WarpOrder *order = nullptr;
  LaneMask lanes = 0, live = 0;
  const uint64_t *key = nullptr; ///< [32] a number of the word
  bool reads = false, writes = false;
  bool acquires = false, releases = false;
  ScopeLevel scope = kGpu;
};

class ReleaseSites {
public:
  explicit ReleaseSites(WarpNumbering numbering) : numbering(numbering) {}
  void access(const StrongAccess &access);
  size_t size() const { return sites.size(); }

private:
  struct Released {
    Past past;
    uint32_t domain = 0; ///< the block or cluster it counts in; 0 for wide ones
  };
  struct Site {
    Released scope[3]; ///< cta, cluster, gpu and sys
  };
  static unsigned indexOf(ScopeLevel scope) {
    return scope <= kCta ? 0 : scope == kCluster ? 1 : 2;
  }
  uint32_t domain(unsigned index, uint32_t warp) const {
    return index == 0   ? numbering.block(warp)
           : index == 1 ? numbering.cluster(warp)
                        : 0;
  }
  void read(const StrongAccess &access, unsigned lane);
  void write(const StrongAccess &access, unsigned lane, ScopeLevel scope,
             const Past &released);

  WarpNumbering numbering;
  std::unordered_map<uint64_t, Site> sites;
};

} // namespace ptx::checks

#endif // PTX_CHECKS_RELEASESITES_H
