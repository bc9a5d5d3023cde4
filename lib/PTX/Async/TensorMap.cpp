// Descriptions of tensors for bulk copies.
//
// The layout of the 128 bytes is ours. All zero bytes are a map too (rank 1 of
// u8): kernels start from those and replace every field.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/TensorMap.h"

#include "Async/TensorMapFields.h"
#include "ptx/Error.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string>
#include <type_traits>

namespace ptx {
namespace {

/// What the opaque bytes hold.
struct Encoded {
  uint64_t address;
  uint64_t size[5];
  uint64_t stride[4];
  uint16_t box[5];
  uint8_t elementStride[5];
  uint8_t rank; ///< less one
  uint8_t element;
  uint8_t swizzle;    ///< place in kSwizzles
  uint8_t interleave; ///< 0: none, 1: 16, 2: 32 bytes
  uint8_t fill;
  uint8_t atomicity; ///< 0: 16, 1: 32, 2: 32 flipped, 3: 64 bytes
};
static_assert(sizeof(Encoded) <= TensorMap::kBytes);

Encoded load(const std::byte *bytes) {
  Encoded e;
  std::memcpy(&e, bytes, sizeof e);
  return e;
}

constexpr std::string_view kNames[] = {
    "u8",      "u16",   "u32",       "s32",      "u64",    "s64",
    "f16",     "f32",   "f64",       "bf16",     "f32ftz", "tf32",
    "tf32ftz", "b4x16", "b4x16_p64", "b6x16_p32"};

/// tensormap.replace numbers the types its own way.
constexpr TensorElement kReplaced[] = {
    TensorElement::U8,         TensorElement::U16,   TensorElement::U32,
    TensorElement::S32,        TensorElement::U64,   TensorElement::S64,
    TensorElement::F16,        TensorElement::F32,   TensorElement::F32Ftz,
    TensorElement::F64,        TensorElement::BF16,  TensorElement::TF32,
    TensorElement::TF32Ftz,    TensorElement::B4x16, TensorElement::B4x16Padded,
    TensorElement::B6x16Padded};

/// In the order of their numbers, which are those of tensormap.replace.
constexpr unsigned kSwizzles[] = {0, 32, 64, 128, 96};
/// The third one flips, too.
constexpr unsigned kAtomicities[] = {16, 32, 32, 64};
constexpr uint8_t kFlipping = 2;

void require(bool holds, const std::string &why) {
  if (!holds)
    throw Error("tensor map: " + why);
}

std::string number(uint64_t value) { return std::to_string(value); }

} // namespace

unsigned bitSize(TensorElement element) {
  constexpr unsigned bits[] = {8,  16, 32, 32, 64, 64, 16, 32,
                               64, 16, 32, 32, 32, 4,  4,  6};
  return bits[static_cast<unsigned>(element)];
}

bool isPadded(TensorElement element) {
  return element >= TensorElement::B4x16Padded;
}

TensorElement tensorElementNamed(std::string_view name) {
  for (unsigned i = 0; i < std::size(kNames); ++i)
    if (kNames[i] == name)
      return static_cast<TensorElement>(i);
  throw Error("tensor map: no element type '" + std::string(name) + "'");
}

namespace {
/// What the driver's manual adds for packed elements. Where the PTX manual
/// allows more (swizzles that keep 64 bytes together), the driver's is kept to.
void validatePacked(const TensorMap &map) {
  require(!map.nanFill, "elements of 4 and 6 bits cannot be filled with NaN");
  if (!isPadded(map.element)) {
    require(map.size[0] % 2 == 0, "the size of dimension 0 is " +
                                      number(map.size[0]) +
                                      "; of packed 4-bit elements it must be "
                                      "even");
    return;
  }
  require(map.address % 32 == 0,
          "the address of padded elements must be a multiple of 32");
  require(map.size[0] % 128 == 0,
          "the size of dimension 0 is " + number(map.size[0]) +
              "; of padded elements it must be a multiple of 128");
  require(map.box[0] == 128, "the box of dimension 0 is " + number(map.box[0]) +
                                 "; of padded elements it must be 128");
  for (unsigned d = 0; d + 1 < map.rank; ++d)
    require(map.stride[d] % 32 == 0,
            "the stride of dimension " + number(d + 1) + " is " +
                number(map.stride[d]) +
                " bytes; of padded elements it must be a multiple of 32");
  require(map.swizzle == 0 || map.swizzle == 128,
          "the swizzle is " + number(map.swizzle) +
              " bytes; of padded elements it can be 0 or 128");
  require(!map.flips, "swizzles of padded elements do not flip");
  require(map.atomicity != 64 || map.element == TensorElement::B6x16Padded,
          "a swizzle of padded 4-bit elements keeps 16 or 32 bytes together, "
          "not 64");
}
} // namespace

void TensorMap::validate() const {
  require(rank >= 1 && rank <= 5,
          "the rank is " + number(rank) + "; it can be 1 to 5");
  require(address && address % 16 == 0,
          "the address must be a multiple of 16 and not null");
  require(interleave == 0,
          "interleaved layouts are not modelled: interleave must be 0");
  require(std::find(std::begin(kSwizzles), std::end(kSwizzles), swizzle) !=
              std::end(kSwizzles),
          "the swizzle is " + number(swizzle) +
              " bytes; it can be 0, 32, 64, 96 or 128");
  require(!flips || atomicity == 32,
          "only swizzles that keep 32 bytes together flip");
  require(atomicity == 16 ||
              (swizzle == 128 && (atomicity == 32 || atomicity == 64)),
          "the swizzle's atomicity is " + number(atomicity) +
              " bytes; it can be 16, and 32 or 64 of a swizzle of 128");
  for (unsigned d = 0; d < rank; ++d) {
    const std::string where = " of dimension " + number(d) + " is ";
    require(size[d] >= 1 && size[d] <= uint64_t{1} << 32,
            "the size" + where + number(size[d]) + "; it can be 1 to 2^32");
    require(box[d] >= 1 && box[d] <= 256,
            "the box" + where + number(box[d]) + "; it can be 1 to 256");
    require(elementStride[d] >= 1 && elementStride[d] <= 8,
            "the element stride" + where + number(elementStride[d]) +
                "; it can be 1 to 8");
  }
  for (unsigned d = 0; d + 1 < rank; ++d)
    require(stride[d] % 16 == 0 && stride[d] < uint64_t{1} << 40,
            "the stride of dimension " + number(d + 1) + " is " +
                number(stride[d]) +
                " bytes; it must be a multiple of 16 below 2^40");
  if (element >= TensorElement::B4x16)
    validatePacked(*this);
  const uint64_t inner = sharedRow();
  require(uint64_t{box[0]} * bitSize(element) % 128 == 0,
          "a row of the box has " + number(inner) +
              " bytes; it must be a multiple of 16");
  require(!swizzle || inner <= swizzle,
          "a row of the box has " + number(inner) +
              " bytes; with a swizzle of " + number(swizzle) +
              " it can have no more than those");
  require(!nanFill || element == TensorElement::F16 ||
              element >= TensorElement::F32,
          "only floating-point tensors can be filled with NaN");
}

std::array<std::byte, TensorMap::kBytes> TensorMap::encode() const {
  validate();
  Encoded e = {};
  e.address = address;
  for (unsigned d = 0; d < 5; ++d) {
    e.size[d] = d < rank ? size[d] : 1;
    e.box[d] = static_cast<uint16_t>(d < rank ? box[d] : 1);
    e.elementStride[d] = static_cast<uint8_t>(d < rank ? elementStride[d] : 1);
  }
  for (unsigned d = 0; d + 1 < rank; ++d)
    e.stride[d] = stride[d];
  e.rank = static_cast<uint8_t>(rank - 1);
  e.element = static_cast<uint8_t>(element);
  e.swizzle = static_cast<uint8_t>(
      std::find(std::begin(kSwizzles), std::end(kSwizzles), swizzle) -
      std::begin(kSwizzles));
  e.fill = nanFill;
  e.atomicity = static_cast<uint8_t>(atomicity / 32 + (atomicity == 64));
  if (flips)
    e.atomicity = kFlipping;
  std::array<std::byte, kBytes> bytes{};
  std::memcpy(bytes.data(), &e, sizeof e);
  return bytes;
}

TensorMap TensorMap::decode(const std::byte *bytes) {
  const Encoded e = load(bytes);
  TensorMap map;
  map.element =
      static_cast<TensorElement>(e.element < std::size(kNames) ? e.element : 0);
  map.rank = e.rank + 1u;
  map.address = e.address;
  for (unsigned d = 0; d < 5; ++d) {
    map.size[d] = e.size[d];
    map.box[d] = e.box[d];
    map.elementStride[d] = e.elementStride[d];
  }
  for (unsigned d = 0; d < 4; ++d)
    map.stride[d] = e.stride[d];
  map.swizzle = kSwizzles[e.swizzle < std::size(kSwizzles) ? e.swizzle : 0];
  map.interleave = e.interleave * 16u;
  map.nanFill = e.fill;
  map.atomicity = kAtomicities[e.atomicity & 3];
  map.flips = e.atomicity == kFlipping;
  return map;
}

bool async::replaceField(std::byte *bytes, MapField field, unsigned ordinal,
                         uint64_t value) {
  Encoded e = load(bytes);
  bool exists = true;
  auto set = [&](auto &to, uint64_t most) {
    exists = value <= most;
    to = static_cast<std::remove_reference_t<decltype(to)>>(value);
  };
  // Strides are one fewer.
  if (ordinal > (field == MapField::GlobalStride ? 3 : 4))
    return false;
  switch (field) {
  case MapField::GlobalAddress:
    e.address = value;
    break;
  case MapField::Rank:
    set(e.rank, 4);
    break;
  case MapField::BoxDim:
    set(e.box[ordinal], 256);
    break;
  case MapField::GlobalDim:
    e.size[ordinal] = value;
    break;
  case MapField::GlobalStride:
    e.stride[ordinal] = value;
    break;
  case MapField::ElementStride:
    set(e.elementStride[ordinal], 8);
    break;
  case MapField::ElemType:
    if (value >= std::size(kReplaced))
      return false;
    e.element = static_cast<uint8_t>(kReplaced[value]);
    break;
  case MapField::InterleaveLayout:
    set(e.interleave, 2);
    break;
  case MapField::SwizzleMode:
    set(e.swizzle, std::size(kSwizzles) - 1);
    break;
  case MapField::FillMode:
    set(e.fill, 1);
    break;
  case MapField::SwizzleAtomicity:
    set(e.atomicity, 3);
    break;
  }
  if (exists)
    std::memcpy(bytes, &e, sizeof e);
  return exists;
}

} // namespace ptx
