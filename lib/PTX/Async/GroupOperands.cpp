// What a wgmma reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/GroupOperands.h"

#include "Machine/Memory.h"

namespace ptx::async {
namespace {

using namespace tensor;

/// Lets observers see what a warp reads of one matrix, 16 bytes at a time, and
/// finds the rows with undefined bytes.
class TileAccess {
public:
  TileAccess(Warp &warp, const Instruction &in, const MatrixTile &tile)
      : warp(warp), tile(tile) {
    access.instruction = &in;
    access.warp = &warp;
    access.space = Space::Shared;
    access.kind = AccessKind::BulkSource;
    access.bytes = MatrixTile::kRun;
    access.elementBytes = 4;
    access.address = address;
    access.loadedPoison = warp.poison ? poison : nullptr;
  }

  /// Rows [from, to) by \p words words.
  void add(unsigned from, unsigned to, unsigned words) {
    const unsigned perRun = MatrixTile::kRun / tile.elementBytes;
    const unsigned depth = words * 4 / tile.elementBytes;
    if (tile.transposed) {
      for (unsigned k = 0; k < depth; ++k)
        for (unsigned row = from; row < to; row += perRun)
          addRun(tile.addressOf(row, k), row);
    } else {
      for (unsigned row = from; row < to; ++row)
        for (unsigned k = 0; k < depth; k += perRun)
          addRun(tile.addressOf(row, k), row);
    }
    flush();
  }

  std::bitset<256> undefined; ///< rows

private:
  void addRun(uint32_t at, unsigned row) {
    rows[filled] = row;
    address[filled++] = at;
    if (filled == kLanes)
      flush();
  }

  void flush() {
    if (!filled)
      return;
    access.lanes = filled == kLanes ? kAllLanes : (1u << filled) - 1;
    for (LaneMask &mask : poison)
      mask = 0;
    warp.observeAccess(access);
    for (unsigned word = 0; word < 4; ++word)
      forEachLane(poison[word] & access.lanes, [&](unsigned l) {
        undefined.set(rows[l] + (tile.transposed ? 2 * word : 0));
        if (tile.transposed)
          undefined.set(rows[l] + 2 * word + 1);
      });
    filled = 0;
  }

  Warp &warp;
  const MatrixTile &tile;
  Access access;
  uint64_t address[kLanes];
  unsigned rows[kLanes];
  LaneMask poison[4];
  unsigned filled = 0;
};

/// A descriptor we can follow.
MatrixTile checkedTile(Warp &warp, const Instruction &in,
                       const WgmmaShape &shape, bool ofB, uint64_t descriptor) {
  MatrixTile tile = shape.tileOf(ofB, descriptor);
  if (tile.descriptor.base)
    warp.fail(FindingKind::IllegalInstruction, in, warp.active,
              "matrix descriptors with a base offset are not modelled: align "
              "the matrix to the repetition of its swizzle");
  return tile;
}

} // namespace

UndefinedLines readGroupOperands(Warp &warp, const Instruction &in,
                                 const GroupMmaInfo &info, uint64_t a,
                                 uint64_t b) {
  const WgmmaShape &shape = info.shape;
  UndefinedLines lines;
  const MatrixTile tileB = checkedTile(warp, in, shape, true, b);
  if (warp.observed) {
    TileAccess access(warp, in, tileB);
    access.add(0, shape.n, shape.words());
    lines.columns = access.undefined;
  }
  if (shape.sparse && warp.poison) {
    const LaneMask metadata = readPoison(warp, in, info.metadata, 0);
    lines.addRows(metadata, 0);
    lines.addRows(metadata, 8);
  }
  if (shape.aInRegisters) {
    for (unsigned i = 0; warp.poison && i < 4; ++i)
      lines.addRows(readPoison(warp, in, info.a + i, 0), 8 * (i % 2));
    return lines;
  }
  const MatrixTile tileA = checkedTile(warp, in, shape, false, a);
  if (warp.observed) {
    const unsigned first = warp.index % kGroupWarps * kRows;
    TileAccess access(warp, in, tileA);
    access.add(first, first + kRows, shape.wordsOfA());
    for (unsigned r = 0; r < kRows; ++r)
      lines.rows[r] = lines.rows[r] || access.undefined[first + r];
  }
  return lines;
}

} // namespace ptx::async
