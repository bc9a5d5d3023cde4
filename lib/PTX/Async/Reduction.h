// Arithmetic of asynchronous reductions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_REDUCTION_H
#define PTX_ASYNC_REDUCTION_H

#include <cstddef>
#include <cstdint>

namespace ptx::async {

enum class Combine : uint8_t { Copy, Add, Min, Max, Inc, Dec, And, Or, Xor };

/// Elements as the arithmetic sees them.
enum class Element : uint8_t {
  B8,
  U32,
  S32,
  U64,
  S64,
  F16,
  BF16,
  F32,
  F32Ftz,
  F64,
};
unsigned byteSize(Element element);
/// True if \p element can be combined so.
bool supports(Combine combine, Element element);

/// memory[i] = memory[i] op operand[i] for \p bytes bytes of elements.
void reduce(Combine combine, Element element, std::byte *memory,
            const std::byte *operand, uint32_t bytes);

} // namespace ptx::async

#endif // PTX_ASYNC_REDUCTION_H
