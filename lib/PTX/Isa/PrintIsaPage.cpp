// The instruction table for readers.
//
// Thousands of forms differ in a type, a rounding or a comparison. Those are
// folded: a line stands for all forms that are equal but for such words.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"
#include "ptx/Isa.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <set>

using namespace ptx;

namespace {
bool isOneOf(std::string_view word,
             std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool isShape(std::string_view word) {
  return word.size() > 4 && word[1] == 'm' && word[2] >= '0' &&
         word[2] <= '9' && word.find('n') != word.npos;
}

/// The word that stands for a modifier and its like; empty for a flag, which
/// only says how; the modifier itself otherwise.
std::string_view familyOf(std::string_view opcode, std::string_view word) {
  if (typeNamed(word) != Type::None)
    return ".type";
  if (isOneOf(word, {".ftz", ".sat", ".relu", ".satfinite", ".NaN", ".abs",
                     ".xorsign", ".L2::cache_hint", ".trans", ".cc"}))
    return {};
  if (isOneOf(word, {".rn", ".rz", ".rm", ".rp", ".rni", ".rzi", ".rmi", ".rpi",
                     ".rna"}))
    return ".round";
  if (isShape(word))
    return ".shape";
  if (isOneOf(word, {".row", ".col"}))
    return ".layout";
  std::string_view space = word.substr(0, word.find(':'));
  if (isOneOf(space, {".global", ".shared", ".local", ".param", ".const"}))
    return ".space";
  if (isOneOf(word, {".v2", ".v4", ".v8"}))
    return ".vec";
  if (isOneOf(word, {".x1", ".x2", ".x4"}))
    return ".num";
  if (isOneOf(word, {".cta", ".cluster", ".gpu", ".sys", ".gl"}))
    return ".scope";
  if (isOneOf(word, {".1d", ".2d", ".3d", ".4d", ".5d"}))
    return ".dim";
  if (word.substr(0, 10) == ".L2::evict")
    return ".policy";
  bool sets = opcode == "set" || opcode == "setp";
  if (isOneOf(word, {".and", ".or", ".xor"}))
    return sets ? ".bool" : ".op";
  if (sets)
    return ".cmp";
  if (isOneOf(word, {".add", ".min", ".max", ".inc", ".dec", ".exch"}))
    return ".op";
  return word;
}

/// Forms that differ in words of the same families only.
struct Line {
  size_t forms = 0;
  unsigned minSm = ~0u, minPtx = ~0u;
  bool needsA = false;
  std::set<std::string> flags;
  std::map<std::string, std::set<std::string>> words; // by family
};

std::string join(const std::set<std::string> &words) {
  std::string text;
  for (const std::string &word : words)
    text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string patternOf(const Row &row, Line &line) {
  std::string pattern = row.opcode;
  for (const std::string &word :
       row.written.empty() ? row.modifiers : row.written) {
    std::string family(familyOf(row.opcode, word));
    if (family.empty()) {
      line.flags.insert(word);
      continue;
    }
    if (family != word)
      line.words[family].insert(word);
    pattern += family;
  }
  for (const OptionGroup &group : row.options)
    line.flags.insert(group.choices.begin(), group.choices.end());
  return pattern;
}

void printLine(std::ostream &out, const std::string &pattern,
               const Line &line) {
  out << "| `" << pattern << "` | ";
  const char *separator = "";
  for (const auto &[family, words] : line.words) {
    out << separator << family.substr(1) << ": `" << join(words) << "`";
    separator = "; ";
  }
  if (!line.flags.empty())
    out << separator << "also `" << join(line.flags) << "`";
  out << " | " << line.forms << " | ";
  if (line.minPtx)
    out << line.minPtx / 10 << '.' << line.minPtx % 10;
  out << " | ";
  if (line.minSm)
    out << "sm_" << line.minSm << (line.needsA ? "a" : "");
  out << " |\n";
}
} // namespace

void ptx::printIsaMarkdown(std::ostream &out) {
  std::map<std::string_view, std::map<std::string, Line>> sections;
  for (const auto &row : IsaTable::get().rows()) {
    if (row->opcode[0] == '%')
      continue;
    Line found;
    std::string pattern = patternOf(*row, found);
    Line &line = sections[costName(row->cost)][pattern];
    ++line.forms;
    if (row->minSm < line.minSm)
      line.needsA = row->needsA;
    line.minSm = std::min(line.minSm, row->minSm);
    line.minPtx = std::min(line.minPtx, row->minPtx);
    line.flags.merge(found.flags);
    for (auto &[family, words] : found.words)
      line.words[family].merge(words);
  }
  out << "Each line stands for several forms; not every combination of its "
         "words exists.\n`ptx-run --list-isa` prints every form with its "
         "operands. PTX and target are those of\nthe oldest form of the "
         "line.\n";
  for (const auto &[name, lines] : sections) {
    out << "\n## " << name
        << "\n\n| form | with | forms | PTX | target |\n"
           "| --- | --- | --- | --- | --- |\n";
    for (const auto &[pattern, line] : lines)
      printLine(out, pattern, line);
  }
}
