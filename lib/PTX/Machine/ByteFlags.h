// One bit a byte of memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_BYTEFLAGS_H
#define PTX_MACHINE_BYTEFLAGS_H

#include <algorithm>
#include <cstdint>
#include <vector>

namespace ptx {

/// A set of bytes of [0, size), none at first. Knows when it is empty, which
/// is the common case and then costs nothing.
class ByteFlags {
public:
  explicit ByteFlags(uint64_t bytes = 0, bool value = false)
      : words((bytes + 63) / 64 + 1, 0), size(bytes) {
    set(0, bytes, value);
  }

  bool any() const { return held != 0; }

  /// The flags of the \p count <= 64 bytes from \p offset on.
  uint64_t get(uint64_t offset, unsigned count) const {
    uint64_t word = offset / 64, shift = offset % 64;
    uint64_t bits = words[word] >> shift;
    if (shift + count > 64)
      bits |= words[word + 1] << (64 - shift);
    return count < 64 ? bits & ((uint64_t{1} << count) - 1) : bits;
  }
  bool anyIn(uint64_t offset, uint64_t bytes) const {
    if (held == 0)
      return false;
    for (; bytes > 0; offset += std::min<uint64_t>(bytes, 64),
                      bytes -= std::min<uint64_t>(bytes, 64))
      if (get(offset, static_cast<unsigned>(std::min<uint64_t>(bytes, 64))))
        return true;
    return false;
  }
  void set(uint64_t offset, uint64_t bytes, bool value) {
    if (bytes == 0 || (!value && held == 0))
      return;
    uint64_t first = offset / 64, last = (offset + bytes - 1) / 64;
    uint64_t head = ~uint64_t{0} << offset % 64;
    uint64_t tail = ~uint64_t{0} >> (63 - (offset + bytes - 1) % 64);
    if (first == last) {
      put(first, head & tail, value);
      return;
    }
    put(first, head, value);
    for (uint64_t word = first + 1; word < last; ++word)
      put(word, ~uint64_t{0}, value);
    put(last, tail, value);
  }
  uint64_t bytes() const { return size; }
  /// The flags of 64 bytes a word.
  const uint64_t *data() const { return words.data(); }

private:
  void put(uint64_t word, uint64_t mask, bool value) {
    const uint64_t before = words[word];
    const uint64_t after = value ? before | mask : before & ~mask;
    words[word] = after;
    held += static_cast<uint64_t>(after != 0) - (before != 0);
  }
  std::vector<uint64_t> words;
  uint64_t size;
  uint64_t held = 0; ///< words that are not zero
};

} // namespace ptx

#endif // PTX_MACHINE_BYTEFLAGS_H
