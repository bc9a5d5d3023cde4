// Device-side printf.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_PRINTF_H
#define PTX_MACHINE_PRINTF_H

#include <cstdint>
#include <functional>
#include <string>

namespace ptx {

/// Where arguments come from: `size` bytes at an offset of the buffer that
/// vprintf got, and strings by generic address.
struct PrintfSource {
  std::function<uint64_t(uint64_t offset, unsigned size)> bytes;
  std::function<std::string(uint64_t address)> string;
};

/// Formats as device printf does: integers of up to 4 bytes take 4 in the
/// buffer, wider ones and floats 8, each at a multiple of its size. \p count:
/// arguments used, what printf returns on a device.
std::string formatPrintf(const std::string &format, const PrintfSource &source,
                         int &count);

} // namespace ptx

#endif // PTX_MACHINE_PRINTF_H
