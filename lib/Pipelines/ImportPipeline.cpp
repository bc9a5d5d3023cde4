// --moe-import-pipeline: from a front end's text to moe on tensors.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Transforms/Passes.h"
#include "moe/Passes.h"
#include "moe/Pipelines/Pipelines.h"

using namespace mlir;

void mlir::moe::buildImportPipeline(OpPassManager &pm) {
  // First: the inliner does not survive unregistered ops with regions.
  pm.addPass(createImportResidual());
  // A plan may be made in one function and used in another.
  pm.addPass(createInlinerPass());
  pm.addPass(createSymbolDCEPass());
  pm.addPass(createImportMarkers());
  // Constants must be found where an assertion compares with one.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createImportAsserts());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}
