// Counts the routes of a layer with an installed moe-mlir.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "moe/IR/MoE.h"
#include "moe/Pipelines/RegisterAll.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::func::FuncDialect>();
  mlir::moe::registerAllMoE(registry);
  mlir::MLIRContext context(registry);
  auto module = mlir::parseSourceFile<mlir::ModuleOp>(argv[argc - 1], &context);
  if (!module)
    return 1;
  int routes = 0;
  module->walk([&](mlir::moe::RouteOp) { ++routes; });
  llvm::outs() << routes << " routes\n";
  return 0;
}
