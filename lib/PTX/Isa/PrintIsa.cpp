// The instruction table as text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"
#include "ptx/Isa.h"

#include <algorithm>
#include <ostream>

using namespace ptx;

namespace {
std::string version(unsigned number) {
  return number
             ? std::to_string(number / 10) + "." + std::to_string(number % 10)
             : "-";
}

std::string target(const Row &row) {
  if (!row.minSm)
    return "-";
  return "sm_" + std::to_string(row.minSm) + (row.needsA ? "a" : "");
}

std::string describe(const OperandSpec &spec) {
  std::string type(typeName(spec.type));
  switch (spec.kind) {
  case OperandKind::Register:
    return (spec.has(operand::PartNeeded) ? "part" : "reg") + type;
  case OperandKind::Source:
    return "src" + type;
  case OperandKind::SourceOrAddressOf:
    return "src|symbol" + type;
  case OperandKind::Predicate:
    return spec.has(operand::Negate) ? "[!]pred" : "pred";
  case OperandKind::Immediate:
    return "imm" + type + " " + std::to_string(spec.minimum) + ".." +
           std::to_string(spec.maximum);
  case OperandKind::Vector:
    return "{" + std::to_string(spec.count) + " x " + type + "}";
  case OperandKind::Address:
    return "[address]";
  case OperandKind::TensorAddress:
    return "[map, {" + std::to_string(spec.count) + "}]";
  case OperandKind::Label:
    return "label";
  case OperandKind::LabelTable:
    return "labels";
  case OperandKind::CallResults:
    return "(results)";
  case OperandKind::Callee:
    return "function";
  case OperandKind::CallArguments:
    return "(arguments)";
  case OperandKind::CallPrototype:
    return "prototype";
  }
  return "?";
}

std::string operandsOf(const Row &row) {
  std::string text;
  for (const OperandSpec &spec : row.operands) {
    std::string one = describe(spec);
    bool optional = spec.has(operand::Optional);
    if (spec.has(operand::Pair))
      text += optional ? "[|" + one + "]" : "|" + one;
    else if (optional)
      text += (text.empty() ? "[" : "[, ") + one + "]";
    else
      text += (text.empty() ? "" : ", ") + one;
  }
  return text;
}

std::string optionsOf(const Row &row) {
  std::string text;
  for (const OptionGroup &group : row.options) {
    text += "{";
    for (size_t i = 0; i < group.choices.size(); ++i)
      text += (i ? " " : "") + group.choices[i];
    text += "}";
  }
  return text;
}

/// The rows in the order a reader looks for them.
std::vector<const Row *> sortedRows(const IsaTable &table) {
  std::vector<const Row *> rows;
  for (const auto &row : table.rows())
    rows.push_back(row.get());
  // Ties keep the order in which the group added them.
  std::vector<std::pair<std::string_view, size_t>> order;
  for (size_t i = 0; i < rows.size(); ++i)
    order.push_back({rows[i]->opcode, i});
  std::sort(order.begin(), order.end());
  std::vector<const Row *> sorted;
  for (const auto &[opcode, index] : order)
    sorted.push_back(rows[index]);
  return sorted;
}
} // namespace

void IsaTable::print(std::ostream &out) const {
  for (const Row *row : sortedRows(*this)) {
    out << row->name() << optionsOf(*row) << "  " << operandsOf(*row)
        << "  ; PTX " << version(row->minPtx) << ", " << target(*row) << ", "
        << costName(row->cost) << "\n";
  }
}

void ptx::printIsa(std::ostream &out) { IsaTable::get().print(out); }

size_t ptx::isaSize() { return IsaTable::get().rows().size(); }
