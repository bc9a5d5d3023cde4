// Conversions of addresses, cache hints.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_ADDRESSOPS_H
#define PTX_MACHINE_ADDRESSOPS_H

#include "Machine/Instruction.h"

namespace ptx {

class DecodeContext;

enum class AddressWindow : uint8_t {
  Global,
  Constant,
  Local,
  Shared,
  SharedCluster,
  Param,
};
struct AddressInfo {
  AddressWindow window = AddressWindow::Global;
  bool generic = true; ///< mapa, getctarank: of generic addresses
};
void decodeAddressOp(DecodeContext &, Instruction &);

void handleToGeneric(Warp &, const Instruction &); ///< cvta
void handleToSpace(Warp &, const Instruction &);   ///< cvta.to
void handleIsSpace(Warp &, const Instruction &);
void handleMapAddress(Warp &, const Instruction &);
void handleGetRank(Warp &, const Instruction &);

struct PrefetchInfo {
  Space space = Space::Generic;
  uint32_t bytes = 32;
};
void decodePrefetch(DecodeContext &, Instruction &);
void handlePrefetch(Warp &, const Instruction &);
void handleDiscard(Warp &, const Instruction &);
void handleCreatePolicy(Warp &, const Instruction &);

} // namespace ptx

#endif // PTX_MACHINE_ADDRESSOPS_H
