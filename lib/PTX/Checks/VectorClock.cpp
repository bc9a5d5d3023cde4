// What a thread knows of all others.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/VectorClock.h"

#include <algorithm>

using namespace ptx::checks;

Known::Known(Tick all, unsigned lane, Tick own) : all(all) {
  if (own > all) {
    exception = lane;
    this->own = own;
  }
}

Known::Known(const std::array<Tick, 32> &ticks) {
  auto [least, most] = std::minmax_element(ticks.begin(), ticks.end());
  all = *least;
  if (*least == *most)
    return;
  lanes = Counted<Lanes>::make();
  lanes.own().ticks = ticks;
}

Tick Known::least() const {
  if (lanes)
    return *std::min_element(lanes->ticks.begin(), lanes->ticks.end());
  return all;
}

Tick Known::most() const {
  if (lanes)
    return *std::max_element(lanes->ticks.begin(), lanes->ticks.end());
  return exception == kNone ? all : own;
}

void Known::expand() {
  if (lanes)
    return;
  Counted<Lanes> made = Counted<Lanes>::make();
  auto &ticks = made.own().ticks;
  ticks.fill(all);
  if (exception != kNone)
    ticks[exception] = own;
  lanes = std::move(made);
}

bool Known::join(const Known &other) {
  if (lanes && lanes == other.lanes)
    return false;
  if (!other.lanes && other.most() <= least())
    return false;
  if (!lanes && most() <= other.least()) {
    *this = other;
    return true;
  }
  bool uniform = !lanes && !other.lanes;
  if (uniform && (exception == other.exception || exception == kNone ||
                  other.exception == kNone)) {
    Tick before = all, ownBefore = own;
    uint32_t lane = exception == kNone ? other.exception : exception;
    Tick mine = std::max(exception == kNone ? all : own,
                         other.exception == kNone ? other.all : other.own);
    all = std::max(all, other.all);
    exception = mine > all ? lane : kNone;
    own = mine > all ? mine : 0;
    return all != before || own != ownBefore;
  }
  expand();
  bool changed = false;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (Tick theirs = other.of(lane); theirs > lanes->ticks[lane]) {
      lanes.own().ticks[lane] = theirs;
      changed = true;
    }
  return changed;
}

const Known *VectorClock::find(uint32_t warp) const {
  if (!root || (warp >> kBits * (height + 1)) != 0)
    return nullptr;
  const Node *node = root.get();
  for (unsigned level = height; level > 0; --level) {
    node = node->children[warp >> kBits * level & (kFan - 1)].get();
    if (!node)
      return nullptr;
  }
  return &node->entries[warp & (kFan - 1)];
}

void VectorClock::grow(unsigned toHeight) {
  if (!root) {
    height = toHeight;
    return;
  }
  for (; height < toHeight; ++height) {
    Counted<Node> above = Counted<Node>::make();
    above.own().children[0] = std::move(root);
    root = std::move(above);
  }
}

void VectorClock::raise(uint32_t warp, const Known &known) {
  unsigned needed = 0;
  while (needed < 7 && (warp >> kBits * (needed + 1)) != 0)
    ++needed;
  if (needed > height || !root)
    grow(std::max(needed, height));
  Counted<Node> *at = &root;
  for (unsigned level = height;; --level) {
    if (!*at) {
      *at = Counted<Node>::make();
      at->own().isLeaf = level == 0;
    }
    Node &node = at->own();
    if (level == 0) {
      node.entries[warp & (kFan - 1)].join(known);
      return;
    }
    at = &node.children[warp >> kBits * level & (kFan - 1)];
  }
}

Counted<VectorClock::Node> VectorClock::joined(const Counted<Node> &a,
                                               const Counted<Node> &b) {
  if (!b || a == b)
    return a;
  if (!a)
    return b;
  Counted<Node> result = a;
  bool coversA = true; // b knows all that a knows: then share b
  for (unsigned i = 0; i < kFan; ++i) {
    if (a->isLeaf) {
      Known entry = a->entries[i];
      bool changed = entry.join(b->entries[i]);
      coversA = coversA && entry == b->entries[i];
      if (changed)
        result.own().entries[i] = std::move(entry);
    } else {
      Counted<Node> child = joined(a->children[i], b->children[i]);
      coversA = coversA && child == b->children[i];
      if (!(child == a->children[i]))
        result.own().children[i] = std::move(child);
    }
  }
  return coversA ? b : result;
}

void VectorClock::join(const VectorClock &other) {
  if (!other.root || root == other.root)
    return;
  if (!root) {
    *this = other;
    return;
  }
  if (height < other.height)
    grow(other.height);
  if (height == other.height) {
    root = joined(root, other.root);
    return;
  }
  VectorClock taller = other;
  taller.grow(height);
  root = joined(root, taller.root);
}
