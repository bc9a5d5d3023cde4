// What the machine calls in the async engine.
//
// lib/PTX/Async keeps the queues of cp.async, bulk and tensor copies, the
// mbarriers and the wgmma groups. Its handlers are ordinary rows; a handler
// that cannot go on calls Warp::retry and is executed again. The machine calls
// the engine at the points below.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_ASYNCHOOKS_H
#define PTX_MACHINE_ASYNCHOOKS_H

#include "Machine/Warp.h"

#include <memory>
#include <string>

namespace ptx {

struct Grid;
struct Cluster;

/// State the engine keeps for a warp, a block or a cluster; it derives from
/// these, the machine owns the objects.
struct AsyncWarpState {
  virtual ~AsyncWarpState() = default;
};
struct AsyncBlockState {
  virtual ~AsyncBlockState() = default;
};

struct AsyncEngine {
  virtual ~AsyncEngine() = default;

  /// Before the first warp runs; may set Warp::async and Block::async.
  virtual void onBlockStart(Block &) {}
  /// All warps exited; operations still in flight are carried out or
  /// reported.
  virtual void onBlockEnd(Block &) {}
  virtual void onWarpExit(Warp &, LaneMask) {}

  /// Once per round of the scheduler over the resident blocks, for each
  /// block: may complete operations. \p idle: no warp got on in the last
  /// round, so what can complete must. True if anything was completed.
  virtual bool progress(Block &, bool idle) { return false; }

  /// What is in flight, for the deadlock report; empty when nothing.
  virtual std::string describe(const Block &) const { return {}; }
};

/// Defined by lib/PTX/Async. One engine a host thread.
std::unique_ptr<AsyncEngine> makeAsyncEngine(Grid &grid);

} // namespace ptx

#endif // PTX_MACHINE_ASYNCHOOKS_H
