// What the kernel of a routing is specialised on, and the memory it needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_ROUTELAYOUT_H
#define MOE_LIB_CONVERSION_GPU_ROUTELAYOUT_H

#include "KernelBuilder.h"
#include "moe/IR/MoE.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::moe {

/// How many teams of blocks there are, if blocks share a sequence: as many as
/// sequences. A team is some blocks of the grid, or a cluster.
enum class RouteTeams { None, One, Many, AnyNumber };
/// Where the per-token memory of a block of threads lies.
enum class TokenMemory { Shared, Workspace };

/// Everything about one kernel that is known when it is compiled.
///
/// A block of threads keeps B tokens: keys [B, E'], or only those that a token
/// chose and their experts [B, lanesOfToken, 2]; chosen bits [B, E'/32 | 1];
/// stats [B, 2] (what a softmax needs to be evaluated again), masks [B/32, E'],
/// the first rows of the masks [B/32, E'], pairs before a token [B] and before
/// 32 tokens [B/32]; E' is E rounded up to whole words of 32.
struct RouteLayout {
  /// Of an op with a schedule for GPUs. `teams` are those of the launch's other
  /// kernels, too, as all share one workspace; a kernel whose blocks take
  /// sequences in turn has none of its own.
  RouteLayout(IdxRouteOp op, RouteTeams teams, bool isInTurn,
              TokenMemory memory);

  /// More experts than that and the registers of a warp no longer hold a token.
  static constexpr int64_t kMaxExperts = 1024;
  /// Bins of one digit of the radix search, and how many are counted together
  /// so that a warp finds a bin by two loads.
  static constexpr int64_t kBins = 4096, kBinsPerCount = 32,
                           kCounts = kBins / kBinsPerCount;
  static constexpr int64_t kDigitBits = 12;
  /// Words of a histogram in the workspace: the bins, then their counts.
  static constexpr int64_t kHistogram = kBins + kCounts;
  /// Copies of the first digit's histogram, at most: blocks that add to one
  /// line wait for each other.
  static constexpr int64_t kCopies = 8;
  /// Histograms of the later digits; one more round only counts.
  static constexpr int64_t kLaterDigits = 2, kRounds = 4;
  /// Candidates that a team lists, at most, to choose among by rank: as many
  /// as the memory of a block's histogram holds.
  static constexpr int64_t kListed = kBins / 2;
  /// Blocks whose column counts are added up, so that a block reads few.
  static constexpr int64_t kBlocksPerGroup = 16;
  /// Words of the workspace between things that many blocks write.
  static constexpr int64_t kLine = 32;

  int64_t experts, words, padded;
  /// Blocks of a launch, at most; all are resident.
  int64_t blocks;
  int64_t threads, warps;
  RouteTeams teams;
  /// Blocks of a cluster, if teams are clusters; else 1.
  int64_t cluster;
  /// A block takes several sequences, one after another.
  bool isInTurn;
  TokenMemory memory;
  /// Pairs per token on average, a token's fewest, and its most.
  int64_t k, floor, cap;
  /// Each token chooses its k best: nothing is left to the sequence.
  bool choosesByToken;
  /// So it does, and lanes of one warp can have them: nothing else is kept.
  bool keepsPairs;
  /// Some groups of a token's experts are no candidates.
  bool hasGroups;
  /// All lanes of all words hold free candidates.
  bool isFull;
  /// Keys are those of numbers in [0, 1].
  bool isUnit;
  /// The key is not the score's, so scores are evaluated again.
  bool scoresAgain;
  bool keepsStats;
  /// Tokens whose logits are computed together, 8 or 16; 0: none are.
  int64_t routerTokens;

