// A limit on the nesting of text, checked before it is parsed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef MOE_PYTHON_NESTING_H
#define MOE_PYTHON_NESTING_H

#include <string>

namespace mlir::moe::python {

/// Brackets that may be open at once. The parser descends once for each and
/// would overflow the stack of the process; programs stay far below.
inline constexpr int kMaxNesting = 500;

/// "line:column: ..." where MLIR text nests deeper than `kMaxNesting`; empty if
/// it does not. Brackets in strings and comments do not count.
std::string nestingProblem(const std::string &text);

} // namespace mlir::moe::python

#endif // MOE_PYTHON_NESTING_H
