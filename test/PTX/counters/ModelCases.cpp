// The counters and the model beside an H100.
//
//   ptx-model-cases CASES.txt FILE.ptx... [--case TEXT]... [--raw] [--plain]
//                  [--cost] [--validate]
//
// Runs every recorded case whose kernel one of the files holds, prints counters
// and times beside the recorded ones, then the bars: exit code 1 if one fails.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CaseRunner.h"
#include "ModelFit.h"

#include "ptx/Error.h"
#include "ptx/Model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>

using namespace ptx;
using namespace ptx::test;

namespace {

struct Arguments {
  std::string cases;
  std::vector<std::string> only; ///< parts of names; none: all cases
  std::vector<std::string> files;
  bool raw = false;      ///< all counters of each case, and terms of the time
  bool plain = false;    ///< no cache model, no time
  bool cost = false;     ///< host time without, with counters, with caches
  bool validate = false; ///< chooses the model's constants on half of the cases
};

/// A share of cases for which something holds.
struct Bar {
  const char *what;
  double atLeast; ///< share
  unsigned good = 0, all = 0;
  void add(bool holds) {
    good += holds;
    ++all;
  }
  bool passes() const { return !all || good >= atLeast * all; }
};

struct Bars {
  Bar hashes{"output hashes equal", 1};
  Bar loads{"load sectors exact, where op counts agree", 1};
  Bar stores{"store sectors exact, where op counts agree", 1};
  Bar local{"local sectors exact, where op counts agree", 1};
  /// The recorded access patterns have a bar, the kernels have none.
  Bar reductions{"red/atom sectors exact (no bar)", 0};
  Bar matrix{"matrix products exact", 1};
  Bar sharedLoads{"shared wavefronts 0.91-1.00 of hardware", 1};
  Bar sharedAtomics{"shared atomics +-1 %", 1};
  Bar divergence{"divergent branches exact where hardware kept them", 1};
  Bar dram{"dram_rd +-10 % of what moves > 8 MB", 0.75};
  Bar l1{"L1 misses +-10 %", 0.70};
  Bar instructions{"weighted instructions +-20 %", 0.75};
  Bar interval{"time inside the interval", 0.85};
  Bar point{"point estimate within 35 %", 0.60};
  std::vector<double> widths;
};

double ratio(double model, double hardware) {
  return hardware == 0 ? (model == 0 ? 1 : INFINITY) : model / hardware;
}

bool within(double model, double hardware, double share) {
  return std::abs(ratio(model, hardware) - 1) <= share;
}

/// Stores that collide on purpose, and exponentials that hardware approximates
/// in its own way: any of several results is right.
bool hasManyResults(const RecordedCase &c) {
  const std::string &kernel = c.counters.shape.kernel;
  return kernel == "scatter1" || kernel == "softmax_rows";
}

void compareCounters(const RecordedCase &c, const CounterValues &m,
                     Bars &bars) {
  const CounterValues &h = c.counters;
  auto same = [&](std::initializer_list<const char *> names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char *name) { return m[name] == h[name]; });
  };
  auto exact = [&](Bar &bar, const char *sectors,
                   std::initializer_list<const char *> ops) {
    if (same(ops) && h[sectors] > 0)
      bar.add(m[sectors] == h[sectors]);
  };
  exact(bars.loads, "ld_sectors",
        {"op_global_ld", "op_ldgsts_cache_access", "op_ldgsts_cache_bypass"});
  exact(bars.stores, "st_sectors", {"op_global_st"});
  exact(bars.local, "local_ld_sectors", {"op_local_ld"});
  exact(bars.local, "local_st_sectors", {"op_local_st"});
  exact(bars.reductions, "red_sectors", {"op_global_red"});
  exact(bars.reductions, "atom_sectors", {"op_global_atom"});
  auto waves = [&](const char *name, std::initializer_list<const char *> ops) {
    double r = ratio(m[name], h[name]);
    if (same(ops) && h[name] > 0)
      bars.sharedLoads.add(r >= 0.91 && r <= 1);
  };
  waves("sh_wave_ld", {"op_shared_ld", "op_ldsm"});
  waves("sh_wave_st", {"op_shared_st"});
  if (same({"op_shared_atom"}) && h["sh_wave_atom"] > 0)
    bars.sharedAtomics.add(within(m["sh_wave_atom"], h["sh_wave_atom"], 0.01));
  if (m["mma_issued"] > 0)
    bars.matrix.add(m["mma_issued"] == h["pipe_tensor"]);
  if (c.name.rfind("div_", 0) == 0)
    bars.divergence.add(m["branch_divergent"] == h["branch_divergent"]);
  bars.instructions.add(within(m["warp_inst"], h["warp_inst"], 0.2));
}

