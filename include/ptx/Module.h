// A PTX module that was read and checked.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MODULE_H
#define PTX_MODULE_H

#include "ptx/Types.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ptx {

struct Program;
class ProgramFacts;

/// A parameter of a kernel: `size` bytes at `offset` of the parameter buffer.
struct ParamInfo {
  std::string name;
  Type type = Type::B64;  ///< B8 for arrays of bytes (structs)
  uint32_t size = 0;      ///< bytes
  uint32_t alignment = 1; ///< bytes
  uint32_t offset = 0;    ///< bytes
  bool isArray = false;
  bool isPointer = false; ///< declared `.ptr`
  Space pointerSpace = Space::Generic;
  uint32_t pointerAlignment = 0;
};

struct KernelInfo {
  std::string name;
  std::vector<ParamInfo> params;
  uint32_t paramBytes = 0;
  /// All zero where the kernel does not say.
  Dim3 maxntid{0, 0, 0}, reqntid{0, 0, 0}, reqCluster{0, 0, 0};
  uint32_t maxClusterRank = 0; ///< 0: not given
  uint32_t minBlocksPerSm = 0, maxRegisters = 0;
  bool explicitCluster = false;
  bool blocksAreClusters = false;      ///< grids are given in clusters
  uint32_t staticShared = 0;           ///< bytes
  bool usesDynamicShared = false;      ///< names an `.extern .shared` array
  uint32_t dynamicSharedAlignment = 1; ///< of that array
  uint32_t localBytes = 0;             ///< `.local` of the kernel, a thread
  unsigned sm = 0;                     ///< the module's target: 90
  char smSuffix = 0;                   ///< 'a', 'f' or 0
  uint32_t line = 0;                   ///< of its name in the text
  uint32_t function = 0;               ///< index in Program::functions
};

/// A `.global` or `.const` variable of the module.
struct VariableInfo {
  std::string name;
  Space space = Space::Global;
  uint64_t size = 0;
  uint32_t alignment = 1;
  uint32_t index = 0; ///< in Program::variables
};

/// A module: cheap to copy, immutable, safe to share between threads.
class Module {
public:
  /// Reads and checks \p text, which is copied. Throws Error with line,
  /// column, the statement and the reason. \p name is for messages.
  static Module parse(std::string_view text, std::string name = "ptx");

  const std::map<std::string, KernelInfo, std::less<>> &kernels() const;
  /// Throws Error that lists the kernels there are.
  const KernelInfo &kernel(std::string_view name) const;
  const std::map<std::string, VariableInfo, std::less<>> &variables() const;

  unsigned sm() const;         ///< `.target`: 90
  char smSuffix() const;       ///< 'a', 'f' or 0
  unsigned ptxVersion() const; ///< `.version`: 87
  const std::string &name() const;
  const std::string &text() const;
  /// Line \p number (from 1) of the text, without its line end; empty if there
  /// is none.
  std::string_view line(uint32_t number) const;
  /// The source files `.loc` speaks of, by number.
  const std::map<uint32_t, std::string> &sourceFiles() const;

  /// What the machine executes.
  const Program &program() const;
  /// What launches found out about it.
  const ProgramFacts &facts() const;

private:
  struct State;
  explicit Module(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state;
  friend class ModuleDecoder;
};

} // namespace ptx

#endif // PTX_MODULE_H
