// From an instruction's text to its row of the table.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/FormLookup.h"

#include <algorithm>

using namespace ptx;

namespace {
std::string versionText(unsigned version) {
  return std::to_string(version / 10) + "." + std::to_string(version % 10);
}

void findSpaces(Form &form) {
  for (std::string_view modifier : form.modifiers) {
    std::string_view base = modifier.substr(0, modifier.find(':'));
    if (base == ".global")
      form.spaces.push_back(Space::Global);
    else if (base == ".shared")
      form.spaces.push_back(Space::Shared);
    else if (base == ".local")
      form.spaces.push_back(Space::Local);
    else if (base == ".param")
      form.spaces.push_back(Space::Param);
    else if (base == ".const")
      form.spaces.push_back(Space::Constant);
  }
}
/// What exists and is not modelled: an opcode, or a modifier of any.
struct Unmodelled {
  std::string_view name, why;
};
constexpr std::string_view kTextures = "textures and surfaces are not modelled";
constexpr std::string_view kIm2col =
    "tensor maps of im2col mode are not modelled";
constexpr Unmodelled kUnmodelled[] = {
    {"tcgen05", "tensor memory and its instructions are not modelled"},
    {"multimem", "its addresses name the memory of several devices at once, "
                 "and one device is modelled"},
    {"tex", kTextures},
    {"tld4", kTextures},
    {"txq", kTextures},
    {"suld", kTextures},
    {"sust", kTextures},
    {"sured", kTextures},
    {"suq", kTextures},
    {"istypep", kTextures},
    {".im2col", kIm2col},
    {".im2col::w", kIm2col},
    {".im2col::w::128", kIm2col},
    {".im2col_no_offs", kIm2col},
};

/// St.async and red.async that no mbarrier hears of.
bool isDetached(const Form &form) {
  bool async = false, signals = false;
  for (std::string_view modifier : form.modifiers) {
    async |= modifier == ".async";
    signals |= modifier == ".mbarrier::complete_tx::bytes";
  }
  return (form.opcode == "st" || form.opcode == "red") && async && !signals;
}

/// Why a form is not there though PTX has it; empty if nothing is known of it.
std::string_view whyUnmodelled(const Form &form) {
  if (isDetached(form))
    return "no mbarrier hears of it, and nothing waits for its completion";
  for (const Unmodelled &one : kUnmodelled) {
    if (one.name == form.opcode)
      return one.why;
    for (std::string_view modifier : form.modifiers)
      if (one.name == modifier)
        return one.why;
  }
  return {};
}
} // namespace

const Form &FormLookup::find(std::string_view text) {
  std::unique_ptr<Form> &form = known[text];
  if (!form)
    form = make(text);
  return *form;
}

std::unique_ptr<Form> FormLookup::make(std::string_view text) const {
  auto form = std::make_unique<Form>();
  size_t dot = text.find('.');
  form->opcode = text.substr(0, dot);
  while (dot != std::string_view::npos) {
    size_t next = text.find('.', dot + 1);
    form->modifiers.push_back(text.substr(dot, next - dot));
    dot = next;
  }
  findSpaces(*form);
  if (form->opcode[0] == '%') { // pseudo instructions of the decoder
    form->problem = "unknown instruction '" + std::string(form->opcode) + "'";
    return form;
  }
  Match match = table.find(form->opcode, form->modifiers);
  form->options = std::move(match.options);
  form->problem = std::move(match.problem);
  if (std::string_view why = whyUnmodelled(*form);
      match.rows.empty() && !why.empty())
    form->problem =
        "'" + std::string(text) + "' is not supported: " + std::string(why);
  for (const Row *row : match.rows) {
    std::string problem = gate(*row, *form);
    if (problem.empty())
      form->rows.push_back(row);
    else
      form->problem = std::move(problem);
  }
  return form;
}

/// Why the module may not use the row; empty if it may.
std::string FormLookup::gate(const Row &row, const Form &form) const {
  unsigned minSm = row.minSm, minPtx = row.minPtx;
  for (const OptionGroup &group : row.options)
    for (const std::string &option : form.options)
      if (std::find(group.choices.begin(), group.choices.end(), option) !=
          group.choices.end()) {
        minSm = std::max(minSm, group.minSm);
        minPtx = std::max(minPtx, group.minPtx);
      }
  std::string name = "'" + row.name() + "'";
  std::string has = "sm_" + std::to_string(target.sm) +
                    (target.suffix ? std::string(1, target.suffix) : "");
  if (target.sm < minSm)
    return name + " needs sm_" + std::to_string(minSm) +
           (row.needsA ? "a" : "") + ", but '.target' is " + has;
  bool otherFamily = target.sm / 10 != row.minSm / 10 && !row.laterFamilies;
  if (row.needsA &&
      (!target.suffix || otherFamily || (row.onlyA && target.suffix != 'a')))
    return name + " needs sm_" + std::to_string(row.minSm) +
           "a, but '.target' is " + has;
  if (target.version < minPtx)
    return name + " needs PTX ISA " + versionText(minPtx) +
           ", but '.version' is " + versionText(target.version);
  return {};
}
