// Names and what they stand for, by scope.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/NameTable.h"

using namespace ptx;

template <class Value>
bool NameTable::Scope<Value>::add(std::string_view name, const Value &value,
                                  unsigned depth) {
  int64_t index = static_cast<int64_t>(bindings.size());
  auto [position, added] = current.try_emplace(name, index);
  int64_t hidden = added ? -1 : position->second;
  if (hidden >= 0 && bindings[static_cast<size_t>(hidden)].depth == depth)
    return false;
  position->second = index;
  bindings.push_back({name, value, depth, hidden});
  return true;
}

template <class Value> void NameTable::Scope<Value>::truncate(size_t size) {
  while (bindings.size() > size) {
    const Binding<Value> &last = bindings.back();
    if (last.hidden < 0)
      current.erase(last.name);
    else
      current[last.name] = last.hidden;
    bindings.pop_back();
  }
}

void NameTable::open() {
  marks.push_back({names.bindings.size(), ranges.bindings.size()});
}

void NameTable::close() {
  names.truncate(marks.back().names);
  ranges.truncate(marks.back().ranges);
  marks.pop_back();
}

bool NameTable::declare(std::string_view name, const Symbol &symbol) {
  return names.add(name, symbol, depth());
}

bool NameTable::declareRange(std::string_view prefix,
                             const RegisterRange &range) {
  return ranges.add(prefix, range, depth());
}

const Symbol *NameTable::find(std::string_view name) const {
  auto found = names.current.find(name);
  return found == names.current.end()
             ? nullptr
             : &names.bindings[static_cast<size_t>(found->second)].value;
}

NameTable::Numbered NameTable::findNumbered(std::string_view name) {
  Numbered best;
  uint64_t number = 0, scale = 1;
  size_t length = name.size();
  // `t12` may be number 12 of `t<20>` or number 2 of `t1<5>`.
  for (unsigned digits = 0; digits < 8 && length > 1; ++digits) {
    char c = name[length - 1];
    if (c < '0' || c > '9')
      break;
    --length;
    number += scale * static_cast<uint64_t>(c - '0');
    scale *= 10;
    auto found = ranges.current.find(name.substr(0, length));
    if (found == ranges.current.end())
      continue;
    Binding<RegisterRange> &binding =
        ranges.bindings[static_cast<size_t>(found->second)];
    if (number < binding.value.count &&
        (!best.range || binding.depth >= best.depth))
      best = {&binding.value, static_cast<uint32_t>(number), binding.depth};
  }
  if (best.range) {
    auto plain = names.current.find(name);
    if (plain != names.current.end() &&
        names.bindings[static_cast<size_t>(plain->second)].depth >= best.depth)
      return {};
  }
  return best;
}
