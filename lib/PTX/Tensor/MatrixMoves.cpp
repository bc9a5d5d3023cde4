// Ldmatrix, stmatrix, movmatrix.
//
// Lanes 8 j to 8 j + 7 give the addresses of the rows of matrix j, 16 bytes
// each. In register j lane l holds elements 2 (l % 4) and the next of row l /
// 4, of the transposed matrix with `.trans`.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/MatrixMoves.h"

#include "Decode/DecodeContext.h"
#include "Machine/Machine.h"
#include "Machine/PoisonPlan.h"
#include "Tensor/MatrixAccess.h"
#include "Tensor/Product.h"

#include <cstring>

namespace ptx::tensor {
namespace {

constexpr uint32_t kRowBytes = kMatrixRowBytes;

/// Lane l of one matrix in registers: the two elements of column l / 4 of a
/// matrix whose rows are \p rows (eight times eight halves).
void transpose(const uint16_t (*rows)[8], uint32_t *lanes) {
  for (unsigned l = 0; l < kLanes; ++l) {
    const unsigned row = 2 * (l % 4), column = l / 4;
    lanes[l] = rows[row][column] | uint32_t{rows[row + 1][column]} << 16;
  }
}

/// The undefined lanes of the transposed register: lane l takes from words
/// column / 2 of rows 2 (l % 4) and the next.
LaneMask transposePoison(const LaneMask words /* of lanes */) {
  LaneMask undefined = 0;
  for (unsigned l = 0; l < kLanes; ++l) {
    const unsigned row = 2 * (l % 4), word = l / 8;
    undefined |=
        ((words >> (4 * row + word) | words >> (4 * row + 4 + word)) & 1) << l;
  }
  return undefined;
}

} // namespace

/// Makes \p access of all rows; \p position: the operand with the addresses.
static void reachRows(Warp &warp, const Instruction &in, const MatrixMove &move,
                      unsigned position, Access &access, MatrixRows &rows) {
  if (warp.poison)
    checkAddressPoison(warp, in, position);
  uint64_t *address = rows.address;
  readAddresses(warp, in, position, 0, address);
  LaneMask lanes = warp.active;
  if (move.count < 4)
    lanes &= (1u << 8 * move.count) - 1;
  if (!lanes)
    return;
  access.instruction = &in;
  access.warp = &warp;
  access.space = move.space;
  if (move.space == Space::Generic &&
      (takeWindow(warp, in, lanes, address, access.space) != lanes ||
       access.space != Space::Shared))
    warp.fail(FindingKind::IllegalAddress, in, lanes,
              "the rows of " + in.row->opcode + " must be in shared memory");
  checkAlignment(warp, in, address, lanes, kRowBytes);
  access.lanes = lanes;
  access.bytes = kRowBytes;
  access.elementBytes = 4;
  access.address = address;
  rows.lanes = prepareAccess(warp, in, access, rows.pointer);
}

void reachForLoad(Warp &warp, const Instruction &in, const MatrixMove &move,
                  MatrixRows &rows) {
  Access access;
  access.kind = AccessKind::LoadMatrix;
  if (warp.poison)
    access.loadedPoison = rows.poison;
  reachRows(warp, in, move, in.resultCount, access, rows);
}

void storeRows(Warp &warp, const Instruction &in, const MatrixMove &move,
               const std::byte *data, MatrixRows &rows) {
  Access access;
  access.kind = AccessKind::StoreMatrix;
  if (warp.poison)
    access.storedPoison = rows.poison;
  reachRows(warp, in, move, 0, access, rows);
  forEachLane(rows.lanes, [&](unsigned lane) {
    std::memcpy(rows.pointer[lane], data + kRowBytes * lane, kRowBytes);
  });
}

void decodeMatrixMove(DecodeContext &context, Instruction &in) {
  MatrixMove move;
  move.count = context.has(".x4") ? 4 : context.has(".x2") ? 2 : 1;
  move.transposed = context.has(".trans");
  if (!context.option("space").empty())
    move.space = Space::Shared;
  in.extra = context.keep(move);
}

namespace {

/// The lanes of matrix \p j whose registers are undefined; \p poison: words of
/// the rows.
LaneMask loadedPoison(const LaneMask *poison, unsigned j, bool transposed) {
  LaneMask undefined = 0;
  for (unsigned r = 0; r < 8; ++r)
    for (unsigned word = 0; word < 4; ++word)
      undefined |= (poison[word] >> (8 * j + r) & 1) << (4 * r + word);
  return transposed ? transposePoison(undefined) : undefined;
}

/// Addresses anywhere, checked and observed.
void loadMatrix(Warp &warp, const Instruction &in) {
  const auto &move = *static_cast<const MatrixMove *>(in.extra);
  MatrixRows given;
  reachForLoad(warp, in, move, given);
  for (unsigned j = 0; j < move.count; ++j) {
    alignas(16) uint16_t rows[8][8] = {};
    for (unsigned r = 0; r < 8; ++r)
      if (given.lanes >> (8 * j + r) & 1)
        std::memcpy(rows[r], given.pointer[8 * j + r], kRowBytes);
    if (in.operand[j] == kNoSlot)
      continue;
    auto *result = warp.lanes<uint32_t>(in.operand[j]);
    if (move.transposed)
      transpose(rows, result);
    else
      std::memcpy(result, rows, sizeof rows);
    if (warp.poison)
      writePoison(warp, in, j, kAllLanes,
                  loadedPoison(given.poison, j, move.transposed));
  }
}

/// Tells the observers of rows of shared memory that were loaded already, from
/// \p rows + the instruction's offset.
void observeRows(Warp &warp, const Instruction &in, const MatrixMove &move,
                 const uint32_t *rows) {
  const LaneMask lanes =
      move.count < 4 ? (1u << 8 * move.count) - 1 : kAllLanes;
  const auto offset = static_cast<uint32_t>(in.offset[0]);
  if (!warp.checked &&
      warp.block->machine->observer->onRows({&in, &warp, lanes, rows, offset}))
    return;
  alignas(64) uint64_t address[kLanes];
  for (unsigned l = 0; l < kLanes; ++l)
    address[l] = static_cast<uint32_t>(rows[l] + offset);
  LaneMask poison[4] = {};
  Access access;
  access.kind = AccessKind::LoadMatrix;
  access.instruction = &in;
  access.warp = &warp;
  access.space = Space::Shared;
  access.lanes = lanes;
  access.bytes = kRowBytes;
  access.elementBytes = 4;
  access.address = address;
  access.loadedPoison = warp.poison ? poison : nullptr;
  warp.access(access);
  if (!warp.poison)
    return;
  const bool any = poison[0] | poison[1] | poison[2] | poison[3];
  for (unsigned j = 0; j < move.count; ++j)
    if (in.operand[j] != kNoSlot)
      writePoison(warp, in, j, kAllLanes,
                  any ? loadedPoison(poison, j, move.transposed) : 0);
}

template <const Kernels &kernels>
void handleLoadMatrix(Warp &warp, const Instruction &in) {
  const auto &move = *static_cast<const MatrixMove *>(in.extra);
  const unsigned at = in.resultCount;
  if (move.space != Space::Shared || warp.active != kAllLanes ||
      in.width[at] != Width::Word)
    return loadMatrix(warp, in);
  const auto *address = warp.lanes<uint32_t>(in.operand[at]);
  alignas(64) uint32_t rows[kLanes];
  if (warp.observed) {
    // The results may replace the addresses.
    checkAddressPoison(warp, in, at);
    std::memcpy(rows, address, sizeof rows);
  }
  uint32_t *results[4];
  for (unsigned j = 0; j < move.count; ++j) {
    if (in.operand[j] == kNoSlot)
      return loadMatrix(warp, in);
    results[j] = warp.lanes<uint32_t>(in.operand[j]);
  }
  const AlignedBytes &shared = warp.block->shared;
  if (!kernels.loadRows(address, static_cast<uint32_t>(in.offset[0]),
                        shared.data, shared.size, move.count, move.transposed,
                        results))
    loadMatrix(warp, in);
  else if (warp.observed)
    observeRows(warp, in, move, rows);
}

} // namespace

HandlerSet loadMatrixHandlers() {
  return {handleLoadMatrix<kBaselineKernels>, handleLoadMatrix<kAvx2Kernels>,
          handleLoadMatrix<kAvx512Kernels>};
}

void handleStoreMatrix(Warp &warp, const Instruction &in) {
  const auto &move = *static_cast<const MatrixMove *>(in.extra);
  alignas(16) uint16_t rows[4][8][8];
  MatrixRows to;
  for (unsigned j = 0; j < move.count; ++j) {
    const auto *source = warp.lanes<uint32_t>(in.operand[1 + j]);
    uint16_t plain[8][8];
    std::memcpy(plain, source, sizeof plain);
    if (move.transposed) {
      for (unsigned r = 0; r < 8; ++r)
        for (unsigned c = 0; c < 8; ++c)
          rows[j][r][c] = plain[c][r];
    } else {
      std::memcpy(rows[j], plain, sizeof plain);
    }
    if (!warp.poison)
      continue;
    LaneMask words = readPoison(warp, in, 1 + j, 0);
    if (move.transposed)
      words = transposePoison(words);
    for (unsigned l = 0; l < kLanes; ++l)
      to.poison[l % 4] |= (words >> l & 1) << (8 * j + l / 4);
  }
  storeRows(warp, in, move, reinterpret_cast<const std::byte *>(rows), to);
}

void handleMoveMatrix(Warp &warp, const Instruction &in) {
  alignas(16) uint16_t rows[8][8];
  std::memcpy(rows, warp.lanes<uint32_t>(in.source(0)), sizeof rows);
  transpose(rows, warp.lanes<uint32_t>(in.operand[0]));
  if (warp.poison)
    writePoison(warp, in, 0, kAllLanes,
                transposePoison(readPoison(warp, in, 1, 0)));
}

} // namespace ptx::tensor
