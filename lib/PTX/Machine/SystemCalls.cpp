// Functions the device runtime provides.
//
// vprintf, __assertfail, malloc and free, as nvcc's and Triton's output calls
// them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Handlers.h"
#include "Machine/Machine.h"
#include "Machine/Memory.h"
#include "Machine/Printf.h"

#include "ptx/Error.h"

#include <cstring>

namespace ptx {

/// Argument \p index of a lane.
static uint64_t argument(const Warp &warp, const CallSite &site, unsigned index,
                         unsigned lane) {
  const Actual &actual = site.arguments[index];
  uint64_t value = 0;
  if (!actual.inRegister) {
    const std::byte *at = warp.frame->params.data +
                          size_t{lane} * warp.frame->function->paramBytes +
                          actual.offset;
    std::memcpy(&value, at, actual.size < 8 ? actual.size : 8);
  } else if (actual.width == Width::Double) {
    value = warp.lanes<uint64_t>(actual.slot)[lane];
  } else {
    value = warp.lanes<uint32_t>(actual.slot)[lane];
  }
  return value;
}

static void setResult(Warp &warp, const CallSite &site, unsigned lane,
                      uint64_t value) {
  if (site.results.empty())
    return;
  const Actual &actual = site.results[0];
  if (!actual.inRegister)
    std::memcpy(warp.frame->params.data +
                    size_t{lane} * warp.frame->function->paramBytes +
                    actual.offset,
                &value, actual.size < 8 ? actual.size : 8);
  else if (actual.slot == kNoSlot)
    return;
  else if (actual.width == Width::Double)
    warp.lanes<uint64_t>(actual.slot)[lane] = value;
  else
    warp.lanes<uint32_t>(actual.slot)[lane] = static_cast<uint32_t>(value);
}

/// Memory at a generic address as a lane sees it; null if there is none.
static const std::byte *genericBytes(Warp &warp, unsigned lane,
                                     uint64_t address, uint64_t bytes) {
  uint64_t plain = address & ((uint64_t{1} << kWindowShift) - 1);
  switch (windowOf(address)) {
  case Space::Global:
    return globalPointer(*warp.block, address, bytes);
  case Space::Shared:
    return sharedPointer(*warp.block, plain, bytes);
  case Space::Local:
    return localPointer(warp, lane, plain, bytes);
  default:
    return nullptr;
  }
}

static std::string readString(Warp &warp, const Instruction &in, unsigned lane,
                              uint64_t address) {
  std::string text;
  if (!address)
    return "(null)";
  for (; text.size() < 65536; ++address) {
    const std::byte *byte = genericBytes(warp, lane, address, 1);
    if (!byte)
      warp.fail(FindingKind::OutOfBounds, in, 1u << lane,
                "a string runs into memory that is not allocated");
    if (*byte == std::byte{0})
      break;
    text += static_cast<char>(*byte);
  }
  return text;
}

static void print(Warp &warp, const Instruction &in, const CallSite &site) {
  Machine &machine = *warp.block->machine;
  forEachLane(warp.active, [&](unsigned lane) {
    std::string format =
        readString(warp, in, lane, argument(warp, site, 0, lane));
    uint64_t buffer = argument(warp, site, 1, lane);
    PrintfSource source;
    source.bytes = [&](uint64_t offset, unsigned size) {
      const std::byte *at = genericBytes(warp, lane, buffer + offset, size);
      if (!at)
        warp.fail(FindingKind::OutOfBounds, in, 1u << lane,
                  "printf reads an argument that was not passed");
      uint64_t value = 0;
      std::memcpy(&value, at, size);
      return value;
    };
    source.string = [&](uint64_t address) {
      return readString(warp, in, lane, address);
    };
    int count = 0;
    machine.journal.print(formatPrintf(format, source, count));
    setResult(warp, site, lane, static_cast<uint32_t>(count));
  });
  machine.changed();
}

static void failAssertion(Warp &warp, const Instruction &in,
                          const CallSite &site) {
  unsigned lane = __builtin_ctz(warp.active);
  auto text = [&](unsigned index) {
    return index < site.arguments.size()
               ? readString(warp, in, lane, argument(warp, site, index, lane))
               : std::string();
  };
  std::string line =
      site.arguments.size() > 2
          ? std::to_string(static_cast<uint32_t>(argument(warp, site, 2, lane)))
          : "?";
  std::string message = text(1) + ":" + line + ": " + text(3) +
                        ": Assertion `" + text(0) + "` failed.";
  warp.block->machine->journal.print(message + "\n");
  warp.fail(FindingKind::Assertion, in, warp.active, message);
}

/// Device-side malloc gives null when the heap is used up; that is no error.
static void allocate(Warp &warp, const CallSite &site) {
  Machine &machine = *warp.block->machine;
  Device &device = *warp.block->grid->device;
  forEachLane(warp.active, [&](unsigned lane) {
    uint64_t bytes = argument(warp, site, 0, lane), address = 0;
    if (device.takeHeap(bytes)) {
      try {
        address = device.allocate(bytes, "device malloc");
      } catch (const Error &) {
        device.returnHeap(bytes);
      }
    }
    if (address && machine.observer)
      machine.observer->onAllocate(address, bytes);
    setResult(warp, site, lane, address);
  });
  machine.changed();
}

static void release(Warp &warp, const Instruction &in, const CallSite &site) {
  Machine &machine = *warp.block->machine;
  Device &device = *warp.block->grid->device;
  forEachLane(warp.active, [&](unsigned lane) {
    uint64_t address = argument(warp, site, 0, lane);
    if (!address)
      return;
    auto allocation = device.find(address);
    if (!allocation || allocation->address != address)
      warp.fail(device.findFreed(address) ? FindingKind::UseAfterFree
                                          : FindingKind::IllegalAddress,
                in, 1u << lane,
                device.findFreed(address)
                    ? "frees memory that was freed already"
                    : "frees an address that malloc did not return");
    uint64_t bytes = allocation->bytes;
    for (Machine *each : warp.block->grid->machines)
      each->forgetRanges();
    for (GlobalRange &range : machine.ranges)
      range = GlobalRange{};
    device.free(address);
    device.returnHeap(bytes);
    if (machine.observer)
      machine.observer->onFree(address, bytes);
  });
  machine.changed();
}

void callSystem(Warp &warp, const Instruction &in, const CallSite &site) {
  if (site.system == "vprintf")
    print(warp, in, site);
  else if (site.system == "__assertfail")
    failAssertion(warp, in, site);
  else if (site.system == "malloc")
    allocate(warp, site);
  else
    release(warp, in, site);
}

} // namespace ptx
