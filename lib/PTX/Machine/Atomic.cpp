// Atom and red.
//
// Lanes take their turns in ascending order. With several host threads, words
// of global memory are changed by the host's own atomics; shared memory belongs
// to one thread.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Atomic.h"
#include "Machine/Machine.h"
#include "Machine/Memory.h"

#include <atomic>
#include <cstring>

namespace ptx {

/// The word a lane gives, low bits.
static uint64_t readLane(const Warp &warp, const Instruction &in,
                         unsigned operand, unsigned lane, unsigned bytes) {
  uint64_t value = in.width[operand] == Width::Double
                       ? warp.lanes<uint64_t>(in.operand[operand])[lane]
                       : warp.lanes<uint32_t>(in.operand[operand])[lane];
  return bytes < 8 ? value & ((uint64_t{1} << (8 * bytes)) - 1) : value;
}

static void writeLane(Warp &warp, const Instruction &in, unsigned operand,
                      unsigned lane, uint64_t value) {
  if (in.operand[operand] == kNoSlot)
    return;
  if (in.width[operand] == Width::Double)
    warp.lanes<uint64_t>(in.operand[operand])[lane] = value;
  else
    warp.lanes<uint32_t>(in.operand[operand])[lane] =
        static_cast<uint32_t>(value);
}

/// Changes one word; returns its old value. \p update: new from old.
template <class T, class Update>
static uint64_t change(std::byte *at, bool hostAtomic, Update update) {
  auto *word = reinterpret_cast<T *>(at);
  if (!hostAtomic) {
    T old = *word;
    *word = static_cast<T>(update(old));
    return old;
  }
  std::atomic_ref<T> shared(*word);
  T old = shared.load(std::memory_order_relaxed);
  while (!shared.compare_exchange_weak(old, static_cast<T>(update(old)),
                                       std::memory_order_seq_cst))
    ;
  return old;
}

template <class Update>
static uint64_t changeWord(std::byte *at, unsigned bytes, bool hostAtomic,
                           Update update) {
  switch (bytes) {
  case 2:
    return change<uint16_t>(at, hostAtomic, update);
  case 4:
    return change<uint32_t>(at, hostAtomic, update);
  default:
    return change<uint64_t>(at, hostAtomic, update);
  }
}

static LaneMask observeAtomic(Warp &warp, const Instruction &in,
                              const AtomicInfo &info, Space space,
                              const uint64_t *address, LaneMask lanes) {
  checkAddressPoison(warp, in, info.address);
  LaneMask stored[32] = {}, loaded[32] = {};
  unsigned words = info.bytes > 4 ? info.bytes / 4 : 1;
  Access access;
  access.instruction = &in;
  access.warp = &warp;
  access.space = space;
  access.kind = info.returns ? AccessKind::Atomic : AccessKind::Reduction;
  access.lanes = lanes;
  access.bytes = uint32_t{info.bytes} * info.count;
  access.elementBytes = info.bytes;
  access.address = address;
  access.order = info.order;
  access.scope = info.scope;
  if (warp.poison) {
    for (unsigned e = 0; e < info.count; ++e)
      for (unsigned w = 0; w < words; ++w) {
        stored[e * words + w] = readPoison(warp, in, info.data + e, w);
        if (info.op == AtomicOp::CompareAndSwap)
          stored[e * words + w] |= readPoison(warp, in, info.swap, w);
      }
    access.storedPoison = stored;
    access.loadedPoison = loaded;
  }
  LaneMask allowed = warp.observeAccess(access) & lanes;
  for (unsigned e = 0; warp.poison && info.returns && e < info.count; ++e)
    for (unsigned w = 0; w < poisonWords(in.width[e]); ++w)
      writePoisonWord(warp, in, e, w, lanes,
                      loaded[e * words + (w < words ? w : words - 1)]);
  return allowed;
}

static void carryOut(Warp &warp, const Instruction &in, const AtomicInfo &info,
                     Space space, LaneMask lanes, std::byte *const *pointer) {
  Machine &machine = *warp.block->machine;
  bool hostAtomic =
      space != Space::Shared && warp.block->grid->machines.size() > 1;
  Combine combine = space == Space::Shared ? info.shared : info.global;
  bool cas = info.op == AtomicOp::CompareAndSwap;
  bool changes = false;
  forEachLane(lanes, [&](unsigned lane) {
    for (unsigned e = 0; e < info.count; ++e) {
      uint64_t operand = readLane(warp, in, info.data + e, lane, info.bytes);
      uint64_t swap = cas ? readLane(warp, in, info.swap, lane, info.bytes) : 0;
      uint64_t next = 0;
      uint64_t old = changeWord(pointer[lane] + e * info.bytes, info.bytes,
                                hostAtomic, [&](uint64_t value) {
                                  if (cas)
                                    next = value == operand ? swap : value;
                                  else
                                    next = combine(value, operand);
                                  return next;
                                });
      changes |= next != old;
      if (info.returns)
        writeLane(warp, in, e, lane, old);
    }
  });
  if (changes)
    machine.changed();
  else
    ++machine.polls;
}

static void atomicIn(Warp &warp, const Instruction &in, const AtomicInfo &info,
                     Space space, const uint64_t *address, LaneMask lanes) {
  if (space != Space::Global && space != Space::Shared)
    warp.fail(FindingKind::IllegalAddress, in, lanes,
              "atomic operations work on global and shared memory only");
  if (warp.observed) {
    lanes = observeAtomic(warp, in, info, space, address, lanes);
    if (!lanes)
      return;
  }
  alignas(64) std::byte *pointer[kLanes];
  resolvePointers(warp, in, space, address, lanes,
                  uint32_t{info.bytes} * info.count, true, pointer);
  carryOut(warp, in, info, space, lanes, pointer);
}

void handleAtomic(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const AtomicInfo *>(in.extra);
  uint64_t address[kLanes];
  readAddresses(warp, in, info.address, 0, address);
  forEachSpace(warp, in, info.space, address,
               [&](Space space, LaneMask lanes, const uint64_t *plain) {
                 atomicIn(warp, in, info, space, plain, lanes);
               });
}

//===----------------------------------------------------------------------===//
// 128 bits
//===----------------------------------------------------------------------===//

namespace {
struct Wide {
  uint64_t low, high;
  bool operator==(const Wide &) const = default;
};
} // namespace

static Wide readWide(const Warp &warp, const Instruction &in, unsigned operand,
                     unsigned lane) {
  const uint64_t *value = warp.lanes<uint64_t>(in.operand[operand]);
  return {value[lane], value[kLanes + lane]};
}

/// Portable over hosts without a 16-byte exchange: such words are rare, one
/// lock for all of them does.
static Wide changeWide(std::byte *at, const Wide *expected, const Wide &next) {
  static std::mutex lock;
  std::lock_guard<std::mutex> guard(lock);
  Wide old;
  std::memcpy(&old, at, sizeof old);
  if (!expected || old == *expected)
    std::memcpy(at, &next, sizeof next);
  return old;
}

void handleWideAtomic(Warp &warp, const Instruction &in) {
  const auto &info = *static_cast<const AtomicInfo *>(in.extra);
  uint64_t address[kLanes];
  readAddresses(warp, in, info.address, 0, address);
  bool cas = info.op == AtomicOp::CompareAndSwap;
  forEachSpace(
      warp, in, info.space, address,
      [&](Space space, LaneMask lanes, const uint64_t *plain) {
        if (space != Space::Global && space != Space::Shared)
          warp.fail(FindingKind::IllegalAddress, in, lanes,
                    "atomic operations work on global and shared memory only");
        if (warp.observed)
          lanes = observeAtomic(warp, in, info, space, plain, lanes);
        if (!lanes)
          return;
        std::byte *pointer[kLanes];
        resolvePointers(warp, in, space, plain, lanes, 16, true, pointer);
        forEachLane(lanes, [&](unsigned l) {
          Wide operand = readWide(warp, in, info.data, l);
          Wide next = cas ? readWide(warp, in, info.swap, l) : operand;
          Wide old = changeWide(pointer[l], cas ? &operand : nullptr, next);
          if (in.operand[0] == kNoSlot)
            return;
          uint64_t *d = warp.lanes<uint64_t>(in.operand[0]);
          d[l] = old.low;
          d[kLanes + l] = old.high;
        });
        warp.block->machine->changed();
      });
}

} // namespace ptx