void compareCaches(const RecordedCase &c, const CounterValues &m, Bars &bars) {
  const CounterValues &h = c.counters;
  if (h["dram_rd"] + h["dram_wr"] > 8e6 && h["dram_rd"] > 1e6)
    bars.dram.add(within(m["dram_rd"], h["dram_rd"], 0.1));
  if (h["xbar2l1_sectors"] > 0)
    bars.l1.add(within(m["xbar2l1_sectors"], h["xbar2l1_sectors"], 0.1));
}

void printRow(const RecordedCase &c, const CaseResult &r, bool hashes,
              Bars &bars, bool plain) {
  const CounterValues &h = c.counters, &m = *r.counters;
  auto part = [&](const char *name) {
    char text[16];
    double q = ratio(m[name], h[name]);
    if (h[name] == 0 && m[name] == 0)
      return std::string("     -");
    if (std::isinf(q))
      return std::string("   inf");
    std::snprintf(text, sizeof text, "%6.3f", q);
    return std::string(text);
  };
  std::printf("%-22s %s %s %s %s %s %s %s %s %s", c.name.c_str(),
              hashes ? "ok  " : "HASH", part("warp_inst").c_str(),
              part("ld_sectors").c_str(), part("st_sectors").c_str(),
              part("sh_wave_ld").c_str(), part("sh_wave_st").c_str(),
              part("sh_wave_atom").c_str(), part("red_sectors").c_str(),
              part("branch_divergent").c_str());
  if (!plain) {
    TimeEstimate t = estimateTime(m, chipNamed("h100"));
    bool holds = t.lower <= c.seconds && c.seconds <= t.upper;
    bars.interval.add(holds);
    bars.point.add(within(t.point, c.seconds, 0.35));
    bars.widths.push_back(t.upper / t.lower);
    std::printf(" %s %s | %9.1f [%9.1f %9.1f] %9.1f %+4.0f%% %s%s",
                part("xbar2l1_sectors").c_str(), part("dram_rd").c_str(),
                c.seconds * 1e6, t.lower * 1e6, t.upper * 1e6, t.point * 1e6,
                100 * (t.point / c.seconds - 1), holds ? "" : "OUT ",
                std::string(t.limit).c_str());
  }
  std::printf(" | %.2f s\n", r.hostSeconds);
  std::fflush(stdout);
}

void printRaw(const RecordedCase &c, const CounterValues &m) {
  for (auto [name, value] : m.values)
    std::printf("    %-28s %16.0f %16.0f\n", name.c_str(), value,
                c.counters[name]);
  TimeEstimate time = estimateTime(m, chipNamed("h100"));
  for (const TimeTerm &term : time.terms)
    std::printf("    term %-23.*s %16.3f %16.3f us\n", int(term.name.size()),
                term.name.data(), term.best * 1e6, term.usual * 1e6);
  std::printf("    latency %39.3f us\n", time.latency * 1e6);
}

/// \p all: of all cases; a median of a few says nothing.
bool printBars(const Bars &bars, bool all) {
  bool pass = true;
  for (const Bar *bar :
       {&bars.hashes, &bars.loads, &bars.stores, &bars.local, &bars.reductions,
        &bars.sharedLoads, &bars.sharedAtomics, &bars.matrix, &bars.divergence,
        &bars.dram, &bars.l1, &bars.instructions, &bars.interval,
        &bars.point}) {
    if (!bar->all)
      continue;
    pass &= bar->passes();
    std::printf("%-50s %4.0f %%  %3u of %3u  %s\n", bar->what,
                100 * bar->atLeast, bar->good, bar->all,
                bar->passes() ? "pass" : "FAIL");
  }
  if (!bars.widths.empty()) {
    std::vector<double> sorted = bars.widths;
    std::sort(sorted.begin(), sorted.end());
    double median = sorted[sorted.size() / 2];
    pass &= median <= 4 || !all;
    std::printf("%-50s <= 4    %.2f        %s\n", "median upper / lower",
                median,
                median <= 4 ? "pass"
                : all       ? "FAIL"
                            : "");
  }
  return pass;
}

