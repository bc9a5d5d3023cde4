// Tags of a set-associative cache.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_CACHESETS_H
#define PTX_COUNTERS_CACHESETS_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ptx {

/// A 128-byte line: its address / 128, modulo 2^32. Device memory of one
/// process does not spread over more than that.
using Line = uint32_t;

inline uint32_t hashLine(uint32_t line) {
  line ^= line >> 16;
  line *= 0x85ebca6b;
  line ^= line >> 13;
  line *= 0xc2b2ae35;
  return line ^ line >> 16;
}

/// Hashed sets, each ordered by use: the least recently used line goes first.
/// \p State is what the owner keeps of a line; State{} is a fresh one.
template <class State, unsigned Ways> class CacheSets {
  static_assert(Ways % 4 == 0);

public:
  explicit CacheSets(uint64_t lines)
      : sets(std::max<uint64_t>(1, lines / Ways)), tags(sets * Ways),
        used(sets * Ways), states(sets * Ways) {}

  /// The state of \p line where it is, or null; leaves the order as it is.
  State *peek(Line line) {
    size_t base = baseOf(line);
    unsigned way = wayOf(base, line);
    return way < Ways ? &states[base + way] : nullptr;
  }

  /// The same; the line becomes the most recent of its set.
  State *find(Line line) {
    size_t base = baseOf(line);
    unsigned way = wayOf(base, line);
    if (way == Ways)
      return nullptr;
    Line *tag = &tags[base];
    State *state = &states[base];
    State found = state[way];
    std::copy_backward(tag, tag + way, tag + way + 1);
    std::copy_backward(state, state + way, state + way + 1);
    tag[0] = line;
    state[0] = found;
    return state;
  }

  /// Makes \p line, which is not there, the most recent one.
  /// \p evicted(line, state) is called for the line that has to go.
  template <class Evicted> State *insert(Line line, Evicted evicted) {
    size_t base = baseOf(line);
    Line *tag = &tags[base];
    State *state = &states[base];
    Line lastTag = tag[Ways - 1];
    State lastState = state[Ways - 1];
    bool full = used[base / Ways] == Ways;
    std::copy_backward(tag, tag + Ways - 1, tag + Ways);
    std::copy_backward(state, state + Ways - 1, state + Ways);
    tag[0] = line;
    state[0] = State{};
    if (full)
      evicted(lastTag, lastState);
    else
      ++used[base / Ways];
    return state;
  }

private:
  size_t baseOf(Line line) const {
    return size_t(uint64_t(hashLine(line)) * sets >> 32) * Ways;
  }
  unsigned wayOf(size_t base, Line line) const {
    const Line *tag = &tags[base];
    unsigned count = used[base / Ways];
    for (unsigned way = 0; way < count; way += 4) {
      unsigned match = 0;
      for (unsigned i = 0; i < 4; ++i)
        match |= unsigned(tag[way + i] == line) << i;
      if (match) {
        way += unsigned(__builtin_ctz(match));
        return way < count ? way : Ways;
      }
    }
    return Ways;
  }

  uint64_t sets;
  std::vector<Line> tags;
  std::vector<uint8_t> used; ///< ways of a set that hold a line
  std::vector<State> states;
};

} // namespace ptx

#endif // PTX_COUNTERS_CACHESETS_H
