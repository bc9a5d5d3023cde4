// How the tokens of a routing are divided among blocks of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_ROUTEDIVISION_H
#define MOE_LIB_CONVERSION_GPU_ROUTEDIVISION_H

#include "RouteLayout.h"

namespace mlir::moe {

/// Where the per-token memory of a block lies, the best first: in shared
/// memory; in the workspace, because its tokens are too many; or in the
/// workspace because the block takes several sequences, one after another.
enum class RoutePlace { Shared, Workspace, InTurn };

/// S and T, where they are known.
struct RouteSizes {
  std::optional<int64_t> seqs, tokens;
};

/// What a division follows from, besides sizes.
struct RouteRule {
  /// Whether blocks share a sequence, and tokens for which one more pays, or
  /// how many of a cluster do; that is 1 without clusters.
  bool hasTeams;
  int64_t tokensOfBlock, cluster;
  /// Bytes of shared memory that a block may have, and those it needs in all,
  /// for each of its tokens, and for each 32 of them.
  int64_t sharedBytes, ofBlock, ofToken, ofGroup;
};

/// Sequences that teams can take at once on `resident` multiprocessors. The
/// blocks of a cluster need neighbours: on an H100 7 clusters of 16 fit, and
/// 132 blocks.
template <typename Arithmetic, typename Number = typename Arithmetic::Number>
Number seqsAtOnce(const Arithmetic &a, const RouteRule &rule, Number resident) {
  if (rule.cluster == 1)
    return resident;
  return a.div(a.add(resident, a.number(2)), a.number(rule.cluster + 2));
}

/// For one number of sequences and tokens.
template <typename Number> struct RouteDivision {
  Number team;        ///< blocks that share a sequence
  Number blockTokens; ///< tokens of a block
  Number sharedBytes; ///< of a block, if its tokens lie there
};

/// The division of S sequences of T tokens among `resident` blocks, where no
/// more than seqsAtOnce are.
template <typename Arithmetic, typename Number = typename Arithmetic::Number>
RouteDivision<Number> divide(const Arithmetic &a, const RouteRule &rule,
                             Number seqs, Number tokens, Number resident) {
  Number one = a.number(1), team = a.number(rule.cluster);
  if (rule.hasTeams && rule.cluster == 1) {
    Number most = a.div(resident, a.max(seqs, one));
    Number wanted = a.ceilDiv(tokens, a.number(rule.tokensOfBlock));
    team = a.max(a.min(most, wanted), one);
  }
  Number blockTokens = a.max(a.ceilDiv(tokens, team), one);
  if (rule.cluster == 1)
    team = a.max(a.ceilDiv(tokens, blockTokens), one);
  Number groups = a.ceilDiv(blockTokens, a.number(32));
  Number bytes = a.add(a.mul(blockTokens, a.number(rule.ofToken)),
                       a.mul(groups, a.number(rule.ofGroup)));
  return {team, blockTokens, a.add(bytes, a.number(rule.ofBlock))};
}

/// The kernels that a routing may need, whatever sizes that are not known turn
/// out to be, on any device of its schedule's chip.
class RouteChoices {
public:
  RouteChoices(IdxRouteOp op, RouteSizes sizes);

  RouteLayout layoutOf(RoutePlace place) const;

  RouteRule rule;
  /// Where tokens may lie, the best place first. Sizes that no place before it
  /// suits are the last one's.
  SmallVector<RoutePlace, 3> places;
  /// The division depends on how many multiprocessors the device has.
  bool dependsOnDevice;

private:
  void collectPlaces();
  RoutePlace placeOf(int64_t seqs, int64_t tokens, int64_t resident) const;

  IdxRouteOp op;
  RouteSizes sizes;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_ROUTEDIVISION_H
