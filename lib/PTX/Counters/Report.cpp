// What a kernel engineer reads.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ptx/Model.h"

#include <algorithm>
#include <cstdio>
#include <ostream>
#include <string>

namespace ptx {
namespace {

/// Formats like printf.
template <class... Values>
std::string text(const char *format, Values... values) {
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

std::string bytesText(double bytes) {
  const char *unit[] = {"B", "KB", "MB", "GB"};
  unsigned u = 0;
  for (; bytes >= 1000 && u < 3; ++u)
    bytes /= 1000;
  return text(u ? "%.2f %s" : "%.0f %s", bytes, unit[u]);
}

std::string shapeText(Dim3 d) { return text("%u x %u x %u", d.x, d.y, d.z); }

class Report {
public:
  Report(std::ostream &out, const CounterValues &c, const Chip &chip,
         std::string_view ptx)
      : out(out), c(c), chip(chip) {
    for (size_t at = 0; at < ptx.size();) {
      size_t end = std::min(ptx.find('\n', at), ptx.size());
      lines.push_back(ptx.substr(at, end - at));
      at = end + 1;
    }
  }

  void print() {
    printLaunch();
    printInstructions();
    printMemory();
    printShared();
    printMatrix();
    printTime();
    printBlocks();
  }

private:
  double get(const char *name) const { return c[name]; }

  void printLaunch() {
    const LaunchShape &s = c.shape;
    out << "kernel " << s.kernel << "\n  grid " << shapeText(s.grid)
        << ", block " << shapeText(s.block) << ", shared "
        << bytesText(s.staticShared + s.dynamicShared) << " a CTA, about "
        << s.registers << " registers a thread (estimated)\n  " << s.blocksPerSm
        << " CTAs resident on each of " << s.multiprocessors
        << " SMs; machine instructions a CTA: mean "
        << text("%.0f, most %.0f\n", get("cta_work_mean"), get("cta_work_max"));
  }

  void printInstructions() {
    out << "\ninstructions\n"
        << text("  %-34s %14.0f of PTX, %.0f of machine code (modelled)\n",
                "warp instructions", get("ptx_warp_inst"), get("warp_inst"))
        << text("  %-34s %13.1f %%\n", "lanes active (SIMT efficiency)",
                100 * get("simt_efficiency"))
        << text("  %-34s %14.0f of %.0f\n", "branches that divide a warp",
                get("branch_divergent"), get("op_branch"))
        << text("  %-34s %14.0f\n", "warps at barriers", get("barriers"));
    if (get("polls") > 0)
      out << text("  %-34s %14.0f (%.0f machine instructions, not in the "
                  "sums)\n",
                  "polls", get("polls"), get("poll_inst"));
    if (get("async_groups") > 0)
      out << text("  %-34s %14.0f, %.1f in flight\n",
                  "groups of asynchronous copies", get("async_groups"),
                  get("async_in_flight"));
  }

  void sectorRow(const char *what, const char *requests, const char *sectors,
                 const char *ideal) {
    if (get(requests) == 0)
      return;
    out << text("  %-18s %12.0f requests %14.0f sectors %6.2f each, ideal "
                "%6.2f%s\n",
                what, get(requests), get(sectors), get(sectors) / get(requests),
                get(ideal) / get(requests),
                get(sectors) > 1.3 * get(ideal) ? "   <- scattered" : "");
  }

  void printMemory() {
    out << "\nglobal and local memory (sectors of 32 bytes)\n";
    sectorRow("loads", "ld_req", "ld_sectors", "ld_ideal_sectors");
    sectorRow("stores", "st_req", "st_sectors", "st_ideal_sectors");
    sectorRow("reductions", "red_req", "red_sectors", "red_ideal_sectors");
    sectorRow("atomics", "atom_req", "atom_sectors", "atom_ideal_sectors");
    sectorRow("local loads", "local_ld_req", "local_ld_sectors",
              "local_ld_ideal_sectors");
    sectorRow("local stores", "local_st_req", "local_st_sectors",
              "local_st_ideal_sectors");
    if (get("bulk_rd_bytes") + get("bulk_wr_bytes") > 0)
      out << "  bulk copies: read " << bytesText(get("bulk_rd_bytes"))
          << ", written " << bytesText(get("bulk_wr_bytes")) << "\n";
    out << "  distinct memory: read " << bytesText(get("footprint_ld"))
        << ", written " << bytesText(get("footprint_st")) << "\n";
    if (!c.cacheModel)
      return;
    double sectors = get("ld_sectors") + get("local_ld_sectors");
    double hits = get("ld_l1_hit") + get("local_ld_l1_hit");
    out << "\ncaches (modelled: " << chip.title << ")\n"
        << text("  L1 answers %.1f %% of the sectors loaded; L2 sends ",
                sectors ? 100 * hits / sectors : 0)
        << bytesText(32 * get("xbar2l1_sectors")) << "\n  DRAM read "
        << bytesText(get("dram_rd"))
        << " (distinct memory read: " << bytesText(get("footprint_ld"))
        << "), written " << bytesText(get("dram_wr")) << "\n";
  }

  void printShared() {
    double waves = get("sh_wave_ld") + get("sh_wave_st") + get("sh_wave_atom");
    if (waves == 0)
      return;
    out << "\nshared memory (wavefronts)\n";
    auto row = [&](const char *what, const char *name, const char *conflicts) {
      if (get(name) > 0)
        out << text("  %-18s %14.0f, of these %.0f by bank conflicts%s\n", what,
                    get(name), get(conflicts),
                    get(conflicts) > 0.2 * get(name) ? "   <- conflicts" : "");
    };
    row("loads, ldmatrix", "sh_wave_ld", "sh_conf_ld");
    row("stores, stmatrix", "sh_wave_st", "sh_conf_st");
    row("atomics", "sh_wave_atom", "sh_conf_atom");
    out << "  loads of neighbouring words count as the one that ptxas makes of "
           "them\n";
    if (get("sh_wave_lifted") > 0)
      out << text("  %.0f more in loops that repeat a load: ptxas does it "
                  "once\n",
                  get("sh_wave_lifted"));
  }

  void printMatrix() {
    if (get("mma_issued") == 0)
      return;
    out << "\nmatrix products\n"
        << text("  %.0f issued, %.3f GFLOP, useful %.1f %%\n",
                get("mma_issued"), get("mma_flop") * 1e-9,
                100 * get("mma_useful_flop") / get("mma_flop"));
  }

  void printTime() {
    TimeEstimate t = estimateTime(c, chip);
    out << "\ntime on " << chip.title << ", modelled\n"
        << text("  between %.2f and %.2f us, estimate %.2f us; limit: ",
                t.lower * 1e6, t.upper * 1e6, t.point * 1e6)
        << t.limit << "\n";
    if (!c.cacheModel)
      out << "  (without the cache model: L2 and DRAM are not in it)\n";
    std::sort(
        t.terms.begin(), t.terms.end(),
        [](const TimeTerm &a, const TimeTerm &b) { return a.best > b.best; });
    for (const TimeTerm &term : t.terms)
      out << text("  %-14s %10.2f us at best, %10.2f usually   %s\n",
                  std::string(term.name).c_str(), term.best * 1e6,
                  term.usual * 1e6, std::string(term.what).c_str());
    out << text("  %-14s %10.2f us if nothing hides them\n", "latencies",
                t.latency * 1e6);
  }

  void printBlocks() {
    std::vector<BlockCounters> hot = c.blocks;
    std::sort(hot.begin(), hot.end(),
              [](const BlockCounters &a, const BlockCounters &b) {
                return a.machineInstructions > b.machineInstructions;
              });
    double all = std::max(1.0, get("warp_inst"));
    out << "\nhottest blocks (share of machine instructions)\n";
    for (size_t i = 0; i < std::min<size_t>(hot.size(), 3); ++i) {
      const BlockCounters &b = hot[i];
      out << text("  %.1f %%, %s, PTX lines %u to %u",
                  100 * b.machineInstructions / all, b.function.c_str(),
                  b.firstLine, b.lastLine);
      if (b.sourceLine)
        out << text(", source line %u", b.sourceLine);
      out << text(": executed %.0f times, %.1f lanes", double(b.executions),
                  double(b.laneInstructions) /
                      std::max<double>(1, double(b.warpInstructions)));
      out << "\n";
      printLines(b);
    }
  }

  /// The text of a block; what its lines moved beside them.
  void printLines(const BlockCounters &b) {
    constexpr uint32_t kMost = 40;
    uint32_t last = std::min(b.lastLine, b.firstLine + kMost - 1);
    for (uint32_t n = b.firstLine; n <= last && n <= lines.size(); ++n) {
      std::string note;
      for (const LineCounters &line : c.lines)
        if (line.line == n)
          note = noteOf(line);
      std::string_view code = lines[n - 1];
      out << text("  %6u | %-60.*s", n, int(code.size()), code.data()) << note
          << "\n";
    }
    if (last < b.lastLine)
      out << text("         | ... %u more lines\n", b.lastLine - last);
  }

  std::string noteOf(const LineCounters &line) const {
    std::string note;
    double executed = double(std::max<uint64_t>(1, line.warps));
    if (line.sectors)
      note +=
          text("  %.1f sectors (ideal %.1f)", double(line.sectors) / executed,
               double(line.idealSectors) / executed);
    if (line.wavefronts)
      note += text("  %.1f wavefronts (ideal %.1f)",
                   double(line.wavefronts) / executed,
                   double(line.idealWavefronts) / executed);
    if (line.xbar2l1_sectors)
      note += text("  %.0f %% past L1",
                   100 * line.xbar2l1_sectors /
                       std::max<double>(1, double(line.sectors)));
    return note;
  }

  std::ostream &out;
  const CounterValues &c;
  const Chip &chip;
  std::vector<std::string_view> lines;
};

} // namespace

void printReport(std::ostream &out, const CounterValues &counters,
                 const Chip &chip, std::string_view ptx) {
  Report(out, counters, chip, ptx).print();
}

} // namespace ptx
