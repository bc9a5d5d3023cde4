// Counters of a larger launch from those of a part of it.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Counters.h"

#include <set>
#include <string_view>

namespace ptx {

/// What one warp, one CTA or a share is: it does not grow with the grid.
static bool isSum(std::string_view counter) {
  static const std::set<std::string_view> others = {
      "simt_efficiency", "async_in_flight", "heaviest_warp", "chain_l1",
      "chain_l2",        "cta_work_mean",   "cta_work_max"};
  return !others.contains(counter);
}

CounterValues CounterValues::scaled(double factor, Dim3 grid) const {
  CounterValues result = *this;
  result.shape.grid = grid;
  for (auto &[name, value] : result.values)
    if (isSum(name))
      value *= factor;
  result.blocks.clear();
  result.lines.clear();
  result.blockWork.clear();
  return result;
}

} // namespace ptx
