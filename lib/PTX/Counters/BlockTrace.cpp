// The memory requests of one CTA.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/BlockTrace.h"

#include <algorithm>

namespace ptx {

/// Warps of a CTA do not run in step: older ones go first.
static constexpr uint32_t kWarpStagger = 5;

// A request is a header word, then a word a line: the line's number above its
// sectors and which of them are partial. Two partial sectors share a word of
// byte masks.
void BlockTrace::add(uint32_t time, unsigned warp, Request kind, bool local,
                     uint32_t site, std::span<const LineAccess> lines,
                     uint64_t base) {
  order.push_back({time + warp * kWarpStagger, uint32_t(words.size())});
  words.push_back(uint64_t(site) << 32 | uint64_t(warp & 0x7ff) << 20 |
                  uint64_t(kind) << 17 | uint64_t(local) << 16 | lines.size());
  for (const LineAccess &a : lines) {
    words.push_back((a.line + base) << 8 | uint64_t(a.sectors) << 4 |
                    a.partial);
    uint64_t masks[4];
    unsigned n = 0;
    for (unsigned s = 0; s < 4; ++s)
      if (a.partial >> s & 1)
        masks[n++] = a.bytes[s];
    for (unsigned m = 0; m < n; m += 2)
      words.push_back(masks[m] | (m + 1 < n ? masks[m + 1] << 32 : 0));
  }
}

void BlockTrace::finish() {
  std::sort(order.begin(), order.end(), [](const Event &a, const Event &b) {
    return a.time != b.time ? a.time < b.time : a.at < b.at;
  });
  order.shrink_to_fit();
  words.shrink_to_fit();
}

BlockTrace::Header BlockTrace::header(const Event &event) const {
  uint64_t word = words[event.at];
  return {uint32_t(word >> 32), uint16_t(word >> 20 & 0x7ff),
          Request(word >> 17 & 7), bool(word >> 16 & 1),
          uint32_t(word & 0xffff)};
}

LineAccess BlockTrace::line(uint32_t &cursor) const {
  uint64_t word = words[cursor++];
  LineAccess a;
  a.line = word >> 8;
  a.sectors = word >> 4 & 15;
  a.partial = word & 15;
  unsigned n = 0;
  for (unsigned s = 0; s < 4; ++s) {
    if (!(a.partial >> s & 1))
      continue;
    a.bytes[s] = uint32_t(words[cursor + n / 2] >> 32 * (n % 2));
    ++n;
  }
  cursor += (n + 1) / 2;
  return a;
}

} // namespace ptx
