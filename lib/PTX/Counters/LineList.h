// The lines an access touches, with their bytes.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_LINELIST_H
#define PTX_COUNTERS_LINELIST_H

#include "Counters/BlockTrace.h"
#include "Machine/Access.h"

#include <array>

namespace ptx {

/// Do the lanes, all 32, lie one behind the other without gaps?
/// The 128-byte lines of one access of up to 32 bytes a lane.
class LineList {
public:
  /// Partial sectors are told for stores only.
  void assign(const Access &access, bool stores);

  const LineAccess *begin() const { return lines.data(); }
  const LineAccess *end() const { return lines.data() + count; }

private:
  void addBytes(uint64_t first, uint32_t bytes, bool stores);
  void addRun(uint64_t first, uint64_t end, bool stores);
  void addLocal(const Access &access);
  LineAccess &lineOf(uint64_t number);

  std::array<LineAccess, 2 * kLanes * 4> lines;
  unsigned count = 0;
};

} // namespace ptx

#endif // PTX_COUNTERS_LINELIST_H
