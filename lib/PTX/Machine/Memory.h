// Loads, stores and how addresses resolve.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_MEMORY_H
#define PTX_MACHINE_MEMORY_H

#include "Machine/Access.h"
#include "Machine/Block.h"
#include "Machine/Instruction.h"

#include <cstddef>
#include <cstdint>

namespace ptx {

/// Elements of an access that fill the registers they name, so that a warp's
/// access may be copied whole; Half and Byte are extended to 32 bits. Other
/// forms go lane by lane.
enum class ElementForm : uint8_t {
  Other,
  Byte,
  Half,
  Word,
  Words2,
  Words4,
  Double,
  Doubles2
};

/// Instruction::extra of ld and st.
struct MemoryInfo {
  Space space = Space::Generic;
  uint8_t bytes = 4; ///< of an element in memory
  uint8_t count = 1; ///< elements
  bool isSigned = false;
  bool nonCoherent = false;
  bool pastL1 = false; ///< .cg, .cv: L1 does not answer
  Order order = Order::Weak;
  Scope scope = Scope::None;
  uint8_t address = 0; ///< operand index of the address
  uint8_t data = 0;    ///< operand index of the first element
  ElementForm form = ElementForm::Other;

  uint32_t total() const { return uint32_t{bytes} * count; }
};

#define PTX_DECLARE_MEMORY_HANDLERS(LEVEL)                                     \
  namespace LEVEL {                                                            \
  void handleLoad(Warp &, const Instruction &);                                \
  void handleStore(Warp &, const Instruction &);                               \
  }
PTX_DECLARE_MEMORY_HANDLERS(baseline)
PTX_DECLARE_MEMORY_HANDLERS(avx2)
PTX_DECLARE_MEMORY_HANDLERS(avx512)

/// The space generic addresses lie in; Generic for none.
inline Space windowOf(uint64_t address) {
  switch (address >> kWindowShift) {
  case 0:
    return Space::Global;
  case 1:
    return Space::Shared;
  case 2:
    return Space::Local;
  case 3:
    return Space::Param;
  default:
    return Space::Generic;
  }
}

/// Pointers of all 32 lanes into host memory for the lanes in \p lanes, the
/// others' to that of the first of them. Addresses as in Access. Fails
/// the launch where a lane's bytes are nowhere.
void resolvePointers(Warp &warp, const Instruction &in, Space space,
                     const uint64_t *address, LaneMask lanes, uint32_t bytes,
                     bool writes, std::byte **pointer);

/// Tell the observers of a load or store, with the poison that moves along;
/// return the lanes to carry out. The loaded registers of refused lanes are 0.
LaneMask observeLoad(Warp &warp, const Instruction &in, const MemoryInfo &info,
                     Space space, const uint64_t *address, LaneMask lanes);
LaneMask observeStore(Warp &warp, const Instruction &in, const MemoryInfo &info,
                      Space space, const uint64_t *address, LaneMask lanes);

/// Asks observers that check: true if all is defined, and need not be looked at
/// lane by lane. Loaded registers are defined then.
bool passesChecks(Warp &warp, const Instruction &in, const MemoryInfo &info,
                  const WholeAccess &access);

/// Calls \p body(space, lanes, address) for each space that generic addresses
/// of `warp.active` reach, addresses without their window. Others: once.
template <class Body>
void forEachSpace(Warp &warp, const Instruction &in, Space space,
                  uint64_t *address, Body body);
/// Lanes whose generic address lies in the same window as the lowest lane's;
/// takes the windows off their addresses.
LaneMask takeWindow(Warp &warp, const Instruction &in, LaneMask lanes,
                    uint64_t *address, Space &space);

template <class Body>
void forEachSpace(Warp &warp, const Instruction &in, Space space,
                  uint64_t *address, Body body) {
  if (space != Space::Generic) {
    body(space, warp.active, address);
    return;
  }
  for (LaneMask rest = warp.active; rest;) {
    Space found;
    LaneMask lanes = takeWindow(warp, in, rest, address, found);
    body(found, lanes, address);
    rest &= ~lanes;
  }
}

/// Fails for lanes whose address is no multiple of \p align.
void checkAlignment(Warp &warp, const Instruction &in, const uint64_t *address,
                    LaneMask lanes, uint32_t align);
/// Reports undefined addresses.
void checkAddressPoison(Warp &warp, const Instruction &in, unsigned operand);

} // namespace ptx

#endif // PTX_MACHINE_MEMORY_H
