// A bulk operation in flight.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/Operation.h"

#include "Async/AsyncEngine.h"

#include <cstring>

namespace ptx::async {
namespace {

/// f32 to the nearest tf32; what ties do is not recorded.
void roundTF32(std::byte *data, uint32_t bytes) {
  for (uint32_t i = 0; i + 4 <= bytes; i += 4) {
    uint32_t x;
    std::memcpy(&x, data + i, 4);
    x = (x + 0x1000) & 0xffffe000;
    std::memcpy(data + i, &x, 4);
  }
}

/// The low six bits of each of 16 bytes in 12.
void packSixBits(std::byte *out, const std::byte *from, uint32_t bytes) {
  std::byte packed[12] = {};
  for (unsigned e = 0; e < 16; ++e) {
    const unsigned value = static_cast<unsigned>(from[e]) & 0x3f;
    const unsigned at = 6 * e, byte = at / 8;
    packed[byte] |= static_cast<std::byte>(value << at % 8);
    if (at % 8 > 2)
      packed[byte + 1] |= static_cast<std::byte>(value >> (8 - at % 8));
  }
  std::memcpy(out, packed, bytes);
}

} // namespace

void Operation::readSources() {
  if (read)
    return;
  read = true;
  size_t total = 0;
  for (const Piece &piece : pieces)
    total += piece.bytes;
  buffer.resize(total);
  size_t at = 0;
  for (const Piece &piece : pieces) {
    std::byte *out = buffer.data() + at;
    if (piece.from && packsSixBits) {
      packSixBits(out, piece.from, piece.bytes);
    } else if (piece.from) {
      std::memcpy(out, piece.from, piece.bytes);
      if (roundsTF32)
        roundTF32(out, piece.bytes);
    } else {
      for (uint32_t i = 0; i < piece.bytes; ++i)
        out[i] = static_cast<std::byte>(fill >> 8 * (i % 2));
    }
    at += piece.bytes;
  }
}

void Operation::provide(const std::byte *data, size_t bytes) {
  buffer.assign(data, data + bytes);
  read = true;
}

void Operation::writeResults() {
  readSources();
  size_t at = 0;
  Observer *observer = warp->block->machine->observer;
  for (const Piece &piece : pieces) {
    const std::byte *from = buffer.data() + at;
    at += piece.bytes;
    if (combine != Combine::Copy) {
      reduce(combine, element, piece.to, from, piece.bytes);
    } else if (bytesMasked) {
      for (uint32_t i = 0; i < piece.bytes; ++i)
        if (byteMask >> i % 16 & 1)
          piece.to[i] = from[i];
    } else {
      std::memcpy(piece.to, from, piece.bytes);
    }
    if (piece.padding)
      std::memset(piece.to + piece.bytes, kGarbage, piece.padding);
    if (!observer || combine != Combine::Copy)
      continue;
    observer->onDefined(piece.block, piece.space, piece.address,
                        piece.bytes + piece.padding);
    if (piece.padding)
      observer->onPadding(*piece.block, piece.address + piece.bytes,
                          piece.padding);
  }
  buffer = {};
}

void Operation::spoil(Observer *observer) {
  if (combine != Combine::Copy || bytesMasked)
    return;
  for (const Piece &piece : pieces) {
    if (piece.space == Space::Shared)
      std::memset(piece.to, kGarbage, piece.bytes + piece.padding);
    if (observer)
      observer->onUndefined(piece.block, piece.space, piece.address,
                            piece.bytes + piece.padding);
  }
}

} // namespace ptx::async
