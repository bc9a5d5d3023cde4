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
}

int64_t RouteLayout::pairsOfWarp() const {
  return std::max(padded, 2 * kBins / warps);
}

int64_t RouteLayout::histogramWords() const {
  if (keepsPairs)
    return hasGroups ? warps * padded : 0;
  return std::max(kBins, warps * pairsOfWarp() / 2);
}

int64_t RouteLayout::blockWords() const {
  return RouteKernel::kSharedWords + histogramWords() + 2 * padded +
         clusterWords();
}
