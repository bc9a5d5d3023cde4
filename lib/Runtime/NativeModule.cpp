// A lowered module as LLVM IR, and its machine code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/NativeModule.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace mlir::moe;

NativeModule::NativeModule() = default;
NativeModule::NativeModule(NativeModule &&) = default;
NativeModule::~NativeModule() {
  module.reset(); // before its context
}

NativeModule &NativeModule::operator=(NativeModule &&other) {
  module = std::move(other.module);
  context = std::move(other.context);
  machine = std::move(other.machine);
  return *this;
}

llvm::Expected<NativeModule> NativeModule::translate(ModuleOp module,
                                                     const NativeCPU &cpu) {
  auto machine = cpu.createMachine();
  if (!machine)
    return machine.takeError();
  NativeModule result;
  result.context = std::make_unique<llvm::LLVMContext>();
  result.module = translateModuleToLLVMIR(module, *result.context);
  if (!result.module)
    return llvm::createStringError("the module is not in the LLVM dialect");
  result.machine = std::move(*machine);
  result.module->setDataLayout(result.machine->createDataLayout());
  result.module->setTargetTriple(result.machine->getTargetTriple());
  return result;
}

void NativeModule::addPackedCallers() {
  llvm::IRBuilder<> builder(*context);
  llvm::Type *pointer = builder.getPtrTy();
  for (llvm::Function &callee : llvm::make_early_inc_range(*module)) {
    StringRef name = callee.getName();
    if (callee.isDeclaration() || !name.consume_front(kInterfacePrefix))
      continue;
    if (!llvm::all_of(callee.args(), [](const llvm::Argument &argument) {
          return argument.getType()->isPointerTy();
        }))
      continue;
    auto *caller = llvm::Function::Create(
        llvm::FunctionType::get(builder.getVoidTy(), {pointer}, false),
        llvm::Function::ExternalLinkage, kCallerPrefix + name, *module);
    builder.SetInsertPoint(llvm::BasicBlock::Create(*context, "entry", caller));
    SmallVector<llvm::Value *> arguments;
    for (unsigned i = 0, count = callee.arg_size(); i != count; ++i)
      arguments.push_back(builder.CreateLoad(
          pointer, builder.CreateConstGEP1_64(pointer, caller->getArg(0), i)));
    builder.CreateCall(&callee, arguments);
    builder.CreateRetVoid();
  }
}

void NativeModule::optimize(unsigned level) {
  if (level == 0)
    return;
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(machine.get());
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  auto optimization = level == 1   ? llvm::OptimizationLevel::O1
                      : level == 2 ? llvm::OptimizationLevel::O2
                                   : llvm::OptimizationLevel::O3;
  builder.buildPerModuleDefaultPipeline(optimization).run(*module, modules);
}

std::string NativeModule::print() const {
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  return text;
}

llvm::Expected<llvm::SmallVector<char, 0>> NativeModule::emitObject() {
  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager passes;
  if (machine->addPassesToEmitFile(passes, stream, nullptr,
                                   llvm::CodeGenFileType::ObjectFile))
    return llvm::createStringError("LLVM emits no object files for " +
                                   machine->getTargetTriple().str());
  passes.run(*module);
  return object;
}
