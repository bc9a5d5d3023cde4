// What ptx-run was asked to do.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CommandLine.h"

#include "ptx/Error.h"
#include "ptx/Model.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <getopt.h>
#include <sstream>

using namespace ptx_run;
using namespace ptx;

const char ptx_run::kHelp[] =
    R"(usage: ptx-run FILE.ptx --kernel NAME --grid X[,Y[,Z]] --block X[,Y[,Z]] [option]...
       ptx-run FILE.ptx --list-kernels
       ptx-run --list-isa

Runs a PTX kernel on the CPU, checks it, and counts what costs time on a GPU.

launch
  --kernel NAME         may be left out if the file has one kernel
  --grid, --block X[,Y[,Z]]   blocks; threads of a block
  --cluster X[,Y[,Z]]   blocks of a cluster (default: as the kernel says)
  --shared N            bytes of dynamic shared memory
  --cooperative         all blocks must be resident at once
  --arg ARGUMENT        one for each parameter, in order:
      i32:5 u64:7 f32:1.5 f16:.. bf16:.. f64:..   a number
      in:x.npy                   a buffer with the contents of a file
      out:f32[32x1024]:y.npy     an undefined buffer, written to a file
      inout:x.npy:y.npy          read from one file, written to another
      scratch:u8[4096]           an undefined buffer
      zero:f32[1024]             a buffer of zeros
      ref:0  ref:0+64            the buffer of argument 0 again (at a byte)
      map:BUFFER:box=64x128[:type=tf32][:swizzle=128][:atomicity=32][:flip]
                           [:stride=1x2][:nan]
                                 a tensor map of one of the buffers above
      bytes:0a0b..  null         a struct in hexadecimal; a null pointer
what to look for
  --check LIST          of bounds,race,poison,async,same-value-race; all (default:
                        the first four) or none
  --counters FILE       write the counters as JSON
  --report              print what costs time, the hottest blocks annotated
  --model h100|a100     the chip that is modelled; prints the modelled time
how to run
  --arch sm_NN          whose limits and numerics hold (default: the target)
  --order round-robin|random  --seed N
  --resident N          blocks in flight at once
  --threads N           threads of the CPU
  --tensor exact|fast   tensor cores bit by bit, or in float32
  --completion latest|earliest   when asynchronous copies take effect
  --budget N            warp instructions after which the launch ends

Findings go to standard error. Exit status: 0 nothing found, 1 something found,
2 the launch could not be made. Output files are written only if the kernel ran
to its end.
)";

namespace {
enum Option : int {
  Kernel = 256,
  Grid,
  Block,
  ClusterSize,
  Shared,
  Cooperative,
  Arg,
  Check,
  Counters,
  Report,
  Model,
  Arch,
  OrderOption,
  Seed,
  Resident,
  Threads,
  Tensor,
  CompletionOption,
  Budget,
  ListIsa,
  ListKernels,
  Help,
};
const option kOptions[] = {
    {"kernel", required_argument, nullptr, Kernel},
    {"grid", required_argument, nullptr, Grid},
    {"block", required_argument, nullptr, Block},
    {"cluster", required_argument, nullptr, ClusterSize},
    {"shared", required_argument, nullptr, Shared},
    {"cooperative", no_argument, nullptr, Cooperative},
    {"arg", required_argument, nullptr, Arg},
    {"check", required_argument, nullptr, Check},
    {"counters", required_argument, nullptr, Counters},
    {"report", no_argument, nullptr, Report},
    {"model", required_argument, nullptr, Model},
    {"arch", required_argument, nullptr, Arch},
    {"order", required_argument, nullptr, OrderOption},
    {"seed", required_argument, nullptr, Seed},
    {"resident", required_argument, nullptr, Resident},
    {"threads", required_argument, nullptr, Threads},
    {"tensor", required_argument, nullptr, Tensor},
    {"completion", required_argument, nullptr, CompletionOption},
    {"budget", required_argument, nullptr, Budget},
    {"list-isa", no_argument, nullptr, ListIsa},
    {"list-kernels", no_argument, nullptr, ListKernels},
    {"help", no_argument, nullptr, Help},
    {nullptr, 0, nullptr, 0}};

[[noreturn]] void refuse(const std::string &option, const std::string &value,
                         const std::string &expected) {
  throw Error("--" + option + " " + value + ": expected " + expected);
}

uint64_t number(const std::string &option, const std::string &text,
                uint64_t least, uint64_t most) {
  char *end = nullptr;
  errno = 0;
  uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (errno || end == text.c_str() || *end || text[0] == '-' || value < least ||
      value > most)
    refuse(option, text,
           "an integer from " + std::to_string(least) + " to " +
               std::to_string(most));
  return value;
}

Dim3 size(const std::string &option, const std::string &text) {
  uint32_t sizes[3] = {1, 1, 1};
  unsigned count = 0;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    if (count == 3)
      refuse(option, text, "at most three sizes");
    sizes[count++] = static_cast<uint32_t>(number(option, part, 1, UINT_MAX));
  }
  if (count == 0)
    refuse(option, text, "X[,Y[,Z]]");
  return {sizes[0], sizes[1], sizes[2]};
}

