// Runs a PTX kernel without a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arguments.h"
#include "CommandLine.h"
#include "Npy.h"

#include "ptx/Counters.h"
#include "ptx/Error.h"
#include "ptx/Isa.h"
#include "ptx/Launch.h"
#include "ptx/Model.h"
#include "ptx/Module.h"

#include <cstdio>
#include <iostream>
#include <new>

using namespace ptx_run;

namespace {
constexpr int kClean = 0, kFound = 1, kFailed = 2;

void listKernels(const ptx::Module &module) {
  for (const auto &[name, kernel] : module.kernels()) {
    std::printf("%s\n  target sm_%u%.1s, %u bytes of static shared memory\n",
                name.c_str(), kernel.sm, &kernel.smSuffix, kernel.staticShared);
    if (kernel.reqntid.x)
      std::printf("  block must be %u,%u,%u\n", kernel.reqntid.x,
                  kernel.reqntid.y, kernel.reqntid.z);
    else if (kernel.maxntid.x)
      std::printf("  block at most %u,%u,%u\n", kernel.maxntid.x,
                  kernel.maxntid.y, kernel.maxntid.z);
    for (const ptx::ParamInfo &param : kernel.params)
      std::printf("  %-6.*s %s (%u bytes%s)\n",
                  static_cast<int>(typeName(param.type).size()),
                  typeName(param.type).data(), param.name.c_str(), param.size,
                  param.isPointer ? ", pointer" : "");
  }
}

const ptx::KernelInfo &chooseKernel(const ptx::Module &module,
                                    const std::string &name) {
  if (!name.empty())
    return module.kernel(name);
  if (module.kernels().size() == 1)
    return module.kernels().begin()->second;
  std::string names;
  for (const auto &[known, kernel] : module.kernels())
    names += " " + known;
  throw ptx::Error("--kernel says which one to run; the file has" +
                   (names.empty() ? " none" : names));
}

void printTime(const ptx::CounterValues &counters, const ptx::Chip &chip) {
  ptx::TimeEstimate time = estimateTime(counters, chip);
  std::printf("modelled on %.*s: %.2f us, between %.2f and %.2f us, limited "
              "by %.*s\n",
              static_cast<int>(chip.title.size()), chip.title.data(),
              time.point * 1e6, time.lower * 1e6, time.upper * 1e6,
              static_cast<int>(time.limit.size()), time.limit.data());
}

int run(const Command &command, const ptx::Module &module) {
  const ptx::KernelInfo &kernel = chooseKernel(module, command.kernel);
  ptx::Device device;
  Arguments arguments(device, kernel, command.arguments);
  ptx::LaunchResult result = launch(device, module, kernel.name,
                                    command.options, arguments.parameters());
  std::fwrite(result.log.data(), 1, result.log.size(), stdout);
  std::fflush(stdout);
  for (const ptx::Finding &finding : result.findings)
    std::cerr << command.file << ": " << finding.text() << "\n";
  if (result.completed)
    arguments.writeOutputs();
  else
    std::cerr << command.file << ": the kernel did not run to its end; no "
              << "output was written\n";
  if (result.counters) {
    const ptx::Chip &chip = ptx::chipNamed(command.model);
    if (!command.countersFile.empty())
      writeText(command.countersFile, result.counters->json() + "\n");
    if (command.report)
      printReport(std::cout, *result.counters, chip, module.text());
    else if (command.estimate)
      printTime(*result.counters, chip);
  }
  return result.findings.empty() && result.completed ? kClean : kFound;
}

int execute(int argc, char **argv) {
  Command command = parseCommandLine(argc, argv);
  if (command.help) {
    std::fputs(kHelp, stdout);
    return kClean;
  }
  if (command.listIsa) {
    ptx::printIsa(std::cout);
    return kClean;
  }
  ptx::Module module = [&] {
    try {
      return ptx::Module::parse(readText(command.file), command.file);
    } catch (const ptx::Error &error) {
      if (error.line == 0)
        throw;
      throw ptx::Error(
          command.file + ":" + std::to_string(error.line) + ":" +
          std::to_string(error.column) + ": " + error.why +
          (error.statement.empty() ? "" : "\n  " + error.statement));
    }
  }();
  if (command.listKernels) {
    listKernels(module);
    return kClean;
  }
  return run(command, module);
}
} // namespace

int main(int argc, char **argv) {
  try {
    return execute(argc, argv);
  } catch (const ptx::Error &error) {
    std::cerr << "ptx-run: error: " << error.what() << "\n";
  } catch (const std::bad_alloc &) {
    std::cerr << "ptx-run: error: this machine has not enough memory\n";
  }
  return kFailed;
}
