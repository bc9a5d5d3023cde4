// The memory requests of one CTA.
//
// While a CTA runs, its requests beyond the SM are written down; the caches are
// modelled when the CTAs that share a chip with it are known (ChipReplay.h).
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_BLOCKTRACE_H
#define PTX_COUNTERS_BLOCKTRACE_H

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ptx {

enum class Request : uint8_t {
  Load,   ///< through L1
  Bypass, ///< loads past L1: .cg, volatile, acquire, bulk copies
  Store,
  Atomic, ///< and reductions
};

/// Sectors of one 128-byte line.
struct LineAccess {
  uint64_t line = 0;
  uint8_t sectors = 0;    ///< bit s: sector s is touched
  uint8_t partial = 0;    ///< of those, not all bytes are written
  uint32_t bytes[4] = {}; ///< of the partial ones
};

class BlockTrace {
public:
  uint64_t block = 0;
  uint32_t warps = 0;
  uint32_t duration = 0; ///< instructions of the busiest warp

  /// \p time: instructions the warp has executed. \p local: lines count from
  /// the start of the warp's local memory. \p site: the instruction.
  /// \p base: added to the numbers of the lines.
  void add(uint32_t time, unsigned warp, Request kind, bool local,
           uint32_t site, std::span<const LineAccess> lines, uint64_t base = 0);

  /// Orders the requests by time; call once, when the CTA is complete.
  void finish();

  struct Event {
    uint32_t time;
    uint32_t at; ///< in `words`
  };
  const std::vector<Event> &events() const { return order; }

  struct Header {
    uint32_t site;
    uint16_t warp;
    Request kind;
    bool local;
    uint32_t count;
  };
  Header header(const Event &event) const;
  /// Reads the next line of an event; \p cursor starts at event.at + 1.
  LineAccess line(uint32_t &cursor) const;

  size_t bytes() const {
    return words.capacity() * sizeof(uint64_t) +
           order.capacity() * sizeof(Event);
  }

private:
  std::vector<uint64_t> words;
  std::vector<Event> order;
};

} // namespace ptx

#endif // PTX_COUNTERS_BLOCKTRACE_H
