// Kernels and their launches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Kernel.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

using namespace mlir;
using namespace mlir::moe;

/// The name of dynamic shared memory. A zero-sized external global is what
/// NVPTX emits as `.extern .shared`; gpu.dynamic_shared_memory would become a
/// static variable of one byte, into which static ones are then laid.
static constexpr StringLiteral kSharedMemory = "moe_shared";

static gpu::GPUModuleOp getKernelModule(ModuleOp module) {
  if (auto kernels = module.lookupSymbol<gpu::GPUModuleOp>(kKernelModule))
    return kernels;
  OpBuilder b(module.getBodyRegion());
  module->setAttr(gpu::GPUDialect::getContainerModuleAttrName(),
                  b.getUnitAttr());
  auto kernels =
      gpu::GPUModuleOp::create(b, module.getLoc(), kKernelModule.str());
  b.setInsertionPointToStart(kernels.getBody());
  auto bytes = LLVM::LLVMArrayType::get(b.getI8Type(), 0);
  LLVM::GlobalOp::create(b, module.getLoc(), bytes, /*isConstant=*/false,
                         LLVM::Linkage::External, kSharedMemory, Attribute(),
                         /*alignment=*/1024,
                         static_cast<unsigned>(Space::Shared));
  return kernels;
}

Kernel::Kernel(OpBuilder &host, Operation *op, StringRef name)
    : host(host), op(op), name(name) {}

unsigned Kernel::pointer(Value memref) {
  Location loc = op->getLoc();
  auto type = cast<MemRefType>(memref.getType());
  // The aligned pointer is that of the allocation: a view starts further on.
  auto metadata = memref::ExtractStridedMetadataOp::create(host, loc, memref);
  Value base =
      memref::ExtractAlignedPointerAsIndexOp::create(host, loc, memref);
  Value size = arith::ConstantIndexOp::create(
      host, loc, type.getElementTypeBitWidth() / 8);
  Value bytes =
      host.createOrFold<arith::MulIOp>(loc, metadata.getOffset(), size);
  Value address = host.createOrFold<arith::AddIOp>(loc, base, bytes);
  Value word =
      arith::IndexCastOp::create(host, loc, host.getI64Type(), address);
  arguments.push_back(LLVM::IntToPtrOp::create(
      host, loc,
      LLVM::LLVMPointerType::get(host.getContext(),
                                 static_cast<unsigned>(Space::Global)),
      word));
  return arguments.size() - 1;
}

unsigned Kernel::size(Value index) {
  arguments.push_back(host.createOrFold<arith::IndexCastOp>(
      op->getLoc(), host.getI32Type(), index));
  return arguments.size() - 1;
}

unsigned Kernel::size(Value memref, int64_t dimension, int64_t minus) {
  return size(dim(memref, dimension, minus));
}

Value Kernel::dim(Value memref, int64_t dimension, int64_t minus) {
  Location loc = op->getLoc();
  Value extent = host.createOrFold<memref::DimOp>(loc, memref, dimension);
  if (minus == 0)
    return extent;
  Value less = arith::ConstantIndexOp::create(host, loc, minus);
  return host.createOrFold<arith::SubIOp>(loc, extent, less);
}

unsigned Kernel::scalar(Value value) {
  arguments.push_back(value);
  return arguments.size() - 1;
}

gpu::LaunchFuncOp
Kernel::emit(const Shape &shape,
             function_ref<void(KernelBuilder &, ValueRange)> body) {
  Location loc = op->getLoc();
  gpu::GPUModuleOp kernels = getKernelModule(op->getParentOfType<ModuleOp>());
  KernelBuilder b(loc, OpBuilder::atBlockEnd(kernels.getBody()));
  auto type = b.getFunctionType(ValueRange(arguments).getTypes(), {});
  auto function = b.make<gpu::GPUFuncOp>(name, type);
  SymbolTable(kernels).insert(function);
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(), b.getUnitAttr());
  // Registers are handed out by it.
  function.setKnownBlockSizeAttr(
      b.getDenseI32ArrayAttr({static_cast<int32_t>(shape.threads), 1, 1}));
  if (shape.residentBlocks != 0)
    function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                      b.getI32IntegerAttr(shape.residentBlocks));
  b.setInsertionPointToStart(&function.getBody().front());
  body(b, function.getArguments());
  b.make<gpu::ReturnOp>();

  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(host, loc, value);
  };
  Value one = index(1);
  gpu::KernelDim3 grid{shape.gridX, shape.gridY ? shape.gridY : one, one};
  gpu::KernelDim3 block{index(shape.threads), one, one};
  std::optional<gpu::KernelDim3> cluster;
  if (shape.cluster)
    cluster = gpu::KernelDim3{index(shape.cluster), one, one};
  Value shared = arith::ConstantIntOp::create(host, loc, host.getI32Type(),
                                              shape.sharedBytes);
  if (shape.sharedSize)
    shared = host.createOrFold<arith::IndexCastOp>(loc, host.getI32Type(),
                                                   shape.sharedSize);
  auto launch = gpu::LaunchFuncOp::create(host, loc, function, grid, block,
                                          shared, arguments,
                                          /*asyncTokenType=*/nullptr,
                                          /*asyncDependencies=*/{}, cluster);
  if (shape.cooperative)
    launch->setAttr(kCooperative, host.getUnitAttr());
  return launch;
}

Value Kernel::sharedMemory(KernelBuilder &b) {
  return b.make<LLVM::AddressOfOp>(b.pointerType(Space::Shared), kSharedMemory);
}
