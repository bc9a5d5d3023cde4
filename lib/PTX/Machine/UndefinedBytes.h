// Device memory that no one wrote.
//
// Which bytes of device memory are undefined between launches: all of a new
// allocation, none of adopted memory, less what the host and checked kernels
// wrote. Addresses are host addresses, so one table serves all devices.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_UNDEFINEDBYTES_H
#define PTX_MACHINE_UNDEFINEDBYTES_H

#include "Machine/ByteFlags.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>

namespace ptx {

class UndefinedBytes {
public:
  static UndefinedBytes &get();

  void allocate(uint64_t address, uint64_t bytes);
  void free(uint64_t address);
  /// The host wrote these bytes, which lie inside one allocation.
  void define(uint64_t address, uint64_t bytes);
  /// The host copied these bytes, defined or not.
  void copy(uint64_t to, uint64_t from, uint64_t bytes);
  /// A kernel ran unchecked: it may have written anything.
  void defineAllocation(uint64_t address);

  /// The flags of the allocation that begins at \p address, none if all its
  /// bytes are defined.
  ByteFlags flags(uint64_t address) const;
  void setFlags(uint64_t address, ByteFlags flags);

private:
  struct Entry {
    uint64_t bytes = 0;
    /// Absent while all bytes are undefined: most allocations are written in
    /// one piece, and need no flags at all.
    std::optional<ByteFlags> flags;
  };
  /// The entry an address lies in, or the end.
  std::map<uint64_t, Entry>::iterator find(uint64_t address);
  void defineLocked(uint64_t address, uint64_t bytes);

  mutable std::mutex lock;
  std::map<uint64_t, Entry> entries; ///< of allocations with undefined bytes
};

} // namespace ptx

#endif // PTX_MACHINE_UNDEFINEDBYTES_H