Arguments readArguments(int argc, char **argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    std::string text = argv[i];
    if (text == "--case" && i + 1 < argc)
      arguments.only.push_back(argv[++i]);
    else if (text == "--raw")
      arguments.raw = true;
    else if (text == "--plain")
      arguments.plain = true;
    else if (text == "--cost")
      arguments.cost = true;
    else if (text == "--validate")
      arguments.validate = true;
    else if (arguments.cases.empty())
      arguments.cases = text;
    else
      arguments.files.push_back(text);
  }
  if (arguments.files.empty())
    throw Error("usage: ptx-model-cases CASES.txt FILE.ptx... "
                "[--case TEXT]... [--raw] [--plain] [--cost] "
                "[--validate]");
  return arguments;
}

/// Best of three, in turns: what counting costs on the host.
void printCost(const Module &module, const RecordedCase &c) {
  double seconds[3] = {INFINITY, INFINITY, INFINITY};
  for (unsigned round = 0; round < 3; ++round)
    for (unsigned mode = 0; mode < 3; ++mode) {
      LaunchOptions options;
      options.counters = mode > 0;
      options.cacheModel = mode > 1;
      seconds[mode] =
          std::min(seconds[mode], runCase(module, c, options).hostSeconds);
    }
  std::printf("%-22s %8.3f s  counters %5.2f x  caches %5.2f x\n",
              c.name.c_str(), seconds[0], seconds[1] / seconds[0],
              seconds[2] / seconds[0]);
  std::fflush(stdout);
}

bool isWanted(const RecordedCase &c, const Arguments &arguments) {
  return arguments.only.empty() ||
         std::any_of(arguments.only.begin(), arguments.only.end(),
                     [&](const std::string &part) {
                       return c.name.find(part) != std::string::npos;
                     });
}

bool run(const Arguments &arguments) {
  std::vector<Module> modules;
  for (const std::string &path : arguments.files) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    modules.push_back(Module::parse(text.str(), path));
  }
  Bars bars;
  std::vector<TimedCase> timed;
  std::printf("%-22s      %s", "case (model / H100)",
              "  inst     ld     st  sh_ld  sh_st sh_atm    red    div");
  std::printf(arguments.plain ? "\n"
                              : "    l1m   dram |        us [    lower     "
                                "upper]     point\n");
  for (const RecordedCase &c : readRecordedCases(arguments.cases)) {
    if (!isWanted(c, arguments))
      continue;
    for (const Module &module : modules) {
      if (!module.kernels().count(c.counters.shape.kernel))
        continue;
      if (arguments.cost) {
        printCost(module, c);
        continue;
      }
      LaunchOptions options;
      options.counters = true;
      options.cacheModel = !arguments.plain;
      CaseResult result = runCase(module, c, options);
      for (const Finding &finding : result.findings)
        std::printf("%s: %s\n", c.name.c_str(), finding.text().c_str());
      bool hashes = result.hashes == c.hashes;
      if (!hasManyResults(c))
        bars.hashes.add(hashes);
      compareCounters(c, *result.counters, bars);
      if (!arguments.plain)
        compareCaches(c, *result.counters, bars);
      printRow(c, result, hashes, bars, arguments.plain);
      if (arguments.raw)
        printRaw(c, *result.counters);
      timed.push_back({familyOf(c.name), c.seconds, result.counters});
    }
  }
  const bool good = printBars(bars, arguments.only.empty());
  if (arguments.validate && !arguments.plain && timed.size() > 1)
    printCrossValidation(timed);
  return good;
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(readArguments(argc, argv)) ? 0 : 1;
  } catch (const Error &error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
