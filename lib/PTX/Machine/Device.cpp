// The memory of the modelled device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Device.h"
#include "Machine/HostMemory.h"
#include "Machine/Image.h"
#include "Machine/UndefinedBytes.h"
#include "ptx/Error.h"

#include <cstring>
#include <memory>
#include <new>
#include <vector>

namespace ptx {

struct Device::State {
  std::map<uint64_t, Allocation> live;
  /// Freed ones, until the memory is handed out again.
  std::map<uint64_t, Allocation> freed;
  uint64_t bytes = 0;
  uint64_t heap = 0; ///< used by device-side malloc
  std::map<const Program *, std::unique_ptr<Image>> images;
};

static constexpr std::align_val_t kAlignment{256};

Device::Device() : state(new State) {}

Device::~Device() {
  for (auto &[address, allocation] : state->live) {
    UndefinedBytes::get().free(address);
    if (allocation.owned)
      ::operator delete(reinterpret_cast<void *>(address), kAlignment);
  }
  delete state;
}

/// Forgets freed allocations where [begin, end) is in use again.
static void forget(std::map<uint64_t, Device::Allocation> &freed,
                   uint64_t begin, uint64_t end) {
  auto it = freed.lower_bound(begin);
  if (it != freed.begin()) {
    auto before = std::prev(it);
    if (before->first + before->second.bytes > begin)
      it = before;
  }
  while (it != freed.end() && it->first < end)
    it = freed.erase(it);
}

/// Smaller allocations are not worth a look at what the host has left.
static constexpr uint64_t kWorthAsking = 1u << 20;

void Device::requireRoom(uint64_t bytes) const {
  std::string text =
      "cannot allocate " + std::to_string(bytes) + " bytes of device memory: ";
  uint64_t used = bytesAllocated();
  if (limit && (bytes > limit || used > limit - bytes))
    throw Error(text + std::to_string(used) + " of " + std::to_string(limit) +
                " bytes are in use");
  if (bytes < kWorthAsking)
    return;
  uint64_t left = availableHostMemory();
  if (bytes > left)
    throw Error(text + "the host has " + std::to_string(left) + " bytes left");
}

uint64_t Device::take(uint64_t bytes, std::string name) {
  // Room behind the end, so that ranges of two allocations never touch.
  void *data =
      ::operator new((bytes + 511) / 256 * 256, kAlignment, std::nothrow);
  if (!data)
    throw Error("cannot allocate " + std::to_string(bytes) +
                " bytes of device memory: the host has not that much");
  auto address = reinterpret_cast<uint64_t>(data);
  forget(state->freed, address, address + bytes);
  Allocation allocation;
  allocation.address = address;
  allocation.bytes = bytes;
  allocation.name = std::move(name);
  state->live[address] = std::move(allocation);
  state->bytes += bytes;
  return address;
}

uint64_t Device::allocate(uint64_t bytes, std::string name) {
  requireRoom(bytes);
  std::lock_guard<std::mutex> guard(lock);
  uint64_t address = take(bytes, std::move(name));
  std::memset(reinterpret_cast<void *>(address), 0xCD, bytes);
  UndefinedBytes::get().allocate(address, bytes);
  return address;
}

uint64_t Device::allocateCopy(const void *from, uint64_t bytes,
                              std::string name) {
  requireRoom(bytes);
  std::lock_guard<std::mutex> guard(lock);
  uint64_t address = take(bytes, std::move(name));
  std::memcpy(reinterpret_cast<void *>(address), from, bytes);
  state->live[address].defined = true;
  return address;
}

uint64_t Device::adopt(void *data, uint64_t bytes, std::string name,
                       bool writable) {
  std::lock_guard<std::mutex> guard(lock);
  auto address = reinterpret_cast<uint64_t>(data);
  auto next = state->live.lower_bound(address);
  bool overlaps = next != state->live.end() && next->first < address + bytes;
  if (next != state->live.begin()) {
    auto before = std::prev(next);
    overlaps |= before->first + before->second.bytes > address;
  }
  if (overlaps)
    throw Error("the memory to adopt overlaps an allocation of the device");
  forget(state->freed, address, address + bytes);
  Allocation allocation;
  allocation.address = address;
  allocation.bytes = bytes;
  allocation.name = std::move(name);
  allocation.writable = writable;
  allocation.defined = true;
  allocation.owned = false;
  state->live[address] = std::move(allocation);
  return address;
}

void Device::free(uint64_t address) {
  std::lock_guard<std::mutex> guard(lock);
  auto it = state->live.find(address);
  if (it == state->live.end())
    throw Error("no allocation of the device begins at address " +
                std::to_string(address) +
                (state->freed.count(address) ? " (it was freed already)" : ""));
  Allocation allocation = std::move(it->second);
  state->live.erase(it);
  UndefinedBytes::get().free(address);
  if (allocation.owned) {
    state->bytes -= allocation.bytes;
    ::operator delete(reinterpret_cast<void *>(address), kAlignment);
  }
  state->freed[address] = std::move(allocation);
}

static std::optional<Device::Allocation>
findIn(const std::map<uint64_t, Device::Allocation> &map, uint64_t address) {
  auto it = map.upper_bound(address);
  if (it == map.begin())
    return std::nullopt;
  --it;
  uint64_t size = it->second.bytes ? it->second.bytes : 1;
  if (address - it->first >= size)
    return std::nullopt;
  return it->second;
}

std::optional<Device::Allocation> Device::find(uint64_t address) const {
  std::lock_guard<std::mutex> guard(lock);
  return findIn(state->live, address);
}

std::optional<Device::Allocation> Device::findBelow(uint64_t address) const {
  std::lock_guard<std::mutex> guard(lock);
  auto it = state->live.upper_bound(address);
  if (it == state->live.begin())
    return std::nullopt;
  return std::prev(it)->second;
}

std::optional<Device::Allocation> Device::findFreed(uint64_t address) const {
  std::lock_guard<std::mutex> guard(lock);
  return findIn(state->freed, address);
}

std::map<uint64_t, Device::Allocation> Device::allocations() const {
  std::lock_guard<std::mutex> guard(lock);
  return state->live;
}

uint64_t Device::bytesAllocated() const {
  std::lock_guard<std::mutex> guard(lock);
  return state->bytes;
}

/// The allocation that holds [address, address + bytes), or an Error.
static Device::Allocation &
allocationAt(std::map<uint64_t, Device::Allocation> &live, uint64_t address,
             uint64_t bytes) {
  auto it = live.upper_bound(address);
  if (it != live.begin()) {
    --it;
    uint64_t offset = address - it->first;
    if (offset <= it->second.bytes && bytes <= it->second.bytes - offset)
      return it->second;
  }
  throw Error("the " + std::to_string(bytes) + " bytes at device address " +
              std::to_string(address) +
              " are not inside one allocation of the device");
}

void Device::copyIn(uint64_t to, const void *from, uint64_t bytes) {
  if (!bytes)
    return;
  std::lock_guard<std::mutex> guard(lock);
  allocationAt(state->live, to, bytes).defined = true;
  UndefinedBytes::get().define(to, bytes);
  std::memcpy(reinterpret_cast<void *>(to), from, bytes);
}

void Device::copyOut(void *to, uint64_t from, uint64_t bytes) const {
  if (!bytes)
    return;
  std::lock_guard<std::mutex> guard(lock);
  allocationAt(state->live, from, bytes);
  std::memcpy(to, reinterpret_cast<void *>(from), bytes);
}

void Device::copy(uint64_t to, uint64_t from, uint64_t bytes) {
  if (!bytes)
    return;
  std::lock_guard<std::mutex> guard(lock);
  bool defined = allocationAt(state->live, from, bytes).defined;
  Allocation &target = allocationAt(state->live, to, bytes);
  target.defined = target.defined || defined;
  UndefinedBytes::get().copy(to, from, bytes);
  std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from),
               bytes);
}

