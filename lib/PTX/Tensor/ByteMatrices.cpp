// Ldmatrix and stmatrix of bytes.
//
// A lane gives the address of one row: sixteen bytes, or sixteen packed
// elements of six or four bits with padding behind them, each of which becomes
// the low bits of a byte. In every register byte i of lane 4 r + t is
//
// - ldmatrix m8n16: element 4 t + i of row r, a register a matrix;
// - ldmatrix m16n16, transposed: element r of row 4 t + i, and in the second
//   of a matrix's two registers element r + 8;
// - stmatrix m16n8, transposed: element r + 8 (i / 2) of row 2 t + i % 2, as
//   accumulators of mma lie.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/ByteMatrices.h"

#include "Decode/DecodeContext.h"
#include "Machine/PoisonPlan.h"
#include "Tensor/MatrixMoves.h"

#include <cstring>

namespace ptx::tensor {
namespace {

constexpr unsigned kElements = 16; ///< of a row

/// Instruction::extra.
struct ByteMove {
  MatrixMove rows;
  unsigned bits = 8; ///< of an element in memory
};

/// The rows in memory of one instruction, an element a byte, and which are
/// undefined.
struct ByteRows {
  uint8_t element[kLanes][kElements] = {};
  bool undefined[kLanes][kElements] = {};
};

/// Element \p e of a packed row.
uint8_t elementOf(const std::byte *row, unsigned bits, unsigned e) {
  const unsigned at = bits * e, byte = at / 8;
  unsigned word = static_cast<unsigned>(row[byte]);
  if (byte + 1 < kMatrixRowBytes)
    word |= static_cast<unsigned>(row[byte + 1]) << 8;
  return static_cast<uint8_t>(word >> at % 8 & ((1u << bits) - 1));
}

/// Unpacks the row of \p lane. \p poison: the lanes with each word undefined.
void unpack(const std::byte *row, unsigned bits, unsigned lane,
            const LaneMask *poison, ByteRows &out) {
  for (unsigned e = 0; e < kElements; ++e) {
    out.element[lane][e] = elementOf(row, bits, e);
    const unsigned first = bits * e / 32, last = (bits * e + bits - 1) / 32;
    out.undefined[lane][e] = (poison[first] | poison[last]) >> lane & 1;
  }
}

/// The row (as a lane) and the element of byte \p i of a register.
struct Place {
  unsigned row, element;
};
Place placeOfLoad(const ByteMove &move, unsigned reg, unsigned lane,
                  unsigned i) {
  const unsigned r = lane / 4, column = 4 * (lane % 4) + i;
  if (!move.rows.transposed)
    return {8 * reg + r, column};
  return {16 * (reg / 2) + column, r + 8 * (reg % 2)};
}

} // namespace

void decodeByteMatrices(DecodeContext &context, Instruction &in) {
  ByteMove move;
  move.rows.count = context.has(".x4") ? 4 : context.has(".x2") ? 2 : 1;
  move.rows.transposed = context.has(".trans");
  if (context.has(".m16n16"))
    move.rows.count *= 2;
  move.bits = context.has(".b4x16_p64") ? 4 : context.has(".b6x16_p32") ? 6 : 8;
  if (!context.option("space").empty())
    move.rows.space = Space::Shared;
  in.extra = context.keep(move);
}

void handleLoadBytes(Warp &warp, const Instruction &in) {
  const auto &move = *static_cast<const ByteMove *>(in.extra);
  MatrixRows given;
  reachForLoad(warp, in, move.rows, given);
  ByteRows rows;
  forEachLane(given.lanes, [&](unsigned lane) {
    unpack(given.pointer[lane], move.bits, lane, given.poison, rows);
  });
  for (unsigned reg = 0; reg < in.resultCount; ++reg) {
    if (in.operand[reg] == kNoSlot)
      continue;
    auto *result = warp.lanes<uint32_t>(in.operand[reg]);
    LaneMask undefined = 0;
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      result[lane] = 0;
      for (unsigned i = 0; i < 4; ++i) {
        const Place place = placeOfLoad(move, reg, lane, i);
        result[lane] |= uint32_t{rows.element[place.row][place.element]}
                        << 8 * i;
        if (rows.undefined[place.row][place.element])
          undefined |= LaneMask{1} << lane;
      }
    }
    if (warp.poison)
      writePoison(warp, in, reg, kAllLanes, undefined);
  }
}

void handleStoreBytes(Warp &warp, const Instruction &in) {
  const auto &move = *static_cast<const ByteMove *>(in.extra);
  uint8_t rows[kLanes][kElements];
  MatrixRows to;
  for (unsigned j = 0; j < move.rows.count; ++j) {
    const auto *source = warp.lanes<uint32_t>(in.operand[1 + j]);
    const LaneMask undefined = warp.poison ? readPoison(warp, in, 1 + j, 0) : 0;
    for (unsigned lane = 0; lane < kLanes; ++lane)
      for (unsigned i = 0; i < 4; ++i) {
        const unsigned row = 8 * j + 2 * (lane % 4) + i % 2;
        const unsigned element = lane / 4 + 8 * (i / 2);
        rows[row][element] = static_cast<uint8_t>(source[lane] >> 8 * i);
        if (undefined >> lane & 1)
          to.poison[element / 4] |= LaneMask{1} << row;
      }
  }
  storeRows(warp, in, move.rows, reinterpret_cast<const std::byte *>(rows), to);
}

} // namespace ptx::tensor
