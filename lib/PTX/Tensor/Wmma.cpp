// Loads and stores of opaque fragments.
//
// The manual leaves open which lane holds what; ours is the layout of the
// mma.sync of that shape (Fragment.h). 8 x 32 products are computed transposed,
// so their A lies as a B, their B as an A, and C on its side.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Tensor/Wmma.h"

#include "Decode/DecodeContext.h"
#include "Machine/Machine.h"
#include "Machine/PoisonPlan.h"
#include "Tensor/MatrixAccess.h"
#include "Tensor/Spelling.h"

#include <algorithm>
#include <cstring>

namespace ptx::tensor {

unsigned wmmaRegisters(char matrix, unsigned m, unsigned n, unsigned k,
                       Type type) {
  const unsigned bits = bitWidth(type);
  if (matrix != 'c' && type == Type::F16)
    return 8; // 16 elements a lane for every shape, copies where too many
  const unsigned elements = matrix == 'a'   ? m * k
                            : matrix == 'b' ? n * k
                                            : m * n;
  return elements * std::min(bits, 64u) / 32 / (bits == 64 ? 64 : 32);
}

WmmaFragment wmmaFragmentOf(const Row &row) {
  const Spelling s = spellingOf(row);
  const Type type = s.types.at(0);
  const char matrix = hasModifier(row, ".a")   ? 'a'
                      : hasModifier(row, ".b") ? 'b'
                                               : 'c';
  WmmaFragment f;
  f.bits = bitWidth(type);
  f.registers = wmmaRegisters(matrix, s.m, s.n, s.k, type);
  f.perRegister = f.bits >= 32 ? 1 : 32 / f.bits;
  bool inRows = s.rows.at(0); // as the matrix is written in memory
  // The first index of the layout is the row of A and C, the column of B.
  unsigned first = matrix == 'b' ? s.n : s.m;
  unsigned second = matrix == 'c' ? s.n : s.k;
  f.rowsStride = matrix == 'b' ? !inRows : inRows;
  f.role = matrix == 'a' ? Role::A : matrix == 'b' ? Role::B : Role::C;
  if (s.m == 8 && s.n == 32) {
    if (matrix == 'c') {
      std::swap(first, second);
      f.rowsStride = !f.rowsStride;
    } else {
      f.role = matrix == 'a' ? Role::B : Role::A;
    }
  }
  f.rows = first;
  f.columns = second;
  f.stride = f.rowsStride ? second : first;
  f.used = first * second / kLanes / f.perRegister;
  // Along the row of the layout elements follow each other, unless memory
  // strides there. Elements below a byte always come by the word.
  f.together = f.rowsStride || f.bits < 8 ? f.perRegister : 1;
  f.findPlaces();
  return f;
}

void WmmaFragment::findPlaces() {
  for (unsigned reg = 0; reg < used; ++reg)
    for (unsigned e = 0; e < perRegister; e += together)
      for (unsigned lane = 0; lane < kLanes; ++lane) {
        unsigned row, column;
        place(reg, lane, e, row, column);
        if (!rowsStride)
          std::swap(row, column);
        places.push_back(
            {static_cast<uint8_t>(row), static_cast<uint8_t>(column)});
      }
}

void WmmaFragment::place(unsigned reg, unsigned lane, unsigned e, unsigned &row,
                         unsigned &column) const {
  const unsigned g = lane / 4, t = lane % 4, groups = rows / 8;
  if (role == Role::C) {
    const unsigned odd = perRegister == 2 ? e : reg % 2;
    const unsigned at = perRegister == 2 ? reg : reg / 2;
    row = 8 * (at % groups) + g;
    column = 8 * (at / groups) + 2 * t + odd;
    return;
  }
  const unsigned quads = columns / perRegister / 4; // of words of a row
  const unsigned group = role == Role::A ? reg % groups : reg / quads;
  const unsigned quad = role == Role::A ? reg / groups : reg % quads;
  row = 8 * group + g;
  column = (4 * quad + t) * perRegister + e;
}

void decodeWmmaMove(DecodeContext &context, Instruction &in) {
  WmmaFragment fragment = wmmaFragmentOf(*in.row);
  std::string_view space = context.option("space");
  if (space.starts_with(".shared"))
    fragment.space = Space::Shared;
  else if (space == ".global")
    fragment.space = Space::Global;
  in.extra = context.keep(fragment);
}

namespace {

/// One fragment on its way between registers and memory.
struct Transfer {
  Warp &warp;
  const Instruction &in;
  const WmmaFragment &f;
  unsigned firstRegister; ///< operand index
  const uint64_t *base;   ///< of the lanes, in `space`
  const uint32_t *stride; ///< of the lanes; null: the default
  Space space;
  LaneMask lanes;
  bool load;

