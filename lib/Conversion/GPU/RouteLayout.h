// What the kernel of a routing is specialised on, and the memory it needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_GPU_ROUTELAYOUT_H
#define MOE_LIB_CONVERSION_GPU_ROUTELAYOUT_H

#include "KernelBuilder.h"
#include "moe/IR/MoE.h"

namespace mlir::moe {

/// Where the per-token memory of a block of threads lies.
enum class TokenMemory { Shared, Workspace };

/// Everything about one kernel that is known when it is compiled.
///
/// A block of threads keeps B tokens: keys [B, E'], chosen bits [B, E'/32],
/// stats [B, 2] (what a softmax needs to be evaluated again), masks [B/32, E'],
/// the first rows of the masks [B/32, E'], pairs before a token [B] and before
/// 32 tokens [B/32]; E' is E rounded up to whole words of 32.
struct RouteLayout {
  RouteLayout(IdxRouteOp op, int64_t blocks, int64_t threads,
              TokenMemory memory);

  /// More experts than that and the registers of a warp no longer hold a token.
  static constexpr int64_t kMaxExperts = 1024;
  /// Bins of one digit of the radix search.
  static constexpr int64_t kBins = 4096;
  /// Blocks whose column counts are added up, so that a block reads few.
  static constexpr int64_t kBlocksPerGroup = 16;
  /// Words of the workspace between things that many blocks write.
  static constexpr int64_t kLine = 32;

  int64_t experts, words, padded;
  /// Blocks of a launch, at most; all are resident.
  int64_t blocks;
  int64_t threads, warps;
  TokenMemory memory;
  /// Pairs per token on average, a token's fewest, and its most.
  int64_t k, floor, cap;
  /// Each token chooses its k best: nothing is left to the sequence.
  bool choosesByToken;
  /// All lanes of all words hold free candidates.
  bool isFull;
  /// Keys are those of numbers in [0, 1].
  bool isUnit;
  /// The key is not the score's, so scores are evaluated again.
  bool scoresAgain;
  bool keepsStats;

  bool isLooped() const { return memory == TokenMemory::Workspace; }
  Space tokenSpace() const {
    return memory == TokenMemory::Shared ? Space::Shared : Space::Global;
  }
  /// Pairs that a warp lists before it writes their rows, as u16.
  int64_t pairsOfWarp() const;
  /// Words of shared memory for the histogram, and later for lists of pairs.
  int64_t histogramWords() const;
  /// Words of shared memory besides those of tokens.
  int64_t blockWords() const;
  /// Words of the memory of `count` tokens.
  int64_t tokenWords(int64_t count) const {
    return count * perToken() + (count + 31) / 32 * perGroup();
  }
  int64_t perToken() const { return padded + words + 2 * keepsStats + 1; }
  int64_t perGroup() const { return 2 * padded + 1; }

  // The workspace, in words. The first part is zero before and after a launch,
  // and does not depend on S and T, so that one workspace serves all calls:
  //   the barrier of all blocks        kLine
  //   group sums, two halves           2 [groups(blocks), E]
  // Then, written before it is read:
  //   columns                          [blocks, E]
  //   tokens                           [blocks or S] of tokenWords
  int64_t groups() const {
    return (blocks + kBlocksPerGroup - 1) / kBlocksPerGroup;
  }
  static constexpr int64_t kGroupSums = kLine;
  int64_t sumsOfHalf() const { return groups() * experts; }
  int64_t columns() const { return kGroupSums + 2 * sumsOfHalf(); }
  int64_t tokenMemory() const { return columns() + blocks * experts; }
};

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_GPU_ROUTELAYOUT_H
