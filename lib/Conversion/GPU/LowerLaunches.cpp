// moe-lower-launches: launches and device memory become calls of the runtime.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "DeviceMemory.h"
#include "Kernel.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "moe/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERLAUNCHES
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

static constexpr StringLiteral kLaunch = "moe_gpu_launch";
static constexpr StringLiteral kAskMultiprocessors = "moe_gpu_multiprocessors";

namespace {
/// The number of each kernel, in the order of first launches.
using KernelNumbers = llvm::MapVector<StringAttr, int32_t>;

/// Rewrites the launches of one function.
class LaunchLowering {
public:
  LaunchLowering(func::FuncOp function, Value context, KernelNumbers &kernels)
      : function(function), context(context), kernels(kernels),
        b(function.getLoc(), function.getContext()) {}

  void lower() {
    auto range = function.getOps<gpu::LaunchFuncOp>();
    SmallVector<gpu::LaunchFuncOp> launches(range.begin(), range.end());
    size_t most = 0;
    for (gpu::LaunchFuncOp launch : launches)
      most = std::max<size_t>(most, launch.getKernelOperands().size());
    makeArguments(most);
    for (gpu::LaunchFuncOp launch : launches)
      lower(launch);
  }

private:
  /// Room for the arguments of one launch, which all launches use in turn: the
  /// driver copies them before it returns. `pointers` holds the address of each
  /// of them, as cuLaunchKernel wants it.
  void makeArguments(size_t count) {
    b.setInsertionPointToStart(&function.front());
    pointer = LLVM::LLVMPointerType::get(b.getContext());
    Value size = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(count));
    Value values = LLVM::AllocaOp::create(b, pointer, b.getI64Type(), size);
    pointers = LLVM::AllocaOp::create(b, pointer, pointer, size);
    for (size_t i = 0; i < count; ++i) {
      slots.push_back(element(b.getI64Type(), values, i));
      LLVM::StoreOp::create(b, slots.back(), element(pointer, pointers, i));
    }
  }

  Value element(Type type, Value base, int32_t index) {
    return LLVM::GEPOp::create(b, pointer, type, base,
                               ArrayRef<LLVM::GEPArg>{index});
  }

  void lower(gpu::LaunchFuncOp launch) {
    b.setLoc(launch.getLoc());
    b.setInsertionPoint(launch);
    for (auto [slot, value] : llvm::zip(slots, launch.getKernelOperands()))
      LLVM::StoreOp::create(b, value, slot);
    auto [entry, isNew] =
        kernels.insert({launch.getKernelName(), int32_t(kernels.size())});
    auto word = [&](int32_t value) -> Value {
      return arith::ConstantIntOp::create(b, b.getI32Type(), value);
    };
    auto wordOf = [&](Value index) -> Value {
      return index ? b.createOrFold<arith::IndexCastOp>(b.getI32Type(), index)
                   : word(0);
    };
    Value shared = launch.getDynamicSharedMemorySize();
    func::CallOp::create(
        b, kLaunch, TypeRange(),
        ValueRange{context, word(entry->second), launch.getGridSizeX(),
                   launch.getGridSizeY(), launch.getGridSizeZ(),
                   wordOf(launch.getBlockSizeX()), shared ? shared : word(0),
                   wordOf(launch.getClusterSizeX()),
                   word(launch->hasAttr(kCooperative)), pointers});
    launch.erase();
  }

  func::FuncOp function;
  Value context;
  KernelNumbers &kernels;
  ImplicitLocOpBuilder b;
  Type pointer;
  Value pointers;
  SmallVector<Value> slots;
};
} // namespace

/// Launches that the runtime's calls cannot express.
static LogicalResult verifyLaunch(gpu::LaunchFuncOp launch) {
  auto isOne = [](Value size) { return !size || isConstantIntValue(size, 1); };
  if (!isa<func::FuncOp>(launch->getParentOp()))
    return launch.emitOpError(
        "is in a loop or a branch; a function that is compiled for a GPU is a "
        "straight line of launches");
  if (launch.getAsyncToken() || !launch.getAsyncDependencies().empty() ||
      launch.getAsyncObject())
    return launch.emitOpError("has asynchronous tokens; launches of a function "
                              "run on one stream, in their order");
  if (!isOne(launch.getBlockSizeY()) || !isOne(launch.getBlockSizeZ()) ||
      !isOne(launch.getClusterSizeY()) || !isOne(launch.getClusterSizeZ()))
    return launch.emitOpError("has blocks or clusters of more than one "
                              "dimension; use x alone");
  for (Value operand : launch.getKernelOperands())
    if (!isa<LLVM::LLVMPointerType>(operand.getType()) &&
        !operand.getType().isIntOrFloat())
      return launch.emitOpError("has an argument of type ")
             << operand.getType() << "; kernels take pointers and scalars";
  return success();
}

