// Which bytes of an allocation were never written.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/UndefinedBytes.h"
#include "ptx/Device.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace ptx;

namespace {
UndefinedBytes &table() { return UndefinedBytes::get(); }
} // namespace

TEST(UndefinedBytes, CopiesAndFillsDefine) {
  Device device;
  const uint64_t at = device.allocate(1000);
  EXPECT_EQ(table().flags(at).get(0, 64), ~uint64_t{0});
  const char bytes[10] = {};
  device.copyIn(at + 5, bytes, 10);
  EXPECT_EQ(table().flags(at).get(0, 20), 0xf801fu);
  device.fill(at, 7, 100);
  EXPECT_FALSE(table().flags(at).anyIn(0, 100));
  EXPECT_TRUE(table().flags(at).anyIn(100, 1));
  device.fill(at, 0, 1000);
  EXPECT_FALSE(table().flags(at).any());
}

TEST(UndefinedBytes, CopiesOnTheDeviceCarryThemAlong) {
  Device device;
  const uint64_t from = device.allocate(64), to = device.allocate(64);
  device.fill(from, 1, 8);
  device.copy(to, from, 16);
  EXPECT_EQ(table().flags(to).get(0, 24), 0xffff00u);
}

TEST(UndefinedBytes, AdoptedMemoryIsDefined) {
  Device device;
  alignas(256) static char memory[256];
  const uint64_t at = device.adopt(memory, sizeof memory);
  EXPECT_FALSE(table().flags(at).any());
  device.free(at);
}

TEST(UndefinedBytes, WhatAKernelWroteStays) {
  Device device;
  const uint64_t at = device.allocate(64);
  ByteFlags flags = table().flags(at);
  flags.set(0, 32, false);
  table().setFlags(at, flags);
  EXPECT_EQ(table().flags(at).get(0, 40), 0xff00000000u);
  table().defineAllocation(at);
  EXPECT_FALSE(table().flags(at).any());
}
