// The one exception the emulator throws.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ERROR_H
#define PTX_ERROR_H

#include <cstdint>
#include <exception>
#include <string>

namespace ptx {

/// A PTX text, a launch or a request that cannot be honoured. The library
/// throws nothing else, except std::bad_alloc.
///
/// Errors about PTX text carry the position; others have line 0.
class Error : public std::exception {
public:
  explicit Error(std::string why);
  Error(uint32_t line, uint32_t column, std::string statement, std::string why);

  const char *what() const noexcept override { return message.c_str(); }

  uint32_t line = 0;   ///< 1-based line of the PTX text; 0: not about text.
  uint32_t column = 0; ///< 1-based byte of the line.
  /// The statement as written (one line, cut when very long); may be empty.
  std::string statement;
  std::string why; ///< What is wrong, and what to do about it.

private:
  std::string message; ///< All of the above, for what().
};

} // namespace ptx

#endif // PTX_ERROR_H
