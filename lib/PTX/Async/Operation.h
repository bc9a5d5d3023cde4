// A bulk operation in flight.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_OPERATION_H
#define PTX_ASYNC_OPERATION_H

#include "Async/Reduction.h"
#include "Machine/Block.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ptx::async {

/// Bytes that an operation moves from one place to another.
struct Piece {
  const std::byte *from = nullptr; ///< null: filled
  std::byte *to = nullptr;
  uint32_t bytes = 0;
  uint32_t padding = 0;        ///< bytes behind them that become undefined
  Space space = Space::Shared; ///< of the destination
  Block *block = nullptr;      ///< whose shared memory it is
  uint64_t address = 0;        ///< there: offset, or global address
};

/// What an operation tells an mbarrier when it is complete.
struct Signal {
  Block *owner = nullptr;
  uint32_t offset = 0;
  int64_t bytes = 0;
};

struct Operation {
  static constexpr uint64_t kNoGroup = ~uint64_t{0};

  const Instruction *instruction = nullptr;
  Warp *warp = nullptr;
  unsigned lane = 0;
  uint64_t group = kNoGroup; ///< bulk group of the lane, or signals
  std::vector<Piece> pieces;
  std::vector<Signal> signals;
  Combine combine = Combine::Copy;
  Element element = Element::B8;
  uint16_t fill = 0;       ///< halves that fill pieces without a source
  bool roundsTF32 = false; ///< loads of tf32 tensors
  /// Stores of 6-bit elements: 12 bytes of a piece come from 16, of which each
  /// has one element in its low bits.
  bool packsSixBits = false;
  bool bytesMasked = false;
  uint16_t byteMask = 0xffff; ///< of each 16 bytes (.cp_mask)

  bool read = false, done = false;

  /// Takes the sources as they are now.
  void readSources();
  /// The source is not memory but these bytes, in the order of the pieces.
  void provide(const std::byte *data, size_t bytes);
  /// Writes the results; reads the sources if that was not done.
  void writeResults();
  /// Makes destinations garbage (only plain copies into shared memory).
  void spoil(Observer *observer);

private:
  std::vector<std::byte> buffer;
};

} // namespace ptx::async

#endif // PTX_ASYNC_OPERATION_H
