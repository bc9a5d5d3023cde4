// moe-pack-weights: grouped matmuls read packed panels; what packs the weights
// of a model becomes a function of its own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"
#include "moe/IR/MoE.h"
#include "moe/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "moe/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// What is packed
//===----------------------------------------------------------------------===//

namespace {
/// Matmuls that read the same weights by the same schedule, and so the same
/// panels.
struct Group {
  SmallVector<IdxGroupedMatmulOp> matmuls;
  IdxGroupedMatmulOp first() const { return matmuls.front(); }
};

/// How the weights of a group are computed from the parameters of a model.
struct Source {
  /// In program order.
  SetVector<Operation *> ops;
  SetVector<BlockArgument> params;
};
} // namespace

/// The groups of a function, in program order of their first matmul.
static FailureOr<SmallVector<Group>> collectGroups(func::FuncOp function) {
  llvm::MapVector<Attribute, DenseMap<SmallVector<Value>, size_t>> index;
  SmallVector<Group> groups;
  WalkResult result = function.walk([&](IdxGroupedMatmulOp op) {
    // On memrefs it is too late: the lowering packs panel by panel.
    if (op.getPacked() || !isa<TensorType>(op.getInput().getType()))
      return WalkResult::advance();
    if (!op.getCPUSchedule()) {
      op.emitOpError("needs a #moe.schedule to have its weights packed; run "
                     "moe-choose-schedule before moe-pack-weights");
      return WalkResult::interrupt();
    }
    Attribute how =
        ArrayAttr::get(op.getContext(),
                       {op.getLayoutAttr(),
                        op.getArrangement() ? Attribute(op.getArrangementAttr())
                                            : UnitAttr::get(op.getContext()),
                        op.getScheduleAttr()});
    SmallVector<Value> weights(op.getWeights());
    auto [entry, isNew] = index[how].try_emplace(weights, groups.size());
    if (isNew)
      groups.emplace_back();
    groups[entry->second].matmuls.push_back(op);
    return WalkResult::advance();
  });
  if (result.wasInterrupted())
    return failure();
  return groups;
}

/// Adds what `value` depends on to `source`. Fails where that is more than
/// moe.param arguments and pure ops.
static LogicalResult collectSource(Value value, func::FuncOp function,
                                   Source &source) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner() != &function.front() ||
        !function.getArgAttr(argument.getArgNumber(), kParamAttr))
      return failure();
    source.params.insert(argument);
    return success();
  }
  Operation *op = value.getDefiningOp();
  if (source.ops.contains(op))
    return success();
  if (!isPure(op))
    return failure();
  SetVector<Value> inputs(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), inputs);
  for (Value input : inputs)
    if (failed(collectSource(input, function, source)))
      return failure();
  source.ops.insert(op);
  return success();
}

