// Reading attributes of dialects that are not registered here.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_LIB_IMPORT_OPAQUEFIELDS_H
#define MOE_LIB_IMPORT_OPAQUEFIELDS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"

namespace mlir::moe {

/// The fields of an attribute like
///
///     #stablehlo.scatter<inserted_window_dims = [0], index_vector_dim = 1>
///
/// whose dialect is not registered, so that MLIR keeps its text alone: a
/// mnemonic and, between angle brackets, `name = attribute` pairs. The values
/// are builtin attributes, which MLIR parses.
class OpaqueFields {
public:
  /// Reads `attribute`, which must be #dialect.mnemonic<...>. `emitError` says
  /// where the attribute stands.
  static FailureOr<OpaqueFields>
  parse(Attribute attribute, StringRef dialect, StringRef mnemonic,
        llvm::function_ref<InFlightDiagnostic()> emitError);

  ArrayRef<std::pair<StringRef, Attribute>> getFields() const { return fields; }

private:
  SmallVector<std::pair<StringRef, Attribute>> fields;
};

/// An array of integers, either `array<i64: 0, 1>` or `[0, 1]`; nothing if
/// `attribute` is neither.
std::optional<SmallVector<int64_t>> readIntegers(Attribute attribute);

} // namespace mlir::moe

#endif // MOE_LIB_IMPORT_OPAQUEFIELDS_H
