// How far the time model depends on the cases its constants were chosen by.
//
// The constants are searched one after the other, each over a few multiples of
// what the table says, from a random start.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ModelFit.h"

#include "ptx/Model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>

using namespace ptx;
using namespace ptx::test;

namespace {

using C = ChipConstant;

/// A constant that the table marks as fit: its usual value, or both.
struct FreeConstant {
  C constant;
  bool usualOnly;
  std::vector<double> multiples;
};

const std::vector<FreeConstant> &freeConstants() {
  static const std::vector<FreeConstant> list = {
      {C::Issue, true, {0.75, 0.875, 1, 1.125, 1.25}},
      {C::L1Sectors, true, {0.5, 0.75, 1, 1.5, 2}},
      {C::L2Bytes, false, {0.8, 0.9, 1, 1.1, 1.25}},
      {C::L2Bytes, true, {0.7, 0.8, 0.9, 1, 1.1}},
      {C::LatencyShared, false, {0.4, 0.7, 1, 1.4, 2}},
      {C::LatencyInstruction, false, {0.4, 0.6, 0.8, 1, 1.2, 1.5}},
      {C::LatencyBarrier, false, {0.4, 0.7, 1, 1.4, 2}},
      {C::LaunchUpper, false, {0.75, 0.9, 1, 1.2, 1.5}},
      {C::LaunchPoint, false, {0.6, 0.8, 1, 1.25}},
      {C::LatencyWeight, false, {0.4, 0.7, 1, 1.3}},
      {C::PointExponent, false, {0.5, 0.7, 1, 1.4, 2}},
  };
  return list;
}

/// The H100's constants, some of them multiplied.
class Constants {
public:
  Constants() : multiple(freeConstants().size(), 1) {}
  std::vector<double> multiple; ///< by free constant

  /// \p values: memory for the result.
  Chip chip(std::vector<ChipValue> &values) const {
    Chip chip = chipNamed("h100");
    values.assign(chip.values.begin(), chip.values.end());
    for (size_t i = 0; i < multiple.size(); ++i) {
      const FreeConstant &free = freeConstants()[i];
      ChipValue &value = values[size_t(free.constant)];
      value.usual *= multiple[i];
      if (!free.usualOnly)
        value.best *= multiple[i];
    }
    chip.values = values;
    return chip;
  }
};

struct Score {
  double inside = 0; ///< share of times inside the interval
  double width = 0;  ///< median of upper / lower bound
  double close = 0;  ///< share of points within 35 %
  double error = 0;  ///< mean of |log(point / time)|, at most 1 each
  /// What the search makes small: no more than what the bars ask for is gained
  /// by a wider interval.
  double loss() const {
    return 10 * std::max(0.0, 0.95 - inside) + std::max(0.0, width - 3) +
           3 * error;
  }
};

using Cases = std::vector<const TimedCase *>;

Score scoreOf(const Cases &cases, const Constants &constants) {
  std::vector<ChipValue> values;
  const Chip chip = constants.chip(values);
  Score score;
  std::vector<double> widths;
  for (const TimedCase *c : cases) {
    const TimeEstimate time = estimateTime(*c->counters, chip);
    score.inside += time.lower <= c->seconds && c->seconds <= time.upper;
    score.close += std::abs(time.point / c->seconds - 1) <= 0.35;
    score.error += std::min(1.0, std::abs(std::log(time.point / c->seconds)));
    widths.push_back(time.upper / time.lower);
  }
  std::nth_element(widths.begin(), widths.begin() + widths.size() / 2,
                   widths.end());
  score.width = widths[widths.size() / 2];
  const auto count = double(cases.size());
  score.inside /= count;
  score.close /= count;
  score.error /= count;
  return score;
}

Constants fit(const Cases &cases, std::mt19937 &random) {
  constexpr unsigned kSweeps = 3;
  Constants best;
  for (size_t i = 0; i < best.multiple.size(); ++i) {
    const std::vector<double> &choices = freeConstants()[i].multiples;
    best.multiple[i] = choices[random() % choices.size()];
  }
  double least = scoreOf(cases, best).loss();
  for (unsigned sweep = 0; sweep < kSweeps; ++sweep)
    for (size_t i = 0; i < best.multiple.size(); ++i)
      for (double choice : freeConstants()[i].multiples) {
        Constants next = best;
        next.multiple[i] = choice;
        const double loss = scoreOf(cases, next).loss();
        if (loss < least) {
          least = loss;
          best = next;
        }
      }
  return best;
}

/// Two halves of about as many cases, no family in both.
std::pair<Cases, Cases> divide(const std::vector<TimedCase> &cases,
                               std::mt19937 &random) {
  std::map<std::string, Cases> byFamily;
  for (const TimedCase &c : cases)
    byFamily[c.family].push_back(&c);
  std::vector<Cases> families;
  for (auto &[name, members] : byFamily)
    families.push_back(std::move(members));
  for (size_t i = families.size(); i > 1; --i)
    std::swap(families[i - 1], families[random() % i]);
  std::pair<Cases, Cases> halves;
  for (const Cases &family : families) {
    Cases &smaller = halves.first.size() <= halves.second.size()
                         ? halves.first
                         : halves.second;
    smaller.insert(smaller.end(), family.begin(), family.end());
  }
  return halves;
}

/// Mean and worst of a figure over all fits.
struct Figure {
  double sum = 0, worst = 0;
  unsigned count = 0;
  void add(double value, bool smallIsGood) {
    sum += value;
    const bool worse = smallIsGood ? value > worst : value < worst;
    worst = !count++ || worse ? value : worst;
  }
  double mean() const { return sum / count; }
};

} // namespace

std::string test::familyOf(const std::string &caseName) {
  return caseName.substr(0, caseName.find('_'));
}

void test::printCrossValidation(const std::vector<TimedCase> &cases) {
  constexpr unsigned kDivisions = 10;
  std::mt19937 random(1);
  Figure chosenOn[3], other[3];
  auto add = [](Figure *figures, const Score &score) {
    figures[0].add(100 * score.inside, false);
    figures[1].add(score.width, true);
    figures[2].add(100 * score.close, false);
  };
  for (unsigned i = 0; i < kDivisions; ++i) {
    auto [a, b] = divide(cases, random);
    for (bool swapped : {false, true}) {
      const Cases &mine = swapped ? b : a, &others = swapped ? a : b;
      const Constants constants = fit(mine, random);
      add(chosenOn, scoreOf(mine, constants));
      add(other, scoreOf(others, constants));
    }
  }
  Cases all;
  for (const TimedCase &c : cases)
    all.push_back(&c);
  const Score asBuilt = scoreOf(all, Constants());
  const double table[] = {100 * asBuilt.inside, asBuilt.width,
                          100 * asBuilt.close};
  const char *names[] = {"time inside the interval, %", "median upper / lower",
                         "point within 35 %, %"};
  std::printf("\nconstants marked \"fit\", chosen on half of the families "
              "(%u fits):\n%-30s %12s %14s %14s %12s\n",
              2 * kDivisions, "", "table, all", "chosen on", "other half",
              "its worst");
  for (unsigned i = 0; i < 3; ++i)
    std::printf("%-30s %12.2f %14.2f %14.2f %12.2f\n", names[i], table[i],
                chosenOn[i].mean(), other[i].mean(), other[i].worst);
}
