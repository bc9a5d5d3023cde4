// Constants of the host's code, in the memory of the device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ElementwiseToGPU.h"
#include "Kernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "moe/Conversion/MoEToGPU.h"

using namespace mlir;
using namespace mlir::moe;

/// More elements are data and not code: the text of the kernels would grow by
/// as much.
static constexpr int64_t kMostElements = 1 << 16;

/// The elements of a constant as PTX can hold them, in one dimension; null if
/// it cannot.
static DenseElementsAttr elementsOf(memref::GlobalOp global) {
  auto values =
      dyn_cast_or_null<DenseElementsAttr>(global.getInitialValueAttr());
  if (!values || !global.getConstant() ||
      values.getNumElements() > kMostElements)
    return {};
  Type element = values.getElementType();
  if (!element.isIntOrFloat() || element.getIntOrFloatBitWidth() % 8 != 0)
    return {};
  return values.reshape(
      RankedTensorType::get({values.getNumElements()}, element));
}

/// A copy of a constant, made by a kernel that has it.
static Value createCopy(memref::GetGlobalOp get, DenseElementsAttr values) {
  OpBuilder host(get);
  Location loc = get.getLoc();
  Type element = values.getElementType();
  int64_t count = values.getNumElements();
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  auto type = MemRefType::get(get.getType().getShape(), element);
  Value copy = memref::AllocOp::create(host, loc, type);
  if (count == 0)
    return copy;
  Kernel kernel(host, get, "constant");
  kernel.pointer(copy);
  Kernel::Shape shape;
  shape.threads = 128;
  int64_t blocks = llvm::divideCeil(count, shape.threads);
  shape.gridX = arith::ConstantIndexOp::create(host, loc, blocks);
  kernel.emit(shape, [&](KernelBuilder &b, ValueRange arguments) {
    auto array = LLVM::LLVMArrayType::get(element, count);
    auto module = b.getInsertionBlock()->getParentOp()->getParentOp();
    OpBuilder atStart(module->getRegion(0));
    auto global = LLVM::GlobalOp::create(
        atStart, loc, array, /*isConstant=*/true, LLVM::Linkage::Internal,
        get.getName(), values, /*alignment=*/16,
        static_cast<unsigned>(Space::Global));
    SymbolTable(module).insert(global);
    Value from = b.make<LLVM::AddressOfOp>(b.pointerType(Space::Global),
                                           global.getSymName());
    Value i = b.add(b.mul(b.blockId(), shape.threads), b.threadId());
    b.when(b.less(i, count), [&] {
      Value value = b.load(element, b.element(from, i, bytes));
      b.store(value, b.element(arguments[0], i, bytes));
    });
  });
  return copy;
}

void mlir::moe::convertConstantsToGPU(ModuleOp module) {
  SymbolTable symbols(module);
  SmallVector<memref::GetGlobalOp> gets;
  module.walk([&](memref::GetGlobalOp get) { gets.push_back(get); });
  for (memref::GetGlobalOp get : gets) {
    auto global = symbols.lookup<memref::GlobalOp>(get.getName());
    DenseElementsAttr values = global ? elementsOf(global) : nullptr;
    if (!values || !isa<FunctionOpInterface>(get->getParentOp()))
      continue;
    get.replaceAllUsesWith(createCopy(get, values));
    get.erase();
    if (SymbolTable::symbolKnownUseEmpty(global, module))
      symbols.erase(global);
  }
}