  /// Piece \p piece of all: elements from \p e on of a register.
  void part(unsigned piece, unsigned reg, unsigned e) const;
  /// All pieces at once where nothing is amiss; false: nothing was done.
  bool whole() const;
  template <unsigned bytes, class Offset>
  void copyPieces(std::byte *memory, Offset offset) const;
  void all() const;
};

/// What all lanes have in common, if it is the same.
template <class T> bool isUniform(const T *values) {
  T different = 0;
  for (unsigned l = 1; l < kLanes; ++l)
    different |= values[l] ^ values[0];
  return !different;
}

template <unsigned bytes, class Offset>
void Transfer::copyPieces(std::byte *memory, Offset offset) const {
  const unsigned perPiece = f.together, pieces = f.perRegister / perPiece;
  const WmmaFragment::Place *place = f.places.data();
  for (unsigned reg = 0; reg < f.used; ++reg) {
    auto *registers = reinterpret_cast<std::byte *>(
        warp.lanes<uint32_t>(in.operand[firstRegister + reg]));
    for (unsigned p = 0; p < pieces; ++p)
      for (unsigned l = 0; l < kLanes; ++l, ++place) {
        std::byte *at = registers + (bytes == 8 ? 8 : 4) * l + p * bytes;
        std::byte *there = memory + offset(*place);
        std::memcpy(load ? at : there, load ? there : at, bytes);
      }
  }
}

bool Transfer::whole() const {
  if (warp.observed || f.bits < 8 || lanes != kAllLanes || !isUniform(base) ||
      (stride && !isUniform(stride)))
    return false;
  const uint64_t element = f.bits / 8, bytes = element * f.together;
  const uint64_t pitch = element * (stride ? stride[0] : f.stride);
  const uint64_t lines = f.rowsStride ? f.rows : f.columns;
  const uint64_t columns = f.rowsStride ? f.columns : f.rows;
  const uint64_t extent = (lines - 1) * pitch + columns * element;
  if ((base[0] | pitch) % bytes)
    return false;
  std::byte *memory = nullptr;
  GlobalRange range;
  if (space == Space::Shared)
    memory = sharedPointer(*warp.block, base[0], extent);
  else if (space == Space::Global &&
           warp.block->machine->findGlobal(base[0], extent, range) &&
           (load || range.writable))
    memory = reinterpret_cast<std::byte *>(base[0]);
  if (!memory)
    return false;
  auto offset = [=](WmmaFragment::Place place) {
    return place.line * pitch + place.column * element;
  };
  switch (bytes) {
  case 1:
    copyPieces<1>(memory, offset);
    break;
  case 2:
    copyPieces<2>(memory, offset);
    break;
  case 4:
    copyPieces<4>(memory, offset);
    break;
  default:
    copyPieces<8>(memory, offset);
  }
  return true;
}

void Transfer::part(unsigned piece, unsigned reg, unsigned e) const {
  const uint32_t bytes = std::max(f.bits * f.together / 8, 1u);
  uint64_t address[kLanes];
  for (unsigned l = 0; l < kLanes; ++l) {
    const WmmaFragment::Place place = f.places[piece * kLanes + l];
    uint64_t pitch = stride ? stride[l] : f.stride;
    address[l] = base[l] + (place.line * pitch + place.column) * f.bits / 8;
  }
  Access access;
  access.instruction = &in;
  access.warp = &warp;
  access.space = space;
  access.kind = load ? AccessKind::Load : AccessKind::Store;
  access.lanes = lanes;
  access.bytes = access.elementBytes = bytes;
  access.address = address;
  const unsigned operand = firstRegister + reg;
  LaneMask poison[2] = {};
  if (warp.poison) {
    access.loadedPoison = load ? poison : nullptr;
    access.storedPoison = load ? nullptr : poison;
    if (!load)
      for (unsigned w = 0; w < (bytes + 3) / 4; ++w)
        poison[w] = readPoison(warp, in, operand, w);
  }
  std::byte *pointer[kLanes];
  LaneMask done = prepareAccess(warp, in, access, pointer);
  auto *registers =
      reinterpret_cast<std::byte *>(warp.lanes<uint32_t>(in.operand[operand]));
  const unsigned width = f.bits == 64 ? 8 : 4, offset = e * f.bits / 8;
  forEachLane(done, [&](unsigned l) {
    std::byte *at = registers + width * l + offset;
    if (load)
      std::memcpy(at, pointer[l], bytes);
    else
      std::memcpy(pointer[l], at, bytes);
  });
  if (load && warp.poison)
    for (unsigned w = 0; w < (bytes + 3) / 4; ++w)
      writePoisonWord(warp, in, operand, w, done,
                      poison[w] | (e ? readPoison(warp, in, operand, w) : 0));
}

void Transfer::all() const {
  if (!whole())
    for (unsigned reg = 0, piece = 0; reg < f.used; ++reg)
      for (unsigned e = 0; e < f.perRegister; e += f.together)
        part(piece++, reg, e);
  if (!load)
    return;
  for (unsigned reg = f.used; reg < f.registers; ++reg) {
    auto *to = warp.lanes<uint32_t>(in.operand[firstRegister + reg]);
    auto *from = warp.lanes<uint32_t>(in.operand[firstRegister + reg % f.used]);
    forEachLane(lanes, [&](unsigned l) { to[l] = from[l]; });
    if (warp.poison)
      writePoison(warp, in, firstRegister + reg, lanes,
                  readPoison(warp, in, firstRegister + reg % f.used, 0));
  }
}

void move(Warp &warp, const Instruction &in, bool load) {
  const auto &f = *static_cast<const WmmaFragment *>(in.extra);
  const unsigned addressAt = load ? f.registers : 0;
  const unsigned strideAt = f.registers + 1;
  if (warp.poison)
    checkAddressPoison(warp, in, addressAt);
  uint64_t address[kLanes];
  readAddresses(warp, in, addressAt, 0, address);
  const uint32_t *stride = nullptr;
  if (strideAt < in.operandCount && in.operand[strideAt] != kNoSlot)
    stride = warp.lanes<uint32_t>(in.operand[strideAt]);
  forEachSpace(warp, in, f.space, address,
               [&](Space space, LaneMask lanes, const uint64_t *base) {
                 Transfer{warp,  in,    f,   load ? 0u : 1u, base, stride,
                          space, lanes, load}
                     .all();
               });
}

} // namespace

void handleWmmaLoad(Warp &warp, const Instruction &in) { move(warp, in, true); }
void handleWmmaStore(Warp &warp, const Instruction &in) {
  move(warp, in, false);
}

} // namespace ptx::tensor
