// Device memory that no one wrote.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/UndefinedBytes.h"

#include <algorithm>

using namespace ptx;

UndefinedBytes &UndefinedBytes::get() {
  // Never destroyed: devices may be static objects.
  static UndefinedBytes *table = new UndefinedBytes;
  return *table;
}

std::map<uint64_t, UndefinedBytes::Entry>::iterator
UndefinedBytes::find(uint64_t address) {
  auto after = entries.upper_bound(address);
  if (after == entries.begin())
    return entries.end();
  auto at = std::prev(after);
  return address - at->first < at->second.bytes ? at : entries.end();
}

void UndefinedBytes::allocate(uint64_t address, uint64_t bytes) {
  std::lock_guard<std::mutex> guard(lock);
  entries[address] = {bytes, std::nullopt};
}

void UndefinedBytes::free(uint64_t address) {
  std::lock_guard<std::mutex> guard(lock);
  entries.erase(address);
}

void UndefinedBytes::defineAllocation(uint64_t address) { free(address); }

void UndefinedBytes::defineLocked(uint64_t address, uint64_t bytes) {
  auto at = find(address);
  if (at == entries.end())
    return;
  Entry &entry = at->second;
  if (bytes >= entry.bytes) {
    entries.erase(at);
    return;
  }
  if (!entry.flags)
    entry.flags = ByteFlags(entry.bytes, true);
  entry.flags->set(address - at->first, bytes, false);
  if (!entry.flags->any())
    entries.erase(at);
}

void UndefinedBytes::define(uint64_t address, uint64_t bytes) {
  std::lock_guard<std::mutex> guard(lock);
  defineLocked(address, bytes);
}

void UndefinedBytes::copy(uint64_t to, uint64_t from, uint64_t bytes) {
  std::lock_guard<std::mutex> guard(lock);
  auto source = find(from);
  if (source == entries.end()) {
    defineLocked(to, bytes);
    return;
  }
  auto target = find(to);
  if (target == entries.end())
    return; // what was written once counts as defined
  const Entry &known = source->second;
  ByteFlags before = known.flags ? *known.flags : ByteFlags(known.bytes, true);
  Entry &entry = target->second;
  if (!entry.flags)
    entry.flags = ByteFlags(entry.bytes, true);
  const uint64_t at = from - source->first, begin = to - target->first;
  for (uint64_t i = 0; i < bytes; ++i)
    entry.flags->set(begin + i, 1, before.get(at + i, 1) != 0);
}

ByteFlags UndefinedBytes::flags(uint64_t address) const {
  std::lock_guard<std::mutex> guard(lock);
  auto at = entries.find(address);
  if (at == entries.end())
    return ByteFlags();
  return at->second.flags ? *at->second.flags
                          : ByteFlags(at->second.bytes, true);
}

void UndefinedBytes::setFlags(uint64_t address, ByteFlags flags) {
  std::lock_guard<std::mutex> guard(lock);
  auto at = entries.find(address);
  if (at == entries.end())
    return;
  if (flags.any())
    at->second.flags = std::move(flags);
  else
    entries.erase(at);
}
