// Heads of functions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Syntax/Parser.h"

using namespace ptx;
using namespace ptx::syntax;

void Parser::parseFunction(bool isEntry, Linkage linkage) {
  Function function;
  function.isEntry = isEntry;
  function.linkage = linkage;
  function.position = statementPosition;
  parseSignature(function);
  parsePerformance(function);
  cursor.skip();
  if (cursor.peek() == '{') {
    cursor.step();
    function.hasBody = true;
    parseBody(function);
  } else {
    expect(';', "or a body behind the head of a function");
  }
  if (function.hasBody && linkage == Linkage::Extern)
    failAt(function.position, "an '.extern' function cannot have a body");
  if (!function.hasBody && isEntry && linkage != Linkage::Extern)
    failAt(function.position,
           "the kernel '" + std::string(function.name) + "' has no body");
  module.functions.push_back(std::move(function));
}

void Parser::parseSignature(Function &function) {
  cursor.skip();
  // `.func .attribute(...)`, `.func .noreturn` come before the results too.
  parsePerformance(function);
  if (!function.isEntry && cursor.peek() == '(')
    function.results = parseParameters();
  cursor.skip();
  function.position = cursor.position();
  function.name = expectIdentifier("the name of a function");
  cursor.skip();
  if (cursor.peek() == '(')
    function.parameters = parseParameters();
}

void Parser::parsePerformance(Function &function) {
  for (;;) {
    cursor.skip();
    if (cursor.peek() != '.')
      return;
    Position position = cursor.position();
    std::string_view name = expectDirective("of a function");
    if (!parsePerformanceDirective(function, name))
      failAt(position,
             "unknown directive '" + std::string(name) + "' of a function");
  }
}

bool Parser::parsePerformanceDirective(Function &function,
                                       std::string_view name) {
  auto number = [&](std::string_view what) {
    return static_cast<uint32_t>(parseInteger(0, UINT32_MAX, what));
  };
  if (name == ".maxntid") {
    function.hasMaxntid = true;
    function.maxntid = parseDim3();
  } else if (name == ".reqntid") {
    function.hasReqntid = true;
    function.reqntid = parseDim3();
  } else if (name == ".reqnctapercluster") {
    function.hasReqCluster = true;
    function.reqCluster = parseDim3();
  } else if (name == ".minnctapersm") {
    function.minnctapersm = number("the number of blocks");
  } else if (name == ".maxnctapersm") {
    number("the number of blocks");
  } else if (name == ".maxnreg") {
    function.maxnreg = number("the number of registers");
  } else if (name == ".maxclusterrank") {
    function.maxClusterRank = number("the number of blocks");
  } else if (name == ".explicitcluster") {
    function.explicitCluster = true;
  } else if (name == ".noreturn") {
    function.noReturn = true;
  } else if (name == ".abi_preserve" || name == ".abi_preserve_control" ||
             name == ".local_maxnreg") {
    number("the number of registers");
  } else if (name == ".pragma") {
    skipPragma();
  } else if (name == ".attribute") {
    Variable ignored;
    parseAttribute(ignored);
  } else if (name == ".blocksareclusters") {
    function.blocksAreClusters = true;
  } else if (name != ".unified" && name != ".unique") {
    return false;
  }
  return true;
}

Dim3 Parser::parseDim3() {
  Dim3 dim;
  uint32_t *parts[] = {&dim.x, &dim.y, &dim.z};
  for (int i = 0; i < 3; ++i) {
    *parts[i] = static_cast<uint32_t>(
        parseInteger(1, INT32_MAX, "an extent of a block or cluster"));
    if (i == 2 || !cursor.take(','))
      break;
  }
  return dim;
}

std::vector<Variable> Parser::parseParameters() {
  std::vector<Variable> parameters;
  expect('(', "before parameters");
  if (cursor.take(')'))
    return parameters;
  do {
    if (parameters.size() == limit::ParameterCount)
      fail("more than " + std::to_string(limit::ParameterCount) +
           " parameters");
    parameters.push_back(parseParameter());
  } while (cursor.take(','));
  expect(')', "behind parameters");
  return parameters;
}

Variable Parser::parseParameter() {
  cursor.skip();
  Variable parameter;
  std::string_view directive = expectDirective("in a parameter list");
  if (directive == ".hidden")
    directive = expectDirective("in a parameter list");
  if (directive == ".reg")
    parameter.space = Space::Register;
  else if (directive == ".param")
    parameter.space = Space::Param;
  else
    fail("a parameter is '.param' or '.reg', not '" + std::string(directive) +
         "'");
  parseVariableSpecifiers(parameter);
  parsePointerAttributes(parameter);
  cursor.skip();
  // `_` and nothing are names of prototypes' parameters.
  if (cursor.peek() == ',' || cursor.peek() == ')') {
    parameter.position = cursor.position();
    return parameter;
  }
  parseDeclarator(parameter);
  if (parameter.isRange)
    failAt(parameter.position, "a parameter cannot be a register range");
  checkVariable(parameter);
  return parameter;
}

/// `.ptr .global .align 16` and a trailing `.align`.
void Parser::parsePointerAttributes(Variable &variable) {
  for (;;) {
    cursor.skip();
    if (cursor.peek() != '.')
      return;
    Position position = cursor.position();
    std::string_view name = expectDirective("of a parameter");
    if (name == ".ptr") {
      variable.isPointer = true;
    } else if (variable.isPointer && name == ".global") {
      variable.pointerSpace = Space::Global;
    } else if (variable.isPointer && name == ".shared") {
      variable.pointerSpace = Space::Shared;
    } else if (variable.isPointer && name == ".local") {
      variable.pointerSpace = Space::Local;
    } else if (variable.isPointer && name == ".const") {
      variable.pointerSpace = Space::Constant;
    } else if (name == ".align") {
      uint32_t value =
          static_cast<uint32_t>(parseInteger(1, 1 << 20, "an alignment"));
      if (value & (value - 1))
        failAt(position, "an alignment must be a power of two");
      (variable.isPointer ? variable.pointerAlignment : variable.alignment) =
          value;
    } else {
      failAt(position,
             "unknown attribute '" + std::string(name) + "' of a parameter");
    }
  }
}
