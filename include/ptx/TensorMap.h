// Descriptions of tensors for bulk copies.
//
// What cuTensorMapEncodeTiled makes: 128 opaque bytes that a kernel gets as a
// `__grid_constant__` parameter, or builds itself with tensormap.replace.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSORMAP_H
#define PTX_TENSORMAP_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ptx {

/// Element types, numbered as CUtensorMapDataType.
enum class TensorElement : uint8_t {
  U8,
  U16,
  U32,
  S32,
  U64,
  S64,
  F16,
  F32,
  F64,
  BF16,
  F32Ftz,
  TF32,
  TF32Ftz,
  B4x16,       ///< packed, two a byte (16U4_ALIGN8B)
  B4x16Padded, ///< loads put 8 bytes behind 16 of them (16U4_ALIGN16B)
  B6x16Padded, ///< loads put 4 bytes behind 16 of them (16U6_ALIGN16B)
};
/// Bits of an element in global memory, where all are packed.
unsigned bitSize(TensorElement element);
/// True for those of which 16 take 16 bytes of shared memory.
bool isPadded(TensorElement element);
/// "u8", "f32ftz", "b4x16_p64" ...; throws Error for a name that is none.
TensorElement tensorElementNamed(std::string_view name);

/// One tensor in global memory and the box a copy moves. Dimension 0 is the
/// innermost, contiguous one.
struct TensorMap {
  static constexpr unsigned kBytes = 128;

  TensorElement element = TensorElement::U8;
  unsigned rank = 1;    ///< 1 to 5
  uint64_t address = 0; ///< of the tensor, a multiple of 16; padded: of 32
  std::array<uint64_t, 5> size{1, 1, 1, 1, 1}; ///< elements, 1 to 2^32
  /// Bytes from one element to the next along dimensions 1 to 4: multiples of
  /// 16 (padded: 32) below 2^40.
  std::array<uint64_t, 4> stride{};
  std::array<uint32_t, 5> box{1, 1, 1, 1, 1};           ///< elements, 1 to 256
  std::array<uint32_t, 5> elementStride{1, 1, 1, 1, 1}; ///< 1 to 8
  unsigned swizzle = 0; ///< bytes: 0, 32, 64, 96 (sm_103 only) or 128
  unsigned atomicity =
      16; ///< bytes a swizzle keeps together: 16; 32, 64 of 128
  /// With an atomicity of 32: each second line of 128 bytes exchanges the
  /// halves of its pieces of 16 bytes.
  bool flips = false;
  unsigned interleave = 0; ///< bytes: only 0 is modelled
  bool nanFill = false;    ///< outside the tensor: NaN instead of zero

  /// Bytes of a row of the box in global memory.
  uint32_t packedRow() const { return box[0] * bitSize(element) / 8; }
  /// The same in shared memory, without the padding of a swizzle.
  uint32_t sharedRow() const {
    return isPadded(element) ? box[0] : packedRow();
  }

  /// Checks everything cuTensorMapEncodeTiled checks; throws Error naming the
  /// field that is wrong.
  void validate() const;
  /// The opaque bytes, after validate().
  std::array<std::byte, kBytes> encode() const;
  /// Reads them back without checking: a kernel may have written them.
  static TensorMap decode(const std::byte *bytes);
};

} // namespace ptx

#endif // PTX_TENSORMAP_H
