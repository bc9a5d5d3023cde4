// One declaration, several names.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_SYNTAX_PARSEVARIABLE_H
#define PTX_SYNTAX_PARSEVARIABLE_H

#include "Syntax/Parser.h"

namespace ptx::syntax {

/// Parses what follows `.global`, `.reg` and so on up to the `;` and gives
/// every variable to \p sink.
template <class Sink>
void Parser::parseVariables(Space space, Linkage linkage, Sink &&sink) {
  Variable base;
  base.space = space;
  base.linkage = linkage;
  parseVariableSpecifiers(base);
  do {
    Variable variable = base;
    parseDeclarator(variable);
    if (cursor.take('='))
      parseInitialiser(variable);
    checkVariable(variable);
    sink(std::move(variable));
  } while (cursor.take(','));
  expect(';', "behind a declaration");
}

} // namespace ptx::syntax

#endif // PTX_SYNTAX_PARSEVARIABLE_H
