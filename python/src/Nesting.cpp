// A limit on the nesting of text, checked before it is parsed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Nesting.h"

#include <cstddef>

std::string mlir::moe::python::nestingProblem(const std::string &text) {
  int depth = 0;
  size_t line = 1, lineStart = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\n') {
      ++line;
      lineStart = i + 1;
    } else if (c == '"') {
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        i += text[i] == '\\';
    } else if (c == '/' && i + 1 < text.size() && text[i + 1] == '/') {
      i = text.find('\n', i) - 1; // the loop sees the line's end
      if (i >= text.size())
        break;
    } else if (c == '(' || c == '[' || c == '{' || c == '<') {
      if (++depth > kMaxNesting)
        return std::to_string(line) + ":" + std::to_string(i - lineStart + 1) +
               ": more than " + std::to_string(kMaxNesting) +
               " brackets are open here; text so deep is not accepted";
    } else if (c == ')' || c == ']' || c == '}' ||
               (c == '>' && (i == 0 || text[i - 1] != '-'))) {
      depth -= depth > 0;
    }
  }
  return "";
}
