// How the tokens of a routing are divided among blocks of threads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteDivision.h"
#include "HostArithmetic.h"
#include "moe/Routing/GPUChip.h"

using namespace mlir;
using namespace mlir::moe;

/// More sequences or tokens than any division treats alike.
static constexpr int64_t kMany = 1 << 24;

RouteChoices::RouteChoices(IdxRouteOp op, RouteSizes sizes)
    : op(op), sizes(sizes) {
  GPURouteAttr schedule = op.getGPUSchedule();
  auto chip = ::moe::routing::findGPUChip(stringifyChip(schedule.getChip()));
  rule.tokensOfBlock = schedule.getTokens();
  rule.cluster = schedule.getCluster();
  if (rule.cluster > 1)
    rule.hasTeams = sizes.seqs.value_or(1) <=
                    seqsAtOnce(KnownArithmetic(), rule, schedule.getBlocks());
  else
    // A sequence of few tokens has one block, and so has each of many.
    rule.hasTeams = schedule.getForm() == RouteForm::Grid &&
                    sizes.tokens.value_or(kMany) > rule.tokensOfBlock &&
                    2 * sizes.seqs.value_or(1) <= schedule.getBlocks();
  // More sequences than clusters: each has one block.
  if (!rule.hasTeams)
    rule.cluster = 1;
  rule.sharedBytes = chip->sharedBytes;
  RouteLayout layout = layoutOf(RoutePlace::Shared);
  rule.ofBlock = 4 * layout.blockWords();
  rule.ofToken = 4 * layout.perToken();
  rule.ofGroup = 4 * layout.perGroup();
  collectPlaces();
}

RouteLayout RouteChoices::layoutOf(RoutePlace place) const {
  RouteTeams teams = RouteTeams::None;
  if (rule.hasTeams && sizes.seqs.value_or(kMany) != 1)
    teams = sizes.seqs ? RouteTeams::Many : RouteTeams::AnyNumber;
  else if (rule.hasTeams)
    teams = RouteTeams::One;
  return RouteLayout(op, teams, place == RoutePlace::InTurn,
                     place == RoutePlace::Shared ? TokenMemory::Shared
                                                 : TokenMemory::Workspace);
}

RoutePlace RouteChoices::placeOf(int64_t seqs, int64_t tokens,
                                 int64_t resident) const {
  if (seqs > seqsAtOnce(KnownArithmetic(), rule, resident))
    return RoutePlace::InTurn;
  auto division = divide(KnownArithmetic(), rule, seqs, tokens, resident);
  if (division.sharedBytes <= rule.sharedBytes)
    return RoutePlace::Shared;
  return rule.hasTeams ? RoutePlace::Workspace : RoutePlace::InTurn;
}

/// Tries the fewest and the most sequences and tokens, and every number of
/// blocks between those of the smallest device and of the largest one.
void RouteChoices::collectPlaces() {
  GPURouteAttr schedule = op.getGPUSchedule();
  auto chip = ::moe::routing::findGPUChip(stringifyChip(schedule.getChip()));
  int64_t most = schedule.getBlocks();
  int64_t least = std::min<int64_t>(most, chip->leastMultiprocessors);
  auto ends = [](std::optional<int64_t> size) -> SmallVector<int64_t, 2> {
    return size ? SmallVector<int64_t, 2>{*size}
                : SmallVector<int64_t, 2>{1, kMany};
  };
  std::array<bool, 3> isUsed{};
  dependsOnDevice = false;
  for (int64_t seqs : ends(sizes.seqs))
    for (int64_t tokens : ends(sizes.tokens)) {
      for (int64_t resident = least; resident <= most; ++resident)
        isUsed[static_cast<size_t>(placeOf(seqs, tokens, resident))] = true;
      int64_t wanted = 1;
      if (rule.hasTeams && rule.cluster == 1)
        wanted = llvm::divideCeil(tokens, rule.tokensOfBlock);
      int64_t room = seqsAtOnce(KnownArithmetic(), rule, least);
      dependsOnDevice |= least < most && seqs * wanted > room;
    }
  for (RoutePlace place :
       {RoutePlace::Shared, RoutePlace::Workspace, RoutePlace::InTurn})
    if (isUsed[static_cast<size_t>(place)])
      places.push_back(place);
}
