// What ptx-run was asked to do.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_RUN_COMMANDLINE_H
#define PTX_RUN_COMMANDLINE_H

#include "ptx/Launch.h"

#include <string>
#include <vector>

namespace ptx_run {

struct Command {
  std::string file, kernel;
  std::vector<std::string> arguments; ///< as written
  ptx::LaunchOptions options;
  std::string countersFile; ///< empty: none
  std::string model = "h100";
  bool report = false, estimate = false;
  bool listIsa = false, listKernels = false, help = false;
};

/// Throws ptx::Error for what it does not understand.
Command parseCommandLine(int argc, char **argv);
extern const char kHelp[];

} // namespace ptx_run

#endif // PTX_RUN_COMMANDLINE_H