void Device::fill(uint64_t to, uint8_t value, uint64_t bytes) {
  if (!bytes)
    return;
  std::lock_guard<std::mutex> guard(lock);
  allocationAt(state->live, to, bytes).defined = true;
  UndefinedBytes::get().define(to, bytes);
  std::memset(reinterpret_cast<void *>(to), value, bytes);
}

bool Device::takeHeap(uint64_t bytes) {
  std::lock_guard<std::mutex> guard(lock);
  if (bytes > heapLimit || state->heap > heapLimit - bytes)
    return false;
  state->heap += bytes;
  return true;
}

void Device::returnHeap(uint64_t bytes) {
  std::lock_guard<std::mutex> guard(lock);
  state->heap -= bytes < state->heap ? bytes : state->heap;
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

Image &Device::load(const Module &module) {
  const Program *program = &module.program();
  {
    std::lock_guard<std::mutex> guard(lock);
    auto it = state->images.find(program);
    if (it != state->images.end())
      return *it->second;
  }
  auto image = std::make_unique<Image>(*this, module);
  std::lock_guard<std::mutex> guard(lock);
  return *(state->images[program] = std::move(image));
}

uint64_t Device::variable(const Module &module, const std::string &name) {
  const auto &variables = module.variables();
  auto it = variables.find(name);
  if (it == variables.end())
    throw Error("the module has no variable '" + name + "'");
  return load(module).addresses[it->second.index];
}

void Device::unload(const Module &module) {
  std::unique_ptr<Image> image;
  {
    std::lock_guard<std::mutex> guard(lock);
    auto it = state->images.find(&module.program());
    if (it == state->images.end())
      return;
    image = std::move(it->second);
    state->images.erase(it);
  }
  for (size_t i = 0; i < image->addresses.size(); ++i)
    if (image->addresses[i])
      free(image->addresses[i]);
}

void Device::setWritable(uint64_t address, bool writable) {
  std::lock_guard<std::mutex> guard(lock);
  allocationAt(state->live, address, 0).writable = writable;
}

} // namespace ptx
