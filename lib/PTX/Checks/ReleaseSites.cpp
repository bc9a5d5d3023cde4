// Synchronisation through memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/ReleaseSites.h"

using namespace ptx::checks;

void ReleaseSites::read(const StrongAccess &access, unsigned lane) {
  auto site = sites.find(access.key[lane]);
  if (site == sites.end())
    return;
  const uint32_t warp = access.order->warp();
  for (unsigned i = 0; i < 3; ++i) {
    const Released &released = site->second.scope[i];
    if (released.past.empty() || released.domain != domain(i, warp))
      continue;
    // The reader's scope must include the writer. Wide releases are entered in
    // the narrow scopes too, so a narrow reader looks at those alone.
    if (i > indexOf(access.scope))
      continue;
    if (access.acquires)
      access.order->acquire(1u << lane, access.live, released.past);
    else
      access.order->observe(lane, released.past);
  }
}

void ReleaseSites::write(const StrongAccess &access, unsigned lane,
                         ScopeLevel scope, const Past &released) {
  Site &site = sites[access.key[lane]];
  const uint32_t warp = access.order->warp();
  // A wide release is also one in every narrower scope.
  for (unsigned i = 0; i <= indexOf(scope); ++i) {
    Released &at = site.scope[i];
    if (at.domain != domain(i, warp))
      at.past = released;
    else
      at.past.join(released);
    at.domain = domain(i, warp);
  }
}

void ReleaseSites::access(const StrongAccess &access) {
  WarpOrder &order = *access.order;
  if (access.reads && !sites.empty())
    for (LaneMask rest = access.lanes; rest; rest &= rest - 1)
      read(access, __builtin_ctz(rest));
  if (!access.writes)
    return;
  for (LaneMask rest = access.lanes; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    // A plain store ends what was released there, an atomic carries it on.
    if (!access.reads && !sites.empty())
      sites.erase(access.key[lane]);
    if (access.releases)
      write(access, lane, access.scope, order.release(1u << lane, access.live));
    // A fence counts in its own scope.
    if (const Past *narrow = order.fenced(lane, /*wide=*/false))
      write(access, lane, kCta, *narrow);
    if (access.scope == kCta)
      continue;
    if (const Past *wide = order.fenced(lane, /*wide=*/true))
      write(access, lane, access.scope, *wide);
  }
}
