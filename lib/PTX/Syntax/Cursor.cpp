// The lexer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Syntax/Cursor.h"

#include <cstring>

using namespace ptx::syntax;

bool Cursor::skipOne() {
  if (*at == '\n') {
    newLine();
    return true;
  }
  if (*at != '/') {
    ++at;
    return true;
  }
  if (peek(1) == '/') {
    const void *lineEnd = std::memchr(at, '\n', static_cast<size_t>(end - at));
    at = lineEnd ? static_cast<const char *>(lineEnd) : end;
    return true;
  }
  if (peek(1) != '*')
    return false;
  for (at += 2; at != end;) {
    if (*at == '*' && peek(1) == '/') {
      at += 2;
      return true;
    }
    if (*at == '\n')
      newLine();
    else
      ++at;
  }
  unclosed = true;
  return true;
}
