// Weights as the panels that register tiles read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_CONVERSION_PANELSOURCE_H
#define MOE_LIB_CONVERSION_PANELSOURCE_H

#include "LoopBuilder.h"
#include "MicroKernel.h"

namespace mlir::moe {

/// How the logical outputs of a grouped matmul lie in its weights.
struct WeightLayout {
  SmallVector<Value> weights;
  Layout layout;
  std::optional<Arrangement> arrangement;

  int64_t outputs() const { return weights.size() == 2 || arrangement ? 2 : 1; }
  Value experts(LoopBuilder &b) const { return b.dim(weights.front(), 0); }
  /// Logical columns N.
  Value columns(LoopBuilder &b) const;
  /// Reduction size K.
  Value depth(LoopBuilder &b) const;
  /// The weight that holds `output`, and the indices in it of (expert, column,
  /// k).
  std::pair<Value, SmallVector<Value>> locate(LoopBuilder &b, int64_t output,
                                              Value expert, Value column,
                                              Value k) const;
};

/// Writes panel `panel` of `expert` to `target`, of the tile's panelType, with
/// zeros for columns beyond N and k beyond K.
void packPanel(LoopBuilder &b, const WeightLayout &layout,
               const TileShape &tile, Value expert, Value panel, Value target);

} // namespace mlir::moe

#endif // MOE_LIB_CONVERSION_PANELSOURCE_H
