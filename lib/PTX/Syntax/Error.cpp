// The text of an error: where, what, why.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Error.h"

using namespace ptx;

Error::Error(std::string why) : why(std::move(why)), message(this->why) {}

Error::Error(uint32_t line, uint32_t column, std::string statement,
             std::string why)
    : line(line), column(column), statement(std::move(statement)),
      why(std::move(why)) {
  if (line)
    message = "line " + std::to_string(line) + ", column " +
              std::to_string(column) + ": ";
  message += this->why;
  if (!this->statement.empty())
    message += "\n  " + this->statement;
}