/// The declaration of a function of the runtime, made at its first use.
static void declare(ModuleOp module, StringRef name, TypeRange arguments,
                    TypeRange results) {
  if (module.lookupSymbol(name))
    return;
  OpBuilder b(module.getBodyRegion());
  auto function = func::FuncOp::create(b, module.getLoc(), name,
                                       b.getFunctionType(arguments, results));
  function.setPrivate();
  function->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                    b.getUnitAttr());
}

static void declareRuntime(ModuleOp module) {
  MLIRContext *context = module.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context);
  Type word = IntegerType::get(context, 32), index = IndexType::get(context);
  Type bytes =
      MemRefType::get({ShapedType::kDynamic}, IntegerType::get(context, 8));
  declare(module, kLaunch,
          {pointer, word, index, index, index, word, word, word, word, pointer},
          {});
  declare(module, kArena, {pointer, index}, bytes);
  declare(module, kAskMultiprocessors, {pointer}, index);
  for (StringRef name : {kResult, kZeroed})
    declare(module, name, {pointer, word, index}, bytes);
}

/// Gives the context to calls that ask for the number of multiprocessors.
static void lowerQuestions(func::FuncOp function, Value context) {
  Type index = IndexType::get(function.getContext());
  auto range = function.getOps<func::CallOp>();
  for (func::CallOp call : llvm::make_early_inc_range(range)) {
    if (call.getCallee() != kMultiprocessors)
      continue;
    OpBuilder b(call);
    call.replaceAllUsesWith(func::CallOp::create(b, call.getLoc(),
                                                 kAskMultiprocessors, index,
                                                 context)
                                .getResults());
    call.erase();
  }
}

namespace {
struct LowerLaunches : mlir::moe::impl::LowerLaunchesBase<LowerLaunches> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    WalkResult wrong = module.walk([&](gpu::LaunchFuncOp launch) {
      return failed(verifyLaunch(launch)) ? WalkResult::interrupt()
                                          : WalkResult::advance();
    });
    if (wrong.wasInterrupted())
      return signalPassFailure();
    KernelNumbers kernels;
    zeroedNumber = 0;
    auto range = module.getOps<func::FuncOp>();
    SmallVector<func::FuncOp> functions(range.begin(), range.end());
    for (func::FuncOp function : functions)
      if (!function.isDeclaration() && failed(lower(function, kernels)))
        return signalPassFailure();
    if (Operation *question = module.lookupSymbol(kMultiprocessors))
      question->erase();
    declareRuntime(module);
    SmallVector<Attribute> names;
    for (auto [name, number] : kernels)
      names.push_back(name);
    module->setAttr(kKernelNames, ArrayAttr::get(&getContext(), names));
  }

  LogicalResult lower(func::FuncOp function, KernelNumbers &kernels) {
    if (!function.isPublic())
      return function.emitOpError(
          "is private: launches are lowered in entry functions, into which all "
          "others are inlined before; a recursive one cannot be");
    if (!llvm::hasSingleElement(function.getBody()))
      return function.emitOpError("has several blocks; a function that is "
                                  "compiled for a GPU is a straight line of "
                                  "launches");
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    if (failed(function.insertArgument(0, pointer, {}, function.getLoc())))
      return failure();
    DeviceMemory memory(function, zeroedNumber);
    if (failed(memory.assign()))
      return failure();
    numTemporaries += memory.numTemporaries();
    numPlaces += memory.numPlaces();
    LaunchLowering(function, function.getArgument(0), kernels).lower();
    lowerQuestions(function, function.getArgument(0));
    return success();
  }

  int32_t zeroedNumber = 0;
};
} // namespace
