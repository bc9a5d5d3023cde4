// The table of instruction forms.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"

#include "ptx/Error.h"

#include <algorithm>
#include <iterator>

namespace ptx {
#define PTX_ROW_GROUP(group) void register##group##Rows(IsaTable &table);
#include "RowGroups.inc"
#undef PTX_ROW_GROUP
} // namespace ptx

using namespace ptx;

namespace {
/// Modifiers whose order among their class has a meaning; class 0 is sorted.
int orderedClass(std::string_view modifier) {
  if (typeNamed(modifier) != Type::None)
    return 3;
  if (modifier == ".row" || modifier == ".col")
    return 2;
  if (modifier.substr(0, 10) == ".L2::evict") // of createpolicy: two of them
    return 4;
  std::string_view space = modifier.substr(0, modifier.find(':'));
  for (std::string_view name :
       {".global", ".shared", ".local", ".param", ".const"})
    if (space == name)
      return 1;
  return 0;
}

bool ordered(std::string_view a, std::string_view b) {
  int classA = orderedClass(a), classB = orderedClass(b);
  return classA != classB ? classA < classB : classA == 0 && a < b;
}

/// Sorts \p modifiers into the order in which look-ups compare them. Stable,
/// and by insertion: there are a dozen at most.
template <class String> void canonicalise(std::vector<String> &modifiers) {
  for (size_t i = 1; i < modifiers.size(); ++i)
    for (size_t j = i; j && ordered(modifiers[j], modifiers[j - 1]); --j)
      std::swap(modifiers[j], modifiers[j - 1]);
}

const std::string *choiceIn(const Row &row, std::string_view modifier,
                            size_t &group) {
  for (group = 0; group < row.options.size(); ++group)
    for (const std::string &choice : row.options[group].choices)
      if (choice == modifier)
        return &choice;
  return nullptr;
}

/// Takes the row's modifiers out of \p written (canonical) and gives what is
/// left; false if one of the row's is missing.
bool takeRequired(const Row &row, std::span<const std::string_view> written,
                  std::vector<std::string_view> &left) {
  left.clear();
  size_t next = 0;
  for (std::string_view modifier : written) {
    if (next < row.modifiers.size() && row.modifiers[next] == modifier)
      ++next;
    else
      left.push_back(modifier);
  }
  return next == row.modifiers.size();
}

/// True if everything left is an option, no two of one group.
bool takeOptions(const Row &row, std::span<const std::string_view> left) {
  std::vector<bool> used(row.options.size());
  for (std::string_view modifier : left) {
    size_t group = 0;
    if (!choiceIn(row, modifier, group) || used[group])
      return false;
    used[group] = true;
  }
  return true;
}

/// Says which modifier no form of the opcode knows, or that they do not go
/// together.
std::string explain(std::string_view opcode,
                    const std::vector<const Row *> &rows,
                    std::span<const std::string_view> written) {
  for (std::string_view modifier : written) {
    bool known = false;
    for (const Row *row : rows) {
      size_t group = 0;
      known |= std::find(row->modifiers.begin(), row->modifiers.end(),
                         modifier) != row->modifiers.end() ||
               choiceIn(*row, modifier, group);
    }
    if (!known)
      return "no form of '" + std::string(opcode) + "' has the modifier '" +
             std::string(modifier) + "'";
  }
  return "'" + std::string(opcode) +
         "' has no form with this combination of modifiers";
}

bool sameOperands(const Row &a, const Row &b) {
  return std::equal(a.operands.begin(), a.operands.end(), b.operands.begin(),
                    b.operands.end(),
                    [](const OperandSpec &x, const OperandSpec &y) {
                      // Constants may be told apart by their ranges.
                      return x.kind == y.kind && x.type == y.type &&
                             x.count == y.count && x.flags == y.flags &&
                             x.minimum <= y.maximum && y.minimum <= x.maximum;
                    });
}

void check(const Row &row) {
  auto fail = [&](const std::string &why) {
    throw Error("instruction table: " + row.name() + ": " + why);
  };
  if (row.opcode.empty())
    fail("no opcode");
  if (row.resultCount > row.operands.size())
    fail("more results than operands");
  for (const std::string &modifier : row.modifiers)
    if (modifier.size() < 2 || modifier[0] != '.')
      fail("bad modifier '" + modifier + "'");
  for (const OptionGroup &group : row.options)
    for (const std::string &choice : group.choices)
      if (choice.size() < 2 || choice[0] != '.')
        fail("bad option '" + choice + "'");
}
} // namespace

std::string Row::name() const {
  std::string text = opcode;
  for (const std::string &modifier : written.empty() ? modifiers : written)
    text += modifier;
  return text;
}

std::string_view ptx::costName(Cost cost) {
  static constexpr std::string_view names[] = {
      "alu",     "fma",    "half",   "double",  "special",
      "convert", "shared", "global", "local",   "constant",
      "atomic",  "matrix", "tensor", "barrier", "mbarrier",
      "control", "warp",   "async",  "other"};
  static_assert(std::size(names) == static_cast<size_t>(Cost::Other) + 1);
  return names[static_cast<size_t>(cost)];
}

const IsaTable &IsaTable::get() {
  static const IsaTable table = [] {
    IsaTable built;
#define PTX_ROW_GROUP(group) register##group##Rows(built);
#include "RowGroups.inc"
#undef PTX_ROW_GROUP
    return built;
  }();
  return table;
}

const Row &IsaTable::add(Row row) {
  check(row);
  auto owned = std::make_unique<Row>(std::move(row));
  owned->written = owned->modifiers;
  canonicalise(owned->modifiers);
  std::vector<const Row *> &same = byOpcode[owned->opcode];
  for (const Row *other : same)
    if (other->modifiers == owned->modifiers && sameOperands(*other, *owned))
      throw Error("instruction table: " + owned->name() + " is there twice");
  same.push_back(owned.get());
  all.push_back(std::move(owned));
  return *all.back();
}

Match IsaTable::find(std::string_view opcode,
                     std::span<const std::string_view> modifiers) const {
  Match match;
  auto found = byOpcode.find(std::string(opcode));
  if (found == byOpcode.end()) {
    match.problem = "unknown instruction '" + std::string(opcode) + "'";
    return match;
  }
  std::vector<std::string_view> written(modifiers.begin(), modifiers.end());
  canonicalise(written);
  std::vector<std::string_view> left, best;
  for (const Row *row : found->second) {
    if (!takeRequired(*row, written, left) || !takeOptions(*row, left))
      continue;
    // The form that needs most of what was written is the one meant.
    if (!match.rows.empty() && left.size() > best.size())
      continue;
    if (!match.rows.empty() && left.size() < best.size())
      match.rows.clear();
    best = left;
    match.rows.push_back(row);
  }
  match.options.assign(best.begin(), best.end());
  if (match.rows.empty())
    match.problem = explain(opcode, found->second, written);
  return match;
}

Match IsaTable::find(std::string_view text) const {
  std::vector<std::string_view> modifiers;
  size_t dot = text.find('.');
  std::string_view opcode = text.substr(0, dot);
  while (dot != std::string_view::npos) {
    size_t next = text.find('.', dot + 1);
    modifiers.push_back(text.substr(dot, next - dot));
    dot = next;
  }
  return find(opcode, modifiers);
}
