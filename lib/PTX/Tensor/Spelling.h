// Shapes and formats as instructions spell them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_SPELLING_H
#define PTX_TENSOR_SPELLING_H

#include "Isa/IsaTable.h"
#include "Tensor/Fragment.h"

#include <string_view>
#include <vector>

namespace ptx::tensor {

/// ".f16" ...; throws Error for a type that is no format.
Format formatOf(Type type);
Accumulator accumulatorOf(Type type);

/// m, n and k of a modifier ".m16n8k16"; false if it is no shape.
bool parseShape(std::string_view modifier, unsigned &m, unsigned &n,
                unsigned &k);

/// What the modifiers of a row say.
struct Spelling {
  unsigned m = 0, n = 0, k = 0;
  std::vector<Type> types; ///< in the order written
  std::vector<bool> rows;  ///< `.row` true, `.col` false, in the order written
};
Spelling spellingOf(const Row &row);

/// True if the row needs \p modifier.
bool hasModifier(const Row &row, std::string_view modifier);

/// The register an accumulator's element (f16: a pair) is written in.
Type registerTypeOf(Accumulator accumulator);

} // namespace ptx::tensor

#endif // PTX_TENSOR_SPELLING_H
