// Schedules of the GPU lowerings.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/IR/MoE.h"
#include "moe/Routing/GPUChip.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::moe;

static int64_t getSharedLimit(Chip chip) {
  return ::moe::routing::findGPUChip(stringifyChip(chip))->sharedBytes;
}

/// Most warps of a block: with more, a thread has too few registers.
static constexpr int64_t kMaxWarps = 16;

/// Most blocks of a routing: no chip has as many multiprocessors.
static constexpr int64_t kMaxBlocks = 256;

static bool isPowerIn(int64_t value, int64_t least, int64_t most) {
  return value >= least && value <= most && llvm::isPowerOf2_64(value);
}

LogicalResult
GPUMatmulFormAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                          int64_t rows, int64_t columns, int64_t depth,
                          int64_t warpRows, int64_t stages, int64_t lanes,
                          int64_t least) {
  if (!isPowerIn(rows, 16, 256))
    return emitError() << "FORM-1: rows must be a power of two in [16, 256], "
                          "got "
                       << rows;
  if (!isPowerIn(columns, kWarpColumns, 512))
    return emitError() << "FORM-1: columns must be a power of two in [64, "
                          "512], got "
                       << columns;
  if (!isPowerIn(warpRows, 16, std::min<int64_t>(rows, 64)))
    return emitError() << "FORM-1: warp_rows must be a power of two in [16, "
                       << std::min<int64_t>(rows, 64) << "], got " << warpRows;
  int64_t warps = rows / warpRows * (columns / kWarpColumns);
  if (warps > kMaxWarps)
    return emitError() << "FORM-1: a block has at most " << kMaxWarps
                       << " warps, and tiles of " << rows << " x " << columns
                       << " by warps of " << warpRows << " x 64 make " << warps;
  if (depth != 32 && depth != 64 && depth != 128)
    return emitError() << "FORM-2: depth must be 32, 64 or 128, got " << depth;
  if (lanes != (depth == 32 ? 4 : 8) && !(depth == 64 && lanes == 4))
    return emitError() << "FORM-2: lanes must be "
                       << (depth == 32   ? "4"
                           : depth == 64 ? "4 or 8"
                                         : "8")
                       << " for a depth of " << depth << ", got " << lanes;
  if (rows < warps * (32 / lanes) || rows > warps * 32)
    return emitError() << "FORM-3: " << warps << " warps with lanes = " << lanes
                       << " copy " << warps * (32 / lanes) << " to "
                       << warps * 32 << " rows, got rows = " << rows;
  if (columns < warps * 8)
    return emitError() << "FORM-3: " << warps << " warps copy at least "
                       << warps * 8 << " columns, got columns = " << columns;
  if (stages < 2 || stages > 8)
    return emitError() << "FORM-4: stages must be in [2, 8], got " << stages;
  if (least < 0)
    return emitError() << "FORM-4: least must not be negative, got " << least;
  return success();
}

LogicalResult
GPUMatmulAttr::verify(function_ref<InFlightDiagnostic()> emitError, Chip chip,
                      ArrayRef<GPUMatmulFormAttr> forms) {
  if (forms.empty())
    return emitError() << "GPU-MATMUL-1: expected at least one form";
  if (forms.front().getLeast() != 0)
    return emitError() << "GPU-MATMUL-1: the first form must have least = 0, "
                          "got "
                       << forms.front().getLeast();
  for (auto [form, next] : llvm::zip(forms, forms.drop_front()))
    if (next.getLeast() <= form.getLeast())
      return emitError() << "GPU-MATMUL-1: least must grow from form to form, "
                            "got "
                         << next.getLeast() << " after " << form.getLeast();
  for (GPUMatmulFormAttr form : forms)
    if (form.getSharedBytes() > getSharedLimit(chip))
      return emitError() << "GPU-MATMUL-2: a form takes "
                         << form.getSharedBytes()
                         << " bytes of shared memory, and a block of "
                         << stringifyChip(chip) << " has "
                         << getSharedLimit(chip)
                         << "; use smaller tiles or fewer stages";
  return success();
}

LogicalResult GPURouteAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   Chip chip, RouteForm form, int64_t threads,
                                   int64_t blocks, int64_t tokens,
                                   int64_t cluster) {
  if (!isPowerIn(threads, 128, kMaxWarps * 32))
    return emitError() << "GPU-ROUTE-1: threads must be 128, 256 or 512, got "
                       << threads;
  if (blocks < 1 || blocks > kMaxBlocks)
    return emitError() << "GPU-ROUTE-2: blocks must be in [1, " << kMaxBlocks
                       << "], got " << blocks;
  if (tokens < 1)
    return emitError() << "GPU-ROUTE-2: tokens must be positive, got "
                       << tokens;
  int64_t most =
      ::moe::routing::findGPUChip(stringifyChip(chip))->clusterBlocks;
  if (form != RouteForm::Cluster && cluster != 1)
    return emitError() << "GPU-ROUTE-3: cluster must be 1 without form = "
                          "cluster, got "
                       << cluster;
  if (form == RouteForm::Cluster && most == 1)
    return emitError() << "GPU-ROUTE-3: " << stringifyChip(chip)
                       << " has no clusters; sm_90 and later chips have";
  if (form == RouteForm::Cluster && !isPowerIn(cluster, 2, most))
    return emitError() << "GPU-ROUTE-3: cluster must be a power of two in [2, "
                       << most << "] on " << stringifyChip(chip) << ", got "
                       << cluster;
  if (cluster > blocks)
    return emitError() << "GPU-ROUTE-3: a cluster of " << cluster
                       << " blocks needs as many `blocks`, got " << blocks;
  return success();
}

SmallVector<int64_t> GPUMatmulAttr::getTileRows() const {
  llvm::SmallSetVector<int64_t, 4> rows;
  for (GPUMatmulFormAttr form : getForms())
    rows.insert(form.getRows());
  return rows.takeVector();
}
