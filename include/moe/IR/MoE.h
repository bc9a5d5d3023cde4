// The moe dialect: types, attributes, ops.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_IR_MOE_H
#define MOE_IR_MOE_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

// Order matters: dialect, enums, attributes (use enums), types (use enums),
// ops (use all).
#include "moe/IR/MoEDialect.h.inc"
#include "moe/IR/MoEEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "moe/IR/MoEAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "moe/IR/MoETypes.h.inc"

namespace mlir::moe {
/// The four fields of a plan, in the order in which a plan is expanded.
inline constexpr Field kFields[] = {Field::ExpertOffsets, Field::RowToken,
                                    Field::TokenOffsets, Field::TokenRow};

/// Argument attribute of a weight: its name in the weights file.
inline constexpr llvm::StringLiteral kParamAttr = "moe.param";
/// Argument attribute of a packed weight: the function that packs it and the
/// names of that function's arguments.
inline constexpr llvm::StringLiteral kPackedAttr = "moe.packed";
/// Attribute of a declaration that an importer made: what it stands for.
inline constexpr llvm::StringLiteral kMarkerAttr = "moe.marker";

namespace detail {
/// Effects of moe.idx.*: none on tensors; on memrefs, inputs are read and outs
/// are written.
void getIdxEffects(
    DestinationStyleOpInterface op,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects);
} // namespace detail
} // namespace mlir::moe

#define GET_OP_CLASSES
#include "moe/IR/MoEOps.h.inc"

#endif // MOE_IR_MOE_H
