// What a call would launch, without a launch.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Runtime/GPUProgram.h"

#include <cstring>

using namespace mlir::moe;

// An address is the kind of memory from bit 52 on, then its number, then 40
// bits of an offset. The first kind is not 0, so that no address is null.
static constexpr int kSpaceBit = 52, kNumberBit = 40;

DevicePointer GPURecording::address(Space space, int32_t number) {
  DevicePointer kind = static_cast<DevicePointer>(space) + 1;
  return kind << kSpaceBit | static_cast<DevicePointer>(number) << kNumberBit;
}

GPURecording::Place GPURecording::place(DevicePointer address) {
  constexpr DevicePointer kNumbers = 1ull << (kSpaceBit - kNumberBit);
  return {static_cast<Space>((address >> kSpaceBit) - 1),
          static_cast<int32_t>((address >> kNumberBit) % kNumbers),
          static_cast<int64_t>(address % (1ull << kNumberBit))};
}

DevicePointer GPURecording::memory(Space space, int32_t number, size_t size) {
  bytes[{space, number}] = size;
  return address(space, number);
}

llvm::Error GPURecording::add(const GPULaunch &launch, void **arguments) {
  const std::vector<size_t> &sizes = parameterBytes[launch.kernel];
  Launch made{launch, {}};
  for (size_t i = 0; i < sizes.size(); ++i) {
    uint64_t value = 0;
    if (sizes[i] > sizeof(value))
      return llvm::createStringError(
          "parameter " + std::to_string(i) + " of kernel number " +
          std::to_string(launch.kernel) + " has " + std::to_string(sizes[i]) +
          " bytes, and only addresses and numbers can be recorded");
    std::memcpy(&value, arguments[i], sizes[i]);
    made.arguments.push_back(value);
  }
  launches.push_back(std::move(made));
  return llvm::Error::success();
}
