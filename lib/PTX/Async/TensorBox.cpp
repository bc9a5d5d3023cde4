// Which bytes a tensor copy moves.
//
// As recorded on an H100: the element stride of dimension 0 is ignored; with a
// swizzle every row of the box takes the swizzle's width; stores clip
// dimension 0 only at whole granules of 16 bytes.
//
// Swizzles of 96 bytes and those that flip are the manual's; which lines flip
// (the odd ones) and that rows of 96 bytes follow each other without a gap was
// published with an emulator of a B200.
//
// Padded elements of 4 and 6 bits follow the manuals: 16 of them, 8 or 12 bytes
// of global memory, take 16 bytes of shared memory. What is counted as
// transferred are the bytes of global memory, as programs for sm_100 expect.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/TensorBox.h"

#include <algorithm>

namespace ptx::async {
namespace {

constexpr int64_t kGranule = 16;
constexpr uint32_t kHalf = 8; ///< of a granule

/// Elements the box has along a dimension.
uint32_t countOf(const TensorMap &map, unsigned d) {
  if (d == 0)
    return map.box[0];
  const uint32_t step = std::max(map.elementStride[d], 1u);
  return (map.box[d] + step - 1) / step;
}

uint32_t rowsOf(const TensorMap &map, bool fourRows) {
  if (fourRows)
    return 4;
  uint32_t rows = 1;
  for (unsigned d = 1; d < map.rank; ++d)
    rows *= countOf(map, d);
  return rows;
}

uint32_t pitchOf(const TensorMap &map) {
  return map.swizzle ? map.swizzle : map.sharedRow();
}

/// Bytes of global memory that elements along dimension 0 take.
int64_t packedBytes(const TensorMap &map, int64_t elements) {
  return elements * static_cast<int64_t>(bitSize(map.element)) / 8;
}

/// One row of the box on its way into runs.
class Splitter {
public:
  Splitter(const TensorMap &map, uint32_t shared, std::vector<BoxRun> &out)
      : map(map), shared(shared), out(out) {}

  /// Bytes [begin, end) of the box row at \p offset of the box.
  void add(uint32_t offset, int64_t begin, int64_t end, uint64_t global,
           bool inside) {
    while (begin < end) {
      // A swizzle keeps its atoms together, nothing longer.
      const int64_t atom = map.flips ? kHalf : map.atomicity;
      int64_t stop =
          map.swizzle ? std::min(end, (begin / atom + 1) * atom) : end;
      uint32_t at = shared + offset + static_cast<uint32_t>(begin);
      out.push_back({swizzled(at), global + static_cast<uint64_t>(begin),
                     static_cast<uint32_t>(stop - begin), inside});
      begin = stop;
    }
  }

  /// A row of padded elements, which lies in the tensor or beside it.
  void addPadded(uint32_t offset, uint64_t global, bool inside) {
    const auto bytes = static_cast<uint32_t>(packedBytes(map, kGranule));
    for (uint32_t at = 0; at < map.sharedRow(); at += kGranule) {
      out.push_back({swizzled(shared + offset + at), global, bytes, inside,
                     static_cast<uint32_t>(kGranule) - bytes});
      global += bytes;
    }
  }

private:
  uint32_t swizzled(uint32_t at) const {
    if (!map.swizzle)
      return at;
    const uint32_t line = at >> 7;
    // Of 96 bytes only neighbours trade places, as of 32.
    const uint32_t atoms = map.swizzle == 96 ? 2 : map.swizzle / map.atomicity;
    if (map.flips && line % 2)
      at ^= kHalf;
    return at ^ line % atoms * map.atomicity;
  }

  const TensorMap &map;
  uint32_t shared;
  std::vector<BoxRun> &out;
};

} // namespace

std::string refusal(const TensorMap &map, const BoxPlace &place, bool store) {
  const int32_t *coordinate = place.coordinate;
  if (place.fourRows && map.box[1] != 1)
    return "the box has " + std::to_string(map.box[1]) +
           " rows; gather4 and scatter4 need boxes of one";
  const std::string first = "coordinate 0 is " + std::to_string(coordinate[0]);
  const int64_t bits = int64_t{coordinate[0]} * bitSize(map.element);
  if (isPadded(map.element) && coordinate[0] % 128)
    return first + "; of padded elements it must be a multiple of 128";
  if (bits % (8 * kGranule))
    return first + ", which is " + std::to_string(bits / 8) +
           " bytes into the row: no multiple of 16";
  if (store && map.flips)
    return "swizzles that flip are for loads only";
  if (store && map.element == TensorElement::B4x16Padded)
    return "padded 4-bit elements can only be loaded";
  if (!store && isPadded(map.element) && map.atomicity == 64)
    return "padded elements with a swizzle that keeps 64 bytes together can "
           "only be stored";
  if (store)
    for (unsigned d = 0; d < (place.fourRows ? 5 : map.rank); ++d)
      if (coordinate[d] < 0)
        return "coordinate " + std::to_string(d) + " is " +
               std::to_string(coordinate[d]) +
               "; stores take no negative coordinates";
  return {};
}

std::vector<BoxRun> boxRuns(const TensorMap &map, const BoxPlace &place,
                            uint32_t shared, bool store) {
  const int32_t *coordinate = place.coordinate;
  const int64_t width = map.packedRow();
  int64_t length = packedBytes(map, static_cast<int64_t>(map.size[0]));
  if (store)
    length = (length + kGranule - 1) / kGranule * kGranule;
  // The part of a row that lies in the tensor.
  const int64_t start = packedBytes(map, coordinate[0]);
  const int64_t begin = std::clamp<int64_t>(-start, 0, width);
  const int64_t end = std::clamp<int64_t>(length - start, begin, width);
  std::vector<BoxRun> runs;
  Splitter splitter(map, shared, runs);
  const uint32_t rows = rowsOf(map, place.fourRows), pitch = pitchOf(map);
  for (uint32_t row = 0; row < rows; ++row) {
    uint64_t global = map.address + static_cast<uint64_t>(start);
    bool inside = true;
    uint32_t rest = row;
    for (unsigned d = 1; d < map.rank; ++d) {
      const uint32_t count = countOf(map, d);
      const int64_t at =
          place.fourRows
              ? coordinate[1 + row]
              : int64_t{coordinate[d]} +
                    int64_t{rest % count} * std::max(map.elementStride[d], 1u);
      rest /= count;
      inside = inside && at >= 0 && at < static_cast<int64_t>(map.size[d]);
      global += static_cast<uint64_t>(at) * map.stride[d - 1];
    }
    const uint32_t offset = row * pitch;
    if (isPadded(map.element)) {
      splitter.addPadded(offset, global, inside && begin < end);
      continue;
    }
    if (!inside) {
      splitter.add(offset, 0, width, 0, false);
      continue;
    }
    splitter.add(offset, 0, begin, 0, false);
    splitter.add(offset, begin, end, global, true);
    splitter.add(offset, end, width, 0, false);
  }
  return runs;
}

uint32_t transactionBytes(const TensorMap &map, bool fourRows) {
  return map.packedRow() * rowsOf(map, fourRows);
}

uint32_t spannedBytes(const TensorMap &map, bool fourRows) {
  return rowsOf(map, fourRows) * pitchOf(map);
}

} // namespace ptx::async
