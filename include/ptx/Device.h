// The memory of the modelled device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DEVICE_H
#define PTX_DEVICE_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace ptx {

class Module;
struct Image;

/// Global memory: allocations in host memory, each 256-byte aligned; a device
/// address is the host address. Reads and writes of kernels must lie inside
/// an allocation. All functions may be called from several threads, though
/// not while a kernel uses what they change.
class Device {
public:
  Device();
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  struct Allocation {
    uint64_t address = 0;
    uint64_t bytes = 0;
    std::string name; ///< for messages; may be empty
    bool writable = true;
    bool defined = false; ///< contents were written by the host
    bool owned = true;    ///< freed with the device
  };

  /// Device memory, its content undefined (filled with 0xCD). Throws Error
  /// when the device or the host has not that much.
  uint64_t allocate(uint64_t bytes, std::string name = {});
  /// The same, its content a copy of \p bytes of the host at \p from.
  uint64_t allocateCopy(const void *from, uint64_t bytes,
                        std::string name = {});
  /// Makes host memory visible as it is: [data, data + bytes).
  uint64_t adopt(void *data, uint64_t bytes, std::string name = {},
                 bool writable = true);
  /// Throws Error for an address that `allocate` or `adopt` did not return.
  void free(uint64_t address);

  /// Throw Error where the range is not inside one allocation.
  void copyIn(uint64_t to, const void *from, uint64_t bytes);
  void copyOut(void *to, uint64_t from, uint64_t bytes) const;
  void copy(uint64_t to, uint64_t from, uint64_t bytes);
  void fill(uint64_t to, uint8_t value, uint64_t bytes);

  /// The allocation an address lies in.
  std::optional<Allocation> find(uint64_t address) const;
  /// The allocation with the highest address up to \p address.
  std::optional<Allocation> findBelow(uint64_t address) const;
  /// The allocation that was freed there, if the memory was not reused.
  std::optional<Allocation> findFreed(uint64_t address) const;
  /// All, ascending by address.
  std::map<uint64_t, Allocation> allocations() const;
  uint64_t bytesAllocated() const;
  void setWritable(uint64_t address, bool writable);

  /// Gives the variables of \p module memory and their initial values, unless
  /// it is loaded already; launches do so. They live until unload.
  Image &load(const Module &module);
  void unload(const Module &module);
  /// The address of a `.global` or `.const` variable; loads the module. Throws
  /// Error if there is none of that name.
  uint64_t variable(const Module &module, const std::string &name);

  /// Throws Error if the device or the host has not \p bytes more: memory that
  /// the host gives only when it is touched would end the process instead.
  void requireRoom(uint64_t bytes) const;

  /// What one device may allocate in total, by default as much as the chips
  /// that are modelled have; 0: no bound but the host's.
  uint64_t limit = uint64_t{80} << 30;
  /// The heap of device-side malloc: bytes (cudaLimitMallocHeapSize).
  uint64_t heapLimit = 8u << 20;

  /// Takes \p bytes of the device-side heap; false if it has not that much.
  bool takeHeap(uint64_t bytes);
  void returnHeap(uint64_t bytes);

private:
  struct State;
  uint64_t take(uint64_t bytes, std::string name); ///< `lock` is held
  mutable std::mutex lock;
  State *state;
};

} // namespace ptx

#endif // PTX_DEVICE_H
