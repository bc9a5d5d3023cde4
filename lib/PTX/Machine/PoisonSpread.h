// Undefined sources make results undefined; see PoisonPlan.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_POISONSPREAD_H
#define PTX_MACHINE_POISONSPREAD_H

#include "Machine/PoisonPlan.h"
#include "Machine/Warp.h"

namespace ptx {

/// The masks of undefined lanes of the running frame.
class PoisonMasks {
public:
  explicit PoisonMasks(const Warp &warp)
      : bases{reinterpret_cast<std::byte *>(warp.poison), warp.base[0]} {}
  LaneMask &at(PoisonPlan::Place place) const {
    return *reinterpret_cast<LaneMask *>(bases[place >> 31] +
                                         (place & ~PoisonPlan::kInRegisters));
  }
  /// Lanes of a mask become as undefined as \p undefined says.
  void set(PoisonPlan::Place place, LaneMask lanes, LaneMask undefined) const {
    LaneMask &mask = at(place);
    mask = (mask & ~lanes) | (undefined & lanes);
  }

private:
  std::byte *bases[2];
};

/// Lanes whose guard is undefined.
inline LaneMask guardPoison(const Warp &warp, const Instruction &in) {
  if (!(in.flags & kGuarded) || (in.guard & kConstant))
    return 0;
  return (&warp.predicate(in.guard))[1];
}

/// The kinds of entries with lists of any length.
void spreadLists(const PoisonPlan &plan, const PoisonPlan::Entry &entry,
                 Warp &warp, const Instruction &in);

/// After \p in was executed for `warp.active`; entry.spreads().
inline void spreadPoison(const PoisonPlan &plan, const PoisonPlan::Entry &entry,
                         Warp &warp, const Instruction &in) {
  const PoisonMasks masks(warp);
  const PoisonPlan::Place *few = entry.few;
  const LaneMask guard = guardPoison(warp, in);
  const LaneMask lanes = warp.active | guard;
  switch (entry.kind) {
  case PoisonPlan::Kind::FewWords: {
    const LaneMask first = masks.at(few[2]), second = masks.at(few[3]);
    masks.set(few[0], lanes, first | guard);
    masks.set(few[1], lanes, second | guard);
    return;
  }
  case PoisonPlan::Kind::FewSources: {
    LaneMask undefined = guard | masks.at(few[2]) | masks.at(few[3]);
    if (entry.sources > 2)
      undefined |= masks.at(few[4]) | masks.at(few[5]);
    masks.set(few[0], lanes, undefined);
    if (entry.results > 1)
      masks.set(few[1], lanes, undefined);
    return;
  }
  default:
    spreadLists(plan, entry, warp, in);
  }
}

} // namespace ptx

#endif // PTX_MACHINE_POISONSPREAD_H
