// ByteFlags against a vector of bool.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/ByteFlags.h"

#include <gtest/gtest.h>

#include <random>

using namespace ptx;

TEST(ByteFlags, AgreesWithAVectorOfBool) {
  std::mt19937 random(7);
  for (uint64_t size : {1u, 63u, 64u, 65u, 1000u}) {
    for (bool initial : {false, true}) {
      ByteFlags flags(size, initial);
      std::vector<bool> expected(size, initial);
      for (unsigned round = 0; round < 300; ++round) {
        uint64_t begin = random() % size;
        uint64_t length = random() % (size - begin) + 1;
        bool value = random() % 2;
        flags.set(begin, length, value);
        std::fill(expected.begin() + begin, expected.begin() + begin + length,
                  value);
        bool some = false;
        for (bool flag : expected)
          some |= flag;
        ASSERT_EQ(flags.any(), some);
        begin = random() % size;
        length = std::min<uint64_t>(random() % 64 + 1, size - begin);
        uint64_t bits = flags.get(begin, static_cast<unsigned>(length));
        for (uint64_t i = 0; i < 64; ++i)
          ASSERT_EQ(bits >> i & 1, i < length && expected[begin + i]) << i;
        length = random() % (size - begin) + 1;
        some = false;
        for (uint64_t i = 0; i < length; ++i)
          some |= expected[begin + i];
        ASSERT_EQ(flags.anyIn(begin, length), some);
      }
    }
  }
}
