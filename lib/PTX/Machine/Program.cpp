// Memory of a decoded program.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Program.h"

#include <cstring>
#include <utility>

namespace ptx {

static constexpr std::align_val_t kAlignment{64};

AlignedBytes::AlignedBytes(size_t bytes) : size(bytes) {
  if (!bytes)
    return;
  data = static_cast<std::byte *>(::operator new(bytes, kAlignment));
  std::memset(data, 0, bytes);
}

AlignedBytes::AlignedBytes(AlignedBytes &&other) noexcept
    : data(std::exchange(other.data, nullptr)),
      size(std::exchange(other.size, 0)) {}

AlignedBytes &AlignedBytes::operator=(AlignedBytes &&other) noexcept {
  std::swap(data, other.data);
  std::swap(size, other.size);
  return *this;
}

AlignedBytes::~AlignedBytes() {
  if (data)
    ::operator delete(data, kAlignment);
}

} // namespace ptx
