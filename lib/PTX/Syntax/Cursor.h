// A position in PTX text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_SYNTAX_CURSOR_H
#define PTX_SYNTAX_CURSOR_H

#include "Syntax/Ast.h"

#include <array>

namespace ptx::syntax {

namespace character {
enum : uint8_t { Blank = 1, First = 2, Inside = 4, Digit = 8, Letter = 16 };

inline constexpr std::array<uint8_t, 256> kinds = [] {
  std::array<uint8_t, 256> table{};
  for (unsigned char c : {' ', '\t', '\r', '\n', '\f', '\v'})
    table[c] = Blank;
  for (unsigned c = 'a'; c <= 'z'; ++c)
    table[c] = table[c - 'a' + 'A'] = First | Inside | Letter;
  for (unsigned c = '0'; c <= '9'; ++c)
    table[c] = Inside | Digit;
  for (unsigned char c : {'_', '$', '%'})
    table[c] = First | Inside;
  table['%'] = First; // `%` only begins a name
  return table;
}();

inline bool is(char c, uint8_t kind) {
  return kinds[static_cast<unsigned char>(c)] & kind;
}
} // namespace character

/// Walks over the bytes of a text and counts its lines. Cheap to copy: a copy
/// is a place to go back to.
class Cursor {
public:
  Cursor() = default;
  explicit Cursor(std::string_view text)
      : begin(text.data()), at(text.data()), end(text.data() + text.size()),
        lineBegin(text.data()) {}

  bool atEnd() const { return at == end; }
  /// The byte here, or 0 at the end (a 0 in the text is no valid byte either).
  char peek() const { return at == end ? '\0' : *at; }
  char peek(size_t ahead) const {
    return static_cast<size_t>(end - at) > ahead ? at[ahead] : '\0';
  }
  /// Steps over one byte that is no line end.
  void step() { ++at; }
  void step(size_t bytes) { at += bytes; }

  /// Skips blanks and comments. An unclosed comment ends at the end of the
  /// text and sets `unclosed`.
  void skip() {
    while (at != end && (character::is(*at, character::Blank) || *at == '/'))
      if (!skipOne())
        return;
  }

  /// Skips, then takes \p c if it is next.
  bool take(char c) {
    skip();
    if (at == end || *at != c)
      return false;
    ++at;
    return true;
  }

  /// The identifier here (no blanks are skipped); empty if there is none.
  std::string_view identifier() {
    const char *from = at;
    if (at == end || !character::is(*at, character::First))
      return {};
    if (++at == end && *from == '%')
      return {};
    while (at != end && character::is(*at, character::Inside))
      ++at;
    return {from, static_cast<size_t>(at - from)};
  }

  Position position() const {
    return {line, static_cast<uint32_t>(at - lineBegin) + 1};
  }
  uint32_t offset() const { return static_cast<uint32_t>(at - begin); }
  const char *pointer() const { return at; }
  std::string_view since(const Cursor &start) const {
    return {start.at, static_cast<size_t>(at - start.at)};
  }
  void newLine() {
    ++at;
    ++line;
    lineBegin = at;
  }
  bool hasUnclosedComment() const { return unclosed; }

private:
  /// Skips a blank or a comment; false if the `/` begins none.
  bool skipOne();

  const char *begin = nullptr, *at = nullptr, *end = nullptr;
  const char *lineBegin = nullptr;
  uint32_t line = 1;
  bool unclosed = false;
};

} // namespace ptx::syntax

#endif // PTX_SYNTAX_CURSOR_H
