// The tiles of a grouped matmul on a GPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "moe/Routing/GPUMatmulForms.h"
#include "moe/Routing/GPUMatmulCost.h"

#include <algorithm>

namespace moe::routing {
namespace {

/// Rows of a warp follow the tile's: as many as its warps can share. Stages are
/// the most that are of use, and fewer where shared memory is less.
constexpr GPUMatmulForm kCandidates[] = {
    {16, 128, 64, 16, 4, 8, 0},  {32, 128, 64, 16, 4, 8, 0},
    {32, 128, 128, 16, 3, 8, 0}, {32, 256, 64, 32, 3, 8, 0},
    {64, 128, 64, 32, 4, 8, 0},  {64, 256, 64, 64, 4, 8, 0},
    {128, 128, 64, 64, 3, 8, 0}, {128, 128, 32, 64, 6, 4, 0},
    {128, 256, 64, 64, 4, 8, 0}, {128, 256, 32, 64, 6, 4, 0},
};
constexpr int64_t kLeastStages = 3;
/// Averages of rows for which forms are compared where T is not known.
constexpr double kAverages[] = {1,   2,   4,   8,    16,   32,  64,
                                128, 256, 512, 1024, 2048, 4096};
/// Modelled times nearer than one of these, a share and microseconds, are the
/// same.
constexpr double kNoise = 0.01, kNoiseTime = 0.5;
/// Of forms no more than this apart, in microseconds, the smallest is taken.
constexpr double kSameTime = 0.1;

int64_t stageBytes(const GPUMatmulForm &form) {
  return (form.rows + form.columns) * form.depth * 2;
}

/// The candidates that fit a chip's shared memory and a sum's length, the
/// smallest tile first, and of these the one with fewer steps.
std::vector<GPUMatmulForm> fittingForms(const GPUChip &chip, int64_t depth) {
  std::vector<GPUMatmulForm> forms;
  for (GPUMatmulForm form : kCandidates) {
    if (form.depth > 64 && form.depth > depth)
      continue;
    form.stages = std::min(form.stages, chip.sharedBytes / stageBytes(form));
    if (form.stages >= kLeastStages)
      forms.push_back(form);
  }
  return forms;
}

/// The modelled times of forms for an average. Routing in practice lies between
/// uniform and Zipf's law, so both count.
///
/// Where memory is the limit, many forms are nearly as fast. An instruction
/// that is no product then counts as four, and a quarter of the time of the
/// L2 cache is added: guesses at what they keep from others, which the model
/// does not know.
std::vector<double> timesOf(const GPUChip &chip, const GPUMatmulSize &size,
                            const std::vector<GPUMatmulForm> &forms,
                            double rows) {
  constexpr double kIssueWeight = 4, kCacheWeight = 0.25;
  std::vector<double> times;
  for (const GPUMatmulForm &form : forms) {
    double time = 0;
    for (bool isUniform : {true, false}) {
      GPUMatmulCost cost = modelGPUMatmul(chip, form, size, rows, isUniform);
      time +=
          (cost.total + kIssueWeight * cost.issue + kCacheWeight * cost.cache) /
          2;
    }
    times.push_back(time);
  }
  return times;
}

/// How much slower `time` is than `least`, 1 for not at all but for noise.
double slownessOf(double time, double least) {
  return std::max(1.0, (time - kNoiseTime) / least);
}

/// Forms, and the averages from which each is used.
struct Choice {
  std::vector<size_t> forms, begins;
  /// Over all averages, the most by which it is slower than the fastest form;
  /// and noise for each form, so that one more has to pay.
  double slowness = 1e30;
};

/// Extends `choice` by ever later forms, the larger tiles for more rows, and
/// keeps the best one in `best`. `times` is by average and form.
void extend(const std::vector<std::vector<double>> &times, Choice choice,
            Choice &best) {
  if (!choice.forms.empty()) {
    choice.slowness = 0;
    for (size_t i = 0, part = 0; i < times.size(); ++i) {
      while (part + 1 < choice.begins.size() && choice.begins[part + 1] <= i)
        ++part;
      double least = *std::min_element(times[i].begin(), times[i].end());
      choice.slowness = std::max(
          choice.slowness, slownessOf(times[i][choice.forms[part]], least));
    }
    choice.slowness += kNoise * choice.forms.size();
    if (choice.slowness < best.slowness)
      best = choice;
  }
  if (choice.forms.size() == kMostForms)
    return;
  bool isFirst = choice.forms.empty();
  size_t form = isFirst ? 0 : choice.forms.back() + 1;
  for (; form < times.front().size(); ++form) {
    size_t begin = isFirst ? 0 : choice.begins.back() + 1;
    size_t end = isFirst ? 1 : times.size();
    for (; begin < end; ++begin) {
      Choice next = choice;
      next.forms.push_back(form);
      next.begins.push_back(begin);
      extend(times, next, best);
    }
  }
}

} // namespace

std::vector<GPUMatmulForm> chooseGPUMatmulForms(const GPUChip &chip,
                                                const GPUMatmulSize &size,
                                                std::optional<double> rows) {
  std::vector<GPUMatmulForm> forms = fittingForms(chip, size.depth);
  if (rows) {
    std::vector<double> times = timesOf(chip, size, forms, *rows);
    double least = *std::min_element(times.begin(), times.end());
    auto isAsFast = [&](double time) { return time <= least + kSameTime; };
    return {forms[std::ranges::find_if(times, isAsFast) - times.begin()]};
  }
  std::vector<std::vector<double>> times;
  for (double average : kAverages)
    times.push_back(timesOf(chip, size, forms, average));
  Choice best;
  extend(times, {}, best);
  std::vector<GPUMatmulForm> chosen;
  for (size_t i = 0; i < best.forms.size(); ++i) {
    chosen.push_back(forms[best.forms[i]]);
    chosen.back().least = i == 0 ? 0 : int64_t(kAverages[best.begins[i]]);
  }
  return chosen;
}

} // namespace moe::routing
