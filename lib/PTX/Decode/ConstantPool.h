// Values broadcast to 32 lanes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DECODE_CONSTANTPOOL_H
#define PTX_DECODE_CONSTANTPOOL_H

#include "Machine/Program.h"

#include <unordered_map>
#include <vector>

namespace ptx {

/// The constant area of a program while it is being made.
class ConstantPool {
public:
  /// The slot of a value, which is shared by all who need it.
  Slot get(uint64_t bits, Width width);
  /// A slot of its own, to be set later.
  Slot reserve(Width width);
  void set(Slot slot, Width width, uint64_t bits);
  /// The value at a slot (the low 64 bits).
  uint64_t value(Slot slot, Width width) const;

  AlignedBytes finish() const;

private:
  struct Key {
    uint64_t bits;
    Width width;
    bool operator==(const Key &) const = default;
  };
  struct Hash {
    size_t operator()(const Key &key) const {
      return (key.bits * 8 + static_cast<size_t>(key.width)) *
             0x9e3779b97f4a7c15u;
    }
  };
  /// Kept as one value a slot and broadcast at the end: 8 bytes, not 256.
  struct Entry {
    uint64_t bits;
    uint32_t offset;
    Width width;
  };
  std::unordered_map<Key, Slot, Hash> known;
  std::vector<Entry> entries;
  std::unordered_map<Slot, uint32_t> entryOf;
  uint32_t size = 0;
};

} // namespace ptx

#endif // PTX_DECODE_CONSTANTPOOL_H
