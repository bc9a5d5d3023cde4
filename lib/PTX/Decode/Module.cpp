// The public face of a decoded module.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Module.h"

#include "Decode/ModuleDecoder.h"
#include "Machine/ProgramFacts.h"
#include "Syntax/Parser.h"
#include "ptx/Error.h"

using namespace ptx;

struct Module::State {
  std::string name, text;
  unsigned sm = 0, version = 0;
  char suffix = 0;
  Program program;
  ProgramFacts facts{program};
  std::map<std::string, KernelInfo, std::less<>> kernels;
  std::map<std::string, VariableInfo, std::less<>> variables;
  std::map<uint32_t, std::string> files;
  std::vector<size_t> lineBegins; ///< offsets in the text
};

Module::Module(std::shared_ptr<const State> state) : state(std::move(state)) {}

Module Module::parse(std::string_view text, std::string name) {
  auto made = std::make_shared<State>();
  made->name = std::move(name);
  made->text = text;
  syntax::Module ast = syntax::Parser(made->text).parse();
  ModuleDecoder decoder(ast, IsaTable::get());
  decoder.decode();
  made->program = decoder.takeProgram();
  made->kernels = std::move(decoder.kernels);
  made->sm = ast.sm;
  made->version = ast.version;
  made->suffix = ast.smSuffix;
  for (const syntax::SourceFile &file : ast.files)
    made->files[file.number] = file.name;
  for (uint32_t i = 0; i < made->program.variables.size(); ++i) {
    const GlobalVariable &variable = made->program.variables[i];
    made->variables[variable.name] = {variable.name, variable.space,
                                      variable.size, variable.alignment, i};
  }
  made->lineBegins.push_back(0);
  for (size_t at = 0; (at = made->text.find('\n', at)) != std::string::npos;
       ++at)
    made->lineBegins.push_back(at + 1);
  return Module(made);
}

const std::map<std::string, KernelInfo, std::less<>> &Module::kernels() const {
  return state->kernels;
}

const KernelInfo &Module::kernel(std::string_view name) const {
  auto found = state->kernels.find(name);
  if (found != state->kernels.end())
    return found->second;
  std::string list;
  for (const auto &[known, info] : state->kernels) {
    if (list.size() > 500) {
      list += ", ...";
      break;
    }
    list += (list.empty() ? "" : ", ") + known;
  }
  throw Error("there is no kernel '" + std::string(name) + "' in " +
              state->name +
              (list.empty() ? ": it has none" : "; it has: " + list));
}

const std::map<std::string, VariableInfo, std::less<>> &
Module::variables() const {
  return state->variables;
}

unsigned Module::sm() const { return state->sm; }
char Module::smSuffix() const { return state->suffix; }
unsigned Module::ptxVersion() const { return state->version; }
const std::string &Module::name() const { return state->name; }
const std::string &Module::text() const { return state->text; }

std::string_view Module::line(uint32_t number) const {
  if (!number || number > state->lineBegins.size())
    return {};
  size_t begin = state->lineBegins[number - 1];
  size_t end = number < state->lineBegins.size() ? state->lineBegins[number] - 1
                                                 : state->text.size();
  std::string_view line =
      std::string_view(state->text).substr(begin, end - begin);
  if (!line.empty() && line.back() == '\r')
    line.remove_suffix(1);
  return line;
}

const std::map<uint32_t, std::string> &Module::sourceFiles() const {
  return state->files;
}

const Program &Module::program() const { return state->program; }
const ProgramFacts &Module::facts() const { return state->facts; }
