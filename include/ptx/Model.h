// From counters to time.
//
// A model, not a measurement: it bounds the time of a kernel by what it counted
// and by what a chip does a clock. It says an interval, a point inside, and
// every term of them, so that a reader sees what a result rests on.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MODEL_H
#define PTX_MODEL_H

#include "ptx/Counters.h"

#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ptx {

/// What the model and the caches know of a chip; ChipConstants.cpp says unit,
/// value and source of each.
enum class ChipConstant : uint8_t {
  Multiprocessors,
  SmClock,
  L2Clock,
  Issue,
  Alu,
  Fma,
  Special,
  Memory,
  Wavefronts,
  L1Sectors,
  TensorFlop,
  Barriers,
  Constants,
  L2Bytes,
  L2Writes,
  DramBytes,
  ScatteredReads,
  ScatteredFills,
  SliceInteger,
  SliceFloat,
  Slices,
  SliceStride,
  LatencyL1,
  LatencyL2,
  LatencyDram,
  LatencyShared,
  LatencyInstruction,
  LatencyBarrier,
  LatencyWait,
  ChainInstruction,
  ChainL1,
  ChainL2,
  LaunchUpper,
  LaunchLower,
  LaunchPoint,
  LatencyWeight,
  PointExponent,
  L1Capacity,
  L2Capacity,
  L2Partitions,
  L2Shared,
  DirtyLeft,
  Count,
};

/// A constant: the best ever seen, and what kernels usually get. One value is
/// stored twice.
struct ChipValue {
  double best = 0, usual = 0;
};

struct Chip {
  std::string_view name;  ///< "h100"
  std::string_view title; ///< "H100 SXM 80 GB (measured)"
  bool measured = false;  ///< false: nominal values, nothing was fitted
  std::span<const ChipValue> values;

  double best(ChipConstant c) const { return values[size_t(c)].best; }
  double usual(ChipConstant c) const { return values[size_t(c)].usual; }
};

/// "h100" or "a100"; throws Error for another name.
const Chip &chipNamed(std::string_view name);
std::span<const Chip> allChips();
/// All constants of all chips with units and sources, as a Markdown table.
void printChipConstants(std::ostream &out);

/// One resource: the time it alone takes at its best rate, and at its usual
/// one. Seconds.
struct TimeTerm {
  std::string_view name;
  std::string_view what;
  double best = 0, usual = 0;
};

/// Seconds.
struct TimeEstimate {
  /// Every resource at its best rate, all overlapped.
  double lower = 0;
  /// Every resource at its usual rate, one after the other, then latencies.
  double upper = 0;
  /// In between: large terms hide small ones.
  double point = 0;
  /// Latencies that nothing hides, when warps run by themselves.
  double latency = 0;
  std::vector<TimeTerm> terms;
  /// The term with the largest best time, or "latency".
  std::string_view limit;
  /// One JSON object with these names.
  std::string json() const;
};

/// \p counters need the cache model for the terms of L2 and DRAM; without it
/// these are left out and the estimate says so little more than a lower bound.
TimeEstimate estimateTime(const CounterValues &counters, const Chip &chip);

/// What a kernel engineer reads: counters, ratios, time, and the hottest
/// blocks of \p ptx (may be empty: then without their text).
void printReport(std::ostream &out, const CounterValues &counters,
                 const Chip &chip, std::string_view ptx);

} // namespace ptx

#endif // PTX_MODEL_H
