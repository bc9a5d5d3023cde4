// Runs a recorded case on the emulator.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CaseRunner.h"

#include <chrono>
#include <cstring>

namespace ptx::test {
namespace {

uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ x >> 16;
}

uint32_t bitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

float small(const CaseArgument &a, uint32_t i) {
  return float(int(mix(i + a.a) % a.b) - int(a.c));
}

/// Element i of a buffer of n; see kernels.cuh.
uint32_t element(const CaseArgument &a, uint32_t i, uint32_t n) {
  switch (a.fill[0]) {
  case 'h':
    return a.b ? mix(i + a.a) % a.b : mix(i + a.a);
  case 'f':
    return bitsOf(small(a, i));
  case 'i':
    return i * a.a + a.b;
  case 'p':
    return (i * a.a + a.b) & (n - 1);
  case 's':
    return uint32_t(__builtin_ctz(mix(i + a.a) | 1u << a.b));
  case 'r':
    return i % 32 ? 0 : 32 * ((i / 32 * a.a + a.b) & (n / 32 - 1));
  default:
    return a.a;
  }
}

std::vector<uint32_t> fill(const CaseArgument &a) {
  if (a.fill == "list")
    return a.list;
  std::vector<uint32_t> words((a.bytes + 3) / 4);
  uint32_t n = uint32_t(a.bytes / 4);
  if (a.fill == "bf16") {
    auto *half = reinterpret_cast<uint16_t *>(words.data());
    for (uint32_t i = 0; i < a.bytes / 2; ++i)
      half[i] = uint16_t(bitsOf(small(a, i)) >> 16);
    return words;
  }
  for (uint32_t i = 0; i < n; ++i)
    words[i] = element(a, i, n);
  return words;
}

uint64_t hashOf(const std::vector<uint32_t> &words, uint64_t bytes) {
  uint64_t hash = 1469598103934665603ull;
  for (uint64_t i = 0; i < bytes / 4; ++i) {
    hash ^= words[i];
    hash *= 1099511628211ull;
  }
  return hash;
}

} // namespace

CaseResult runCase(const Module &module, const RecordedCase &c,
                   const LaunchOptions &wanted) {
  Device device;
  const KernelInfo &kernel = module.kernel(c.counters.shape.kernel);
  std::vector<std::byte> params(kernel.paramBytes);
  std::vector<uint64_t> address;
  for (size_t i = 0; i < c.arguments.size(); ++i) {
    const CaseArgument &a = c.arguments[i];
    std::byte *param = params.data() + kernel.params[i].offset;
    if (!a.isBuffer) {
      std::memcpy(param, &a.value, 4);
      continue;
    }
    std::vector<uint32_t> words = fill(a);
    address.push_back(device.allocate(a.bytes));
    device.copyIn(address.back(), words.data(), a.bytes);
    std::memcpy(param, &address.back(), 8);
  }
  LaunchOptions options = wanted;
  options.grid = c.counters.shape.grid;
  options.block = c.counters.shape.block;
  options.dynamicShared = c.counters.shape.dynamicShared;
  auto start = std::chrono::steady_clock::now();
  LaunchResult launched = launch(device, module, kernel.name, options, params);
  CaseResult result;
  result.hostSeconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  result.counters = launched.counters;
  result.findings = std::move(launched.findings);
  size_t buffer = 0;
  for (const CaseArgument &a : c.arguments) {
    if (!a.isBuffer)
      continue;
    uint64_t at = address[buffer++];
    if (!a.isOutput)
      continue;
    std::vector<uint32_t> words((a.bytes + 3) / 4);
    device.copyOut(words.data(), at, a.bytes);
    result.hashes.push_back(hashOf(words, a.bytes));
  }
  return result;
}

} // namespace ptx::test