  /// A team of blocks shares a sequence.
  bool hasTeam() const { return teams != RouteTeams::None && !isInTurn; }
  /// All blocks may share the one sequence; they may share several.
  bool mayBeOneTeam() const { return hasTeam() && teams != RouteTeams::Many; }
  bool mayBeManyTeams() const { return hasTeam() && teams != RouteTeams::One; }
  bool isClustered() const { return hasTeam() && cluster > 1; }
  /// Blocks of several teams wait for each other, or of one in the grid.
  bool hasGridBarrier() const { return !isClustered() || mayBeManyTeams(); }
  /// A team may list candidates.
  bool hasList() const { return hasTeam() && !choosesByToken; }
  Space tokenSpace() const {
    return memory == TokenMemory::Shared ? Space::Shared : Space::Global;
  }
  /// Pairs that a warp lists before it writes their rows, as u16.
  int64_t pairsOfWarp() const;
  /// Blocks of 16 experts, and warps that share one of them.
  int64_t routerBlocks() const { return llvm::divideCeil(experts, 16); }
  int64_t routerParts() const {
    return std::max<int64_t>(1, warps / routerBlocks());
  }
  /// Words of shared memory for the sums of warps that share experts.
  int64_t routerWords() const {
    return routerParts() == 1 ? 0 : warps * 16 * routerTokens;
  }
  /// Words of shared memory for the sums of routers, then for the histogram,
  /// and later for lists of pairs.
  int64_t histogramWords() const;
  /// Words of shared memory that the other blocks of a cluster read, besides
  /// the histogram: columns [E'], counts [kCounts], a list [kListed] u64.
  int64_t clusterWords() const {
    if (!isClustered())
      return 0;
    return padded + (choosesByToken ? 0 : kCounts + 2 * kListed);
  }
  /// Words of shared memory besides those of tokens.
  int64_t blockWords() const;
  /// Words of the memory of `count` tokens.
  int64_t tokenWords(int64_t count) const {
    return count * perToken() + (count + 31) / 32 * perGroup();
  }
  /// Even, so that a key and its expert are read at once.
  int64_t perToken() const {
    return keyWords() + bitWords() + 2 * keepsStats + 1;
  }
  int64_t perGroup() const { return 2 * padded + 2; }
  /// Lanes for the pairs of one token, if pairs are kept.
  int64_t lanesOfToken() const { return llvm::PowerOf2Ceil(k); }
  int64_t keyWords() const { return keepsPairs ? 2 * lanesOfToken() : padded; }
  /// Odd, so that words of 32 tokens lie in as many banks.
  int64_t bitWords() const { return words | 1; }

  // The workspace, in words. The first part is zero before and after a launch,
  // and does not depend on S and T, so that one workspace serves all calls:
  //   barriers: of all blocks, then of teams    [1 + blocks] of kLine
  //   two halves, of launches in turn: column sums of groups of blocks
  //                           [groups(), E], lengths of lists [blocks]
  //   histograms, grid form   [sets] of kHistogram
  // Then, written before it is read:
  //   columns                 [blocks, E]
  //   ends of rounds, lists   [kRounds, blocks, 4], [blocks, kListed] u64
  //   tokens                  [blocks or S] of tokenWords
  int64_t groups() const {
    return (blocks + kBlocksPerGroup - 1) / kBlocksPerGroup;
  }
  int64_t halves() const { return kLine * (1 + blocks); }
  int64_t lengths() const { return groups() * experts; }
  int64_t half() const { return llvm::alignTo(lengths() + blocks, 4); }
  int64_t histograms() const { return halves() + 2 * half(); }
  bool hasHistograms() const { return hasList() && !isClustered(); }
  bool hasTeamMemory() const {
    return teams != RouteTeams::None && cluster == 1 && !choosesByToken;
  }
  /// Teams of two blocks have three each, and larger teams fewer in all.
  int64_t sets() const {
    return hasTeamMemory() ? std::max(3 * (blocks / 2), kCopies + kLaterDigits)
                           : 0;
  }
  int64_t columns() const { return histograms() + sets() * kHistogram; }
  int64_t rounds() const { return columns() + blocks * experts; }
  int64_t lists() const {
    return llvm::alignTo(rounds() + 4 * kRounds * blocks, 4);
  }
  int64_t tokenMemory() const {
    return lists() + (hasTeamMemory() ? blocks * kListed * 2 : 0);
  }

private:
  int64_t routerTokensOf(IdxRouteOp op) const;
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_ROUTELAYOUT_H
