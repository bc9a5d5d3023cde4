// Matrices that wgmma reads from shared memory.
//
// A matrix lies in "core matrices" of eight rows by 16 bytes. What the two
// offsets of a descriptor mean depends on the layout:
//
//   K contiguous, no swizzle   leading: next 16 bytes along K;
//                              stride: next eight rows
//   K contiguous, swizzled     stride: next eight rows, each of which takes
//                              the swizzle width; leading is not used
//   rows contiguous, none      stride: next eight rows;
//                              leading: next eight k
//   rows contiguous, swizzled  leading: next rows, as many as fill the swizzle
//                              width; stride: next eight k
//
// A swizzle exchanges 16-byte units by the address bits above: the same
// function as that of the tensor copies which fill the memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/SharedMatrix.h"

#include <cstring>

namespace ptx::tensor {

MatrixDescriptor MatrixDescriptor::decode(uint64_t bits) {
  constexpr unsigned widths[] = {0, 128, 64, 32};
  MatrixDescriptor d;
  d.start = static_cast<uint32_t>(bits & 0x3fff) << 4;
  d.leading = static_cast<uint32_t>(bits >> 16 & 0x3fff) << 4;
  d.stride = static_cast<uint32_t>(bits >> 32 & 0x3fff) << 4;
  d.base = bits >> 49 & 7;
  d.swizzle = widths[bits >> 62];
  return d;
}

uint32_t MatrixTile::addressOf(unsigned row, unsigned k) const {
  const MatrixDescriptor &d = descriptor;
  uint32_t offset;
  if (!transposed) {
    const unsigned byte = k * elementBytes;
    offset = row / 8 * d.stride;
    if (d.swizzle)
      offset += row % 8 * d.swizzle + byte;
    else
      offset += byte / 16 * d.leading + row % 8 * 16 + byte % 16;
  } else {
    const unsigned byte = row * elementBytes;
    if (d.swizzle)
      offset = byte / d.swizzle * d.leading + k / 8 * d.stride +
               k % 8 * d.swizzle + byte % d.swizzle;
    else
      offset =
          k / 8 * d.leading + k % 8 * 16 + byte / 16 * d.stride + byte % 16;
  }
  uint32_t address = d.start + offset;
  if (d.swizzle)
    address ^= (address >> 7 & (d.swizzle / 16 - 1)) << 4;
  return address;
}

bool readTile(const MatrixTile &tile, const std::byte *shared, uint64_t size,
              unsigned rows, unsigned words, uint32_t *out, uint32_t &outside) {
  constexpr unsigned run = MatrixTile::kRun;
  if (!tile.transposed) {
    const unsigned perRun = run / tile.elementBytes;
    for (unsigned row = 0; row < rows; ++row)
      for (unsigned w = 0; w < words; w += run / 4) {
        uint32_t address = tile.addressOf(row, w / 4 * perRun);
        if (address + run > size) {
          outside = address;
          return false;
        }
        std::memcpy(out + row * words + w, shared + address, run);
      }
    return true;
  }
  // Two bytes an element: only those can be transposed.
  const unsigned perRun = run / 2;
  for (unsigned k = 0; k < 2 * words; ++k)
    for (unsigned row = 0; row < rows; row += perRun) {
      uint32_t address = tile.addressOf(row, k);
      if (address + run > size) {
        outside = address;
        return false;
      }
      uint16_t elements[perRun];
      std::memcpy(elements, shared + address, run);
      for (unsigned i = 0; i < perRun; ++i) {
        uint32_t &word = out[(row + i) * words + k / 2];
        word =
            k % 2 ? (word & 0xffff) | uint32_t{elements[i]} << 16 : elements[i];
      }
    }
  return true;
}

} // namespace ptx::tensor
