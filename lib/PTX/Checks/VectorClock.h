// What a thread knows of all others.
//
// A vector clock with one entry a warp, as a persistent tree: copies cost one
// pointer, clocks of neighbours share what they have in common. That matters
// where blocks pass knowledge on in a chain (decoupled look-back): n blocks
// would otherwise need n * n entries.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_CHECKS_VECTORCLOCK_H
#define PTX_CHECKS_VECTORCLOCK_H

#include <array>
#include <cstdint>
#include <utility>

namespace ptx::checks {

/// Time of a warp: it moves on at each synchronisation of one of its lanes.
using Tick = uint32_t;

/// A pointer to a counted object; one host thread at a time uses it.
template <class T> class Counted {
public:
  Counted() = default;
  Counted(const Counted &other) : object(other.object) {
    if (object)
      ++object->references;
  }
  Counted(Counted &&other) noexcept
      : object(std::exchange(other.object, nullptr)) {}
  Counted &operator=(Counted other) noexcept {
    std::swap(object, other.object);
    return *this;
  }
  ~Counted() { reset(); }

  template <class... Args> static Counted make(Args &&...args) {
    Counted result;
    result.object = new T(std::forward<Args>(args)...);
    result.object->references = 1;
    return result;
  }
  void reset() {
    T *old = std::exchange(object, nullptr);
    if (old && --old->references == 0)
      delete old;
  }
  /// The object for writing: a copy of it if someone else holds it too.
  T &own() {
    if (object->references > 1)
      *this = make(*object);
    return *object;
  }
  const T *get() const { return object; }
  const T *operator->() const { return object; }
  const T &operator*() const { return *object; }
  explicit operator bool() const { return object; }
  bool operator==(const Counted &other) const { return object == other.object; }

private:
  T *object = nullptr;
};

/// What is known of one warp: all events of lane l up to tick `of(l)`.
class Known {
public:
  Known() = default;
  explicit Known(Tick all) : all(all) {}
  /// Every lane up to \p all, and \p lane up to \p own.
  Known(Tick all, unsigned lane, Tick own);
  explicit Known(const std::array<Tick, 32> &lanes);

  Tick of(unsigned lane) const {
    if (lanes)
      return lanes->ticks[lane];
    return lane == exception ? own : all;
  }
  /// The least and the largest of(l).
  Tick least() const;
  Tick most() const;
  /// Takes the larger tick of each lane; false if nothing changed.
  bool join(const Known &other);
  bool operator==(const Known &) const = default;

private:
  static constexpr uint32_t kNone = ~0u;
  struct Lanes {
    uint32_t references = 0;
    std::array<Tick, 32> ticks;
  };
  void expand();

  Tick all = 0;
  uint32_t exception = kNone; ///< a lane that is ahead of `all`
  Tick own = 0;               ///< its tick
  Counted<Lanes> lanes;       ///< instead of the above
};

/// Entries by warp number; an absent entry knows nothing.
class VectorClock {
public:
  /// Tick up to which events of \p lane of \p warp are known.
  Tick of(uint32_t warp, unsigned lane) const {
    const Known *known = find(warp);
    return known ? known->of(lane) : 0;
  }
  const Known *find(uint32_t warp) const;
  void raise(uint32_t warp, const Known &known);
  void join(const VectorClock &other);
  bool empty() const { return !root; }
  bool same(const VectorClock &other) const { return root == other.root; }

private:
  static constexpr unsigned kBits = 4, kFan = 1u << kBits;
  struct Node {
    uint32_t references = 0;
    bool isLeaf = false;
    std::array<Counted<Node>, kFan> children; ///< of an inner node
    std::array<Known, kFan> entries;          ///< of a leaf
  };

  static Counted<Node> joined(const Counted<Node> &a, const Counted<Node> &b);
  void grow(unsigned toHeight);

  Counted<Node> root;
  unsigned height = 0; ///< levels of inner nodes above the leaves
};

} // namespace ptx::checks

#endif // PTX_CHECKS_VECTORCLOCK_H
