// The float types of logits and gates.
//
// Logits come as f32, bf16 or f16 and are converted to f32 without loss; gates
// are rounded once, to nearest even, into the same three types. Both are bit
// operations, so that no compiler flag or CPU mode can change them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_ROUTING_ELEMENT_H
#define MOE_ROUTING_ELEMENT_H

#include <cstddef>
#include <cstdint>

namespace moe::routing {

enum class ElementType : uint8_t { F32, BF16, F16 };

/// Bytes of one element.
size_t byteWidth(ElementType type);

/// The exact f32 value of a bf16 or f16 number, given by its bits. A NaN keeps
/// its payload and becomes quiet.
float widenBF16(uint16_t bits);
float widenF16(uint16_t bits);

/// Round to nearest even; overflow gives infinity, a NaN stays one (quiet).
/// f16 subnormals are produced, whatever the CPU's flush-to-zero setting says.
uint16_t roundToBF16(float value);
uint16_t roundToF16(float value);

/// Element `index` of `data` as f32.
float loadElement(const void *data, ElementType type, int64_t index);

/// Elements [first, first + count) of `data` as f32.
void loadElements(const void *data, ElementType type, int64_t first,
                  int64_t count, float *out);

/// Rounds `count` f32 values into `out`, an array of `type`.
void storeElements(const float *values, int64_t count, ElementType type,
                   void *out);

} // namespace moe::routing

#endif // MOE_ROUTING_ELEMENT_H
