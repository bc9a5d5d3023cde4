// Registration of everything that a tool needs.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Pipelines/RegisterAll.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "moe/Pipelines/Pipelines.h"
#include "moe/Transforms/BufferizableOpInterfaceImpl.h"

using namespace mlir;

void moe::registerAllMoEPasses() {
  registerMoEPasses();
  registerPipelines();
}

void moe::registerAllMoE(DialectRegistry &registry) {
  registry.insert<MoEDialect>();
  registerBufferizableOpInterfaceExternalModels(registry);
  registerAllMoEPasses();
}