/// The source of a group that depends on parameters alone.
static std::optional<Source> findSource(const Group &group,
                                        func::FuncOp function) {
  Source source;
  for (Value weight : group.first().getWeights())
    if (failed(collectSource(weight, function, source)))
      return std::nullopt;
  // Weights that are constants of the module have no argument to replace.
  if (source.params.empty())
    return std::nullopt;
  return source;
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

/// moe.idx.pack of `weights`, as `matmul` reads them.
static Value createPack(OpBuilder &b, IdxGroupedMatmulOp matmul,
                        ValueRange weights) {
  Location loc = matmul.getLoc();
  ScheduleAttr schedule = matmul.getCPUSchedule();
  int64_t outputs = matmul.getNumOutputs();
  bool nk = matmul.getLayout() == Layout::NK;
  auto type = cast<RankedTensorType>(weights.front().getType());
  int64_t n = type.getDimSize(nk ? 1 : 2), k = type.getDimSize(nk ? 2 : 1);
  int64_t columnsPerPanel = schedule.getPanelColumns(outputs);
  if (matmul.getArrangement()) {
    columnsPerPanel *= 2; // of the weight, which holds both outputs
    n = ShapedType::isDynamic(n) ? n : n / 2;
  }
  auto packed = RankedTensorType::get(
      schedule.getPackedShape(type.getDimSize(0), n, k, outputs),
      type.getElementType());
  auto blocks = [&](int64_t dim, int64_t size) -> Value {
    Value whole = b.createOrFold<tensor::DimOp>(loc, weights.front(), dim);
    if (size == 1)
      return whole;
    Value by = arith::ConstantIndexOp::create(b, loc, size);
    return b.createOrFold<arith::CeilDivUIOp>(loc, whole, by);
  };
  SmallVector<Value> sizes;
  if (packed.isDynamicDim(0))
    sizes.push_back(blocks(0, 1));
  if (packed.isDynamicDim(1))
    sizes.push_back(blocks(nk ? 1 : 2, columnsPerPanel));
  if (packed.isDynamicDim(2))
    sizes.push_back(blocks(nk ? 2 : 1, schedule.getKStep()));
  Value out = tensor::EmptyOp::create(b, loc, packed, sizes);
  return IdxPackOp::create(b, loc, TypeRange(packed), weights, out,
                           matmul.getLayoutAttr(), matmul.getArrangementAttr(),
                           schedule)
      ->getResult(0);
}

static void usePacked(const Group &group, Value packed) {
  for (IdxGroupedMatmulOp matmul : group.matmuls) {
    matmul.getWeightsMutable().assign(packed);
    matmul.setPacked(true);
    // It said how the weights held two outputs; panels have their own way.
    matmul.removeArrangementAttr();
  }
}

/// Packs where the weights are known: outside of every loop that they do not
/// depend on.
static void packInPlace(const Group &group, DominanceInfo &dominance) {
  OperandRange weights = group.first().getWeights();
  Value last = weights.front();
  for (Value weight : weights) {
    // An argument is known where its block begins.
    Operation *known = weight.getDefiningOp();
    if (!known)
      known = &weight.getParentBlock()->front();
    if (dominance.properlyDominates(last, known))
      last = weight;
  }
  OpBuilder b(group.first());
  b.setInsertionPointAfterValue(last);
  usePacked(group, createPack(b, group.first(), weights));
}

//===----------------------------------------------------------------------===//
// Functions that pack
//===----------------------------------------------------------------------===//

/// A function of the parameters of `source` that returns the packed weights.
static func::FuncOp createPackFunction(const Group &group, const Source &source,
                                       func::FuncOp entry) {
  Location loc = group.first().getLoc();
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  for (BlockArgument param : source.params) {
    types.push_back(param.getType());
    attributes.push_back(entry.getArgAttrDict(param.getArgNumber()));
  }
  auto function = func::FuncOp::create(
      loc, entry.getName(), FunctionType::get(entry.getContext(), types, {}));
  function.setAllArgAttrs(attributes);
  Block *body = function.addEntryBlock();
  OpBuilder b = OpBuilder::atBlockEnd(body);
  IRMapping map;
  map.map(source.params.getArrayRef(), body->getArguments());
  for (Operation *op : source.ops)
    b.clone(*op, map);
  SmallVector<Value> weights;
  for (Value weight : group.first().getWeights())
    weights.push_back(map.lookup(weight));
  Value packed = createPack(b, group.first(), weights);
  func::ReturnOp::create(b, loc, packed);
  function.setFunctionType(
      FunctionType::get(entry.getContext(), types, packed.getType()));
  return function;
}

static bool computeTheSame(func::FuncOp a, func::FuncOp b) {
  return a.getFunctionType() == b.getFunctionType() &&
         a.getAllArgAttrs() == b.getAllArgAttrs() &&
         OperationEquivalence::isRegionEquivalentTo(
             &a.getBody(), &b.getBody(), OperationEquivalence::IgnoreLocations);
}

/// What the loader of a model must know to fill a packed argument.
static DictionaryAttr describePacked(func::FuncOp pack) {
  Builder b(pack.getContext());
  SmallVector<Attribute> names;
  for (unsigned i = 0; i < pack.getNumArguments(); ++i)
    names.push_back(pack.getArgAttr(i, kParamAttr));
  auto packed = b.getDictionaryAttr(
      {b.getNamedAttr("function", b.getStringAttr(pack.getName())),
       b.getNamedAttr("params", b.getArrayAttr(names))});
  return b.getDictionaryAttr(b.getNamedAttr(kPackedAttr, packed));
}

/// Erases what only the unpacked weights needed: ops, then arguments.
static void eraseUnused(func::FuncOp entry, ArrayRef<Source> sources) {
  // A source has all that its ops depend on, so that the union, too, is in
  // program order.
  SetVector<Operation *> ops;
  for (const Source &source : sources)
    ops.insert_range(source.ops);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty())
      op->erase();
  BitVector erased(entry.getNumArguments());
  for (const Source &source : sources)
    for (BlockArgument param : source.params)
      if (param.use_empty())
        erased.set(param.getArgNumber());
  (void)entry.eraseArguments(erased);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct PackWeights : moe::impl::PackWeightsBase<PackWeights> {
  void runOnOperation() override {
    packFunctions.clear();
    SymbolTable symbols(getOperation());
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp function : functions) {
      if (function.isDeclaration())
        continue;
      FailureOr<SmallVector<Group>> groups = collectGroups(function);
      if (failed(groups))
        return signalPassFailure();
      numPacked += groups->size();
      pack(function, *groups, symbols);
    }
  }

  void pack(func::FuncOp function, ArrayRef<Group> groups,
            SymbolTable &symbols) {
    // Who calls an entry passes the arguments that it has now.
    bool isEntry = function.isPublic() &&
                   SymbolTable::symbolKnownUseEmpty(function, getOperation());
    DominanceInfo dominance(function);
    SmallVector<Source> sources;
    for (const Group &group : groups) {
      std::optional<Source> source;
      if (isEntry)
        source = findSource(group, function);
      if (!source) {
        packInPlace(group, dominance);
        continue;
      }
      func::FuncOp pack = insert(createPackFunction(group, *source, function),
                                 function, symbols);
      unsigned index = function.getNumArguments();
      (void)function.insertArgument(index, pack.getResultTypes().front(),
                                    describePacked(pack),
                                    group.first().getLoc());
      usePacked(group, function.getArgument(index));
      sources.push_back(std::move(*source));
    }
    eraseUnused(function, sources);
  }

  /// Adds `pack` to the module as `<entry>.pack.<i>`, unless a function that
  /// computes the same is there.
  func::FuncOp insert(func::FuncOp pack, func::FuncOp entry,
                      SymbolTable &symbols) {
    for (func::FuncOp earlier : packFunctions)
      if (computeTheSame(earlier, pack)) {
        pack.erase();
        return earlier;
      }
    std::string name;
    int64_t i = 0;
    do
      name = (entry.getName() + ".pack." + Twine(i++)).str();
    while (symbols.lookup(name));
    pack.setName(name);
    symbols.insert(pack);
    packFunctions.push_back(pack);
    ++numFunctions;
    return pack;
  }

  SmallVector<func::FuncOp> packFunctions;
};
} // namespace
