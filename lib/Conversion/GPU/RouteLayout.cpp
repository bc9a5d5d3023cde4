// What the kernel of a routing is specialised on, and the memory it needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "RouteLayout.h"
#include "RouteKernel.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

RouteLayout::RouteLayout(IdxRouteOp op, RouteTeams teams, bool isInTurn,
                         TokenMemory memory)
    : experts(op.getNumExperts()), words(llvm::divideCeil(experts, 32)),
      padded(words * 32), blocks(op.getGPUSchedule().getBlocks()),
      threads(op.getGPUSchedule().getThreads()), warps(threads / 32),
      teams(teams), cluster(op.getGPUSchedule().getCluster()),
      isInTurn(isInTurn), memory(memory), k(op.getK()), floor(op.getFloor()),
      cap(op.getEffectiveCap()) {
  choosesByToken = op.getScope() == Scope::Token || floor == k || cap == k;
  keepsPairs = choosesByToken && k <= 32;
  hasGroups = op.getTopkGroup() != op.getNGroup();
  isFull = floor == 0 && cap == experts && !op.getValid() && experts == padded;
  bool isShare =
      op.getScore() == Score::Softmax || op.getScore() == Score::Sigmoid;
  isUnit = isShare && !op.getChoiceBias();
  bool byLogits = op.getNormalize() == Normalize::Softmax;
  scoresAgain = op.getChoiceBias() && !byLogits;
  keepsStats = scoresAgain && op.getScore() == Score::Softmax;
  routerTokens = op.hasRouter() ? routerTokensOf(op) : 0;
}

/// Tokens beyond the eighth of a block cost few registers, and save reading
/// the weights once more.
int64_t RouteLayout::routerTokensOf(IdxRouteOp op) const {
  auto type = cast<ShapedType>(op.getField(Field::TokenOffsets).getType());
  int64_t ofBlock = op.getGPUSchedule().getTokens();
  if (!type.isDynamicDim(1))
    ofBlock = std::max(ofBlock, (type.getDimSize(1) - 1) / blocks);
  return hasTeam() && memory == TokenMemory::Shared && ofBlock <= 8 ? 8 : 16;
}

int64_t RouteLayout::pairsOfWarp() const {
  return std::max(padded, 2 * kBins / warps);
}

int64_t RouteLayout::histogramWords() const {
  if (keepsPairs)
    return std::max(hasGroups ? warps * padded : 0, routerWords());
  return std::max({kBins, warps * pairsOfWarp() / 2, routerWords()});
}

int64_t RouteLayout::blockWords() const {
  return RouteKernel::kSharedWords + histogramWords() + 2 * padded +
         clusterWords();
}