CheckSet checks(const std::string &text) {
  CheckSet set;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    bool all = part == "all";
    set.bounds |= all || part == "bounds";
    set.race |= all || part == "race";
    set.poison |= all || part == "poison";
    set.async |= all || part == "async";
    set.sameValueRaces |= part == "same-value-race";
    if (!all && part != "bounds" && part != "race" && part != "poison" &&
        part != "async" && part != "same-value-race" && part != "none")
      refuse("check", text,
             "a list of bounds, race, poison, async, same-value-race, or all "
             "or none");
  }
  return set;
}

unsigned architecture(const std::string &text) {
  std::string digits = text.rfind("sm_", 0) == 0 ? text.substr(3) : text;
  while (!digits.empty() && (digits.back() == 'a' || digits.back() == 'f'))
    digits.pop_back();
  return static_cast<unsigned>(number("arch", digits, 75, 200));
}

/// True for \p second, false for \p first.
bool choose(const std::string &option, const std::string &text,
            const std::string &first, const std::string &second) {
  if (text != first && text != second)
    refuse(option, text, first + " or " + second);
  return text == second;
}

/// True if \p option is one of the launch, which it then is in \p launch.
bool applyToLaunch(LaunchOptions &launch, int option,
                   const std::string &value) {
  switch (option) {
  case Grid:
    launch.grid = size("grid", value);
    return true;
  case Block:
    launch.block = size("block", value);
    return true;
  case ClusterSize:
    launch.cluster = size("cluster", value);
    return true;
  case Shared:
    launch.dynamicShared =
        static_cast<uint32_t>(number("shared", value, 0, UINT_MAX));
    return true;
  case Cooperative:
    launch.cooperative = true;
    return true;
  case Check:
    launch.checks = checks(value);
    return true;
  case Arch:
    launch.sm = architecture(value);
    return true;
  case OrderOption:
    launch.order = choose("order", value, "round-robin", "random")
                       ? ScheduleOrder::Random
                       : ScheduleOrder::RoundRobin;
    return true;
  case Seed:
    launch.seed = number("seed", value, 0, UINT64_MAX);
    return true;
  case Resident:
    launch.resident =
        static_cast<unsigned>(number("resident", value, 1, UINT_MAX));
    return true;
  case Threads:
    launch.threads = static_cast<unsigned>(number("threads", value, 1, 1024));
    return true;
  case Tensor:
    launch.tensor = choose("tensor", value, "exact", "fast")
                        ? TensorMode::Fast
                        : TensorMode::Exact;
    return true;
  case CompletionOption:
    launch.completion = choose("completion", value, "latest", "earliest")
                            ? Completion::Earliest
                            : Completion::Latest;
    return true;
  case Budget:
    launch.instructionBudget = number("budget", value, 1, UINT64_MAX);
    return true;
  default:
    return false;
  }
}

void apply(Command &command, int option, const std::string &value) {
  if (applyToLaunch(command.options, option, value))
    return;
  switch (option) {
  case Kernel:
    command.kernel = value;
    return;
  case Arg:
    command.arguments.push_back(value);
    return;
  case Counters:
    command.countersFile = value;
    return;
  case Report:
    command.report = true;
    return;
  case Model:
    command.model = chipNamed(value).name;
    command.estimate = true;
    return;
  case ListIsa:
    command.listIsa = true;
    return;
  case ListKernels:
    command.listKernels = true;
    return;
  default:
    command.help = true;
  }
}
} // namespace

Command ptx_run::parseCommandLine(int argc, char **argv) {
  Command command;
  command.options.checks = checks("all");
  command.options.grid = command.options.block = {0, 0, 0};
  opterr = 0;
  for (int option;
       (option = getopt_long(argc, argv, ":", kOptions, nullptr)) != -1;) {
    if (option == ':')
      throw Error(std::string(argv[optind - 1]) + " needs a value");
    if (option == '?')
      throw Error("unknown option " + std::string(argv[optind - 1]) +
                  "; --help lists them");
    apply(command, option, optarg ? optarg : "");
  }
  if (optind < argc)
    command.file = argv[optind++];
  if (optind < argc)
    throw Error(std::string("one file at a time: what is ") + argv[optind] +
                "?");
  const bool runs = !command.help && !command.listIsa && !command.listKernels;
  if (command.file.empty() && !command.help && !command.listIsa)
    throw Error("no PTX file was named; --help explains the usage");
  if (runs && (command.options.grid.x == 0 || command.options.block.x == 0))
    throw Error("--grid and --block say how many blocks and threads to run");
  command.options.cacheModel = command.report || command.estimate;
  command.options.counters =
      command.options.cacheModel || !command.countersFile.empty();
  return command;
}
