// Which bytes a tensor copy moves.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/TensorBox.h"
#include "Async/TensorMapFields.h"
#include "ptx/Error.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

using namespace ptx;
using namespace ptx::async;

namespace {

/// One element at a time: shared offset -> global offset, or -1 outside.
std::map<uint32_t, int64_t>
byDefinition(const TensorMap &map, const int32_t *coordinate, bool store) {
  std::map<uint32_t, int64_t> all;
  const unsigned bytes = bitSize(map.element) / 8;
  uint32_t count[5], total = 1;
  for (unsigned d = 0; d < map.rank; ++d) {
    const uint32_t step = d ? map.elementStride[d] : 1;
    count[d] = (map.box[d] + step - 1) / step;
    total *= count[d];
  }
  const uint32_t row = map.swizzle ? map.swizzle : count[0] * bytes;
  int64_t length = static_cast<int64_t>(map.size[0]);
  if (store)
    length = (length * bytes + 15) / 16 * 16 / bytes;
  for (uint32_t i = 0; i < total; ++i) {
    uint32_t rest = i, at = i / count[0] * row + i % count[0] * bytes;
    bool inside = true;
    int64_t global = 0;
    for (unsigned d = 0; d < map.rank; ++d) {
      const int64_t step = d ? map.elementStride[d] : 1;
      const int64_t p = coordinate[d] + rest % count[d] * step;
      rest /= count[d];
      const int64_t size = d ? static_cast<int64_t>(map.size[d]) : length;
      inside = inside && p >= 0 && p < size;
      global += p * (d ? static_cast<int64_t>(map.stride[d - 1]) : bytes);
    }
    if (map.swizzle)
      at ^= (at >> 7 & (map.swizzle / 16 - 1)) << 4;
    all[at] = inside ? global : -1;
  }
  return all;
}

TensorMap randomMap(std::mt19937 &random) {
  TensorMap map;
  map.element = static_cast<TensorElement>(random() % 13);
  const unsigned bytes = bitSize(map.element) / 8;
  map.rank = 1 + random() % 5;
  map.address = 0x10000;
  const unsigned swizzles[] = {0, 32, 64, 128};
  map.swizzle = swizzles[random() % 4];
  const unsigned most = map.swizzle ? map.swizzle / 16 : 6;
  map.box[0] = (1 + random() % most) * 16 / bytes;
  if (map.box[0] > 256)
    map.box[0] = 16;
  uint64_t pitch = bytes;
  for (unsigned d = 0; d < map.rank; ++d) {
    map.size[d] = 1 + random() % (d ? 7 : 90);
    if (d) {
      map.box[d] = 1 + random() % 4;
      map.elementStride[d] = 1 + random() % 3;
    }
    pitch = (pitch * map.size[d] + 15) / 16 * 16 + random() % 2 * 16;
    if (d < 4)
      map.stride[d] = pitch;
  }
  return map;
}

TEST(TensorBox, RunsAreTheElementsOneByOne) {
  std::mt19937 random(1);
  for (unsigned round = 0; round < 3000; ++round) {
    const TensorMap map = TensorMap::decode(randomMap(random).encode().data());
    const bool store = round % 2;
    BoxPlace place;
    auto &coordinate = place.coordinate;
    for (unsigned d = 0; d < 5; ++d)
      coordinate[d] = static_cast<int32_t>(random() % 12) - (store ? 0 : 4);
    coordinate[0] =
        (coordinate[0] / 2) * 128 / static_cast<int32_t>(bitSize(map.element));
    const auto want = byDefinition(map, coordinate, store);
    std::map<uint32_t, int64_t> got;
    const unsigned bytes = bitSize(map.element) / 8;
    for (const BoxRun &run : boxRuns(map, place, 0, store))
      for (uint32_t i = 0; i < run.bytes; i += bytes)
        got[run.shared + i] =
            run.inside ? static_cast<int64_t>(run.global + i - map.address)
                       : -1;
    ASSERT_EQ(got, want) << "round " << round;
    ASSERT_EQ(transactionBytes(map, false), want.size() * bytes);
    ASSERT_LT(want.rbegin()->first, spannedBytes(map, false));
  }
}

TEST(TensorBox, RefusesWhatTheHardwareRefuses) {
  TensorMap map;
  map.element = TensorElement::U16;
  map.rank = 2;
  const BoxPlace good{{8, -1}}, odd{{4, 0}}, left{{-8, 0}};
  EXPECT_EQ(refusal(map, good, false), "");
  EXPECT_NE(refusal(map, good, true), "");
  EXPECT_NE(refusal(map, odd, false), "");
  EXPECT_EQ(refusal(map, left, false), "");
  EXPECT_NE(refusal(map, left, true), "");
}

TEST(TensorMap, NamesTheFieldThatIsWrong) {
  auto why = [](auto change) {
    TensorMap map;
    map.element = TensorElement::F32;
    map.rank = 2;
    map.address = 0x1000;
    map.size = {64, 8, 1, 1, 1};
    map.stride = {256, 0, 0, 0};
    map.box = {32, 4, 1, 1, 1};
    map.validate();
    change(map);
    try {
      map.validate();
    } catch (const Error &error) {
      return error.why;
    }
    return std::string("accepted");
  };
  auto expect = [&](auto change, const std::string &part) {
    EXPECT_NE(why(change).find(part), std::string::npos) << why(change);
  };
  expect([](TensorMap &m) { m.rank = 6; }, "rank is 6");
  expect([](TensorMap &m) { m.rank = 0; }, "rank is 0");
  expect([](TensorMap &m) { m.address = 0x1008; }, "address");
  expect([](TensorMap &m) { m.address = 0; }, "address");
  expect([](TensorMap &m) { m.interleave = 16; }, "interleave");
  expect([](TensorMap &m) { m.swizzle = 48; }, "swizzle is 48");
  expect([](TensorMap &m) { m.swizzle = 64; }, "swizzle of 64");
  expect([](TensorMap &m) { m.size[1] = 0; }, "size of dimension 1 is 0");
  expect([](TensorMap &m) { m.box[1] = 257; }, "box of dimension 1 is 257");
  expect([](TensorMap &m) { m.box[0] = 3; }, "12 bytes");
  expect([](TensorMap &m) { m.stride[0] = 264; }, "stride of dimension 1");
  expect([](TensorMap &m) { m.elementStride[1] = 9; }, "element stride");
  expect(
      [](TensorMap &m) {
        m.element = TensorElement::S32;
        m.nanFill = true;
      },
      "NaN");
}

TEST(TensorMap, NamesWhatPackedElementsCannotHave) {
  auto expect = [](TensorElement element, auto change,
                   const std::string &part) {
    TensorMap map;
    map.element = element;
    map.rank = 2;
    map.address = 0x1000;
    map.size = {256, 8, 1, 1, 1};
    map.stride = {256, 0, 0, 0};
    map.box = {128, 4, 1, 1, 1};
    map.validate();
    change(map);
    try {
      map.validate();
      FAIL() << "accepted: " << part;
    } catch (const Error &error) {
      EXPECT_NE(error.why.find(part), std::string::npos) << error.why;
    }
  };
  const auto four = TensorElement::B4x16;
  for (auto padded : {TensorElement::B4x16Padded, TensorElement::B6x16Padded}) {
    expect(padded, [](TensorMap &m) { m.address = 0x1010; }, "of 32");
    expect(padded, [](TensorMap &m) { m.size[0] = 192; }, "of 128");
    expect(padded, [](TensorMap &m) { m.box[0] = 64; }, "must be 128");
    expect(padded, [](TensorMap &m) { m.stride[0] = 272; }, "of 32");
    expect(padded, [](TensorMap &m) { m.swizzle = 64; }, "0 or 128");
    expect(padded, [](TensorMap &m) { m.nanFill = true; }, "NaN");
  }
  expect(
      TensorElement::B4x16Padded,
      [](TensorMap &m) { m.swizzle = 128, m.atomicity = 64; }, "not 64");
  expect(four, [](TensorMap &m) { m.size[0] = 255; }, "even");
  expect(four, [](TensorMap &m) { m.box[0] = 48; }, "24 bytes");
  expect(four, [](TensorMap &m) { m.swizzle = 32; }, "64 bytes");
  expect(four, [](TensorMap &m) { m.nanFill = true; }, "NaN");
}

TEST(TensorMap, ReplacingEveryFieldOfZerosMakesTheMap) {
  std::mt19937 random(4);
  for (unsigned round = 0; round < 200; ++round) {
    TensorMap map = randomMap(random);
    std::array<std::byte, TensorMap::kBytes> bytes{};
    auto replace = [&](MapField field, unsigned ordinal, uint64_t value) {
      ASSERT_TRUE(replaceField(bytes.data(), field, ordinal, value));
    };
    // tensormap.replace numbers the types its own way.
    const unsigned types[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 8, 11, 12};
    replace(MapField::GlobalAddress, 0, map.address);
    replace(MapField::Rank, 0, map.rank - 1);
    replace(MapField::ElemType, 0, types[static_cast<unsigned>(map.element)]);
    replace(MapField::InterleaveLayout, 0, 0);
    replace(MapField::FillMode, 0, 0);
    replace(MapField::SwizzleMode, 0,
            map.swizzle == 128 ? 3 : map.swizzle / 32);
    for (unsigned d = 0; d < 5; ++d) {
      replace(MapField::BoxDim, d, d < map.rank ? map.box[d] : 1);
      replace(MapField::GlobalDim, d, d < map.rank ? map.size[d] : 1);
      replace(MapField::ElementStride, d,
              d < map.rank ? map.elementStride[d] : 1);
    }
    for (unsigned d = 0; d + 1 < map.rank; ++d)
      replace(MapField::GlobalStride, d, map.stride[d]);
    EXPECT_EQ(bytes, map.encode());
  }
  std::byte map[TensorMap::kBytes] = {};
  EXPECT_FALSE(replaceField(map, MapField::Rank, 0, 5));
  EXPECT_FALSE(replaceField(map, MapField::BoxDim, 5, 1));
  EXPECT_FALSE(replaceField(map, MapField::ElemType, 0, 16));
  EXPECT_FALSE(replaceField(map, MapField::SwizzleMode, 0, 5));
  EXPECT_FALSE(replaceField(map, MapField::FillMode, 0, 2));
}

TEST(TensorMap, NamesElementTypes) {
  EXPECT_EQ(tensorElementNamed("f32ftz"), TensorElement::F32Ftz);
  EXPECT_EQ(bitSize(tensorElementNamed("bf16")), 16u);
  EXPECT_EQ(bitSize(tensorElementNamed("b6x16_p32")), 6u);
  EXPECT_THROW(tensorElementNamed("f8"), Error);
}

} // namespace
