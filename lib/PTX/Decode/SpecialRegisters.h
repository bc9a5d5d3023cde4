// %tid.x and its kin.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DECODE_SPECIALREGISTERS_H
#define PTX_DECODE_SPECIALREGISTERS_H

#include "Machine/Program.h"

#include <optional>
#include <string_view>

namespace ptx {

struct SpecialRegister {
  std::string_view name;
  bool isClock = false; ///< read at each use
  FrameValueKind kind = FrameValueKind::TidX;
  ClockKind clock = ClockKind::Clock;
  Width width = Width::Word;
  unsigned minSm = 0, minPtx = 0;
  uint64_t value = 0; ///< number of an %envreg or %pm
  /// May be moved into narrower registers, as when it was narrower itself.
  bool mayBeCut = false;
  bool isZero = false; ///< the unused fourth component of a vector
};

/// The special register called \p name (with `%`), if there is one.
std::optional<SpecialRegister> specialRegister(std::string_view name);

} // namespace ptx

#endif // PTX_DECODE_SPECIALREGISTERS_H
