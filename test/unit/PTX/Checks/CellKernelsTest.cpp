// The loops over cells, at every level of the CPU, against their definition.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Checks/CellKernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

using namespace ptx::checks;

namespace {
constexpr uint32_t kCurrent = 500; ///< the event of the access

bool oneOf(uint32_t event, const uint32_t (&list)[2]) {
  return event == list[0] || event == list[1];
}
bool isOrdered(Cell cell, Cell mine, const Verdicts &v) {
  return cell < v.before || oneOf(eventOf(cell), v.ordered) ||
         (oneOf(eventOf(cell), v.own) && laneOf(mine) != kSeveralLanes &&
          laneOf(cell) == laneOf(mine));
}
bool isKnown(Cell cell, const Verdicts &v) {
  const uint32_t event = eventOf(cell);
  return cell < v.before || cell >= v.apart || event == kCurrent ||
         oneOf(event, v.ordered) || oneOf(event, v.unordered) ||
         oneOf(event, v.own);
}
Cell cellOf(const CellRun &run, uint32_t i) {
  return run.first + (i >> run.shift);
}

/// One reader of one cell, as RaceDetector::remember keeps it.
void remember(std::vector<Cell *> places, Cell mine, uint64_t offset,
              const Verdicts &v) {
  for (Cell *place : places) {
    if (*place == mine)
      return;
    if (isOrdered(*place, mine, v)) {
      *place = mine;
      return;
    }
    if (eventOf(*place) == eventOf(mine)) {
      *place = makeCell(eventOf(mine), kSeveralLanes);
      return;
    }
  }
  const auto slots = static_cast<unsigned>(places.size());
  const uint32_t choice = readerChoice(offset, mine, slots) % (slots + 1);
  if (choice < places.size())
    *places[choice] = mine;
}

class CellLoops : public testing::TestWithParam<KernelLevel> {
protected:
  void SetUp() override {
    kernels = cellKernelsAt(GetParam());
    if (!kernels)
      GTEST_SKIP() << "this CPU lacks it";
  }
  uint32_t number(uint32_t below) { return random() % below; }

  /// Few events, so that all cases come up.
  Cell anyCell() {
    const uint32_t events[] = {0, 1, 7, 90, 100, 101, 102, 103, 499, kCurrent};
    const uint32_t event = events[number(10)];
    return event ? makeCell(event, number(8) ? number(4) : kSeveralLanes)
                 : kNobody;
  }
  Verdicts anyVerdicts() {
    Verdicts v;
    const uint32_t bounds[] = {1, 8, 100, 101};
    v.before = makeCell(bounds[number(4)], 0);
    if (number(2))
      v.apart = makeCell(103 - number(3), 0);
    // Single events are looked at where the bounds do not tell.
    for (auto *list : {v.ordered, v.unordered, v.own})
      for (unsigned i = 0; i < 2; ++i)
        if (number(2))
          list[i] = std::min(90 + number(14), eventOf(v.apart) - 1);
    return v;
  }
  CellRun anyRun() {
    CellRun run;
    const bool several = number(4) == 0;
    run.shift = number(2) || several ? CellRun::kOneLane : number(3);
    run.count = 1 + number(run.shift < 3 ? 32 << run.shift : 40);
    run.first = makeCell(kCurrent, several ? kSeveralLanes : 0);
    run.cellShift = number(3);
    run.offset = uint64_t{number(1000)} << run.cellShift;
    return run;
  }
  std::vector<Cell> anyCells(uint32_t count, const Verdicts &v, bool known) {
    std::vector<Cell> cells(count);
    for (Cell &cell : cells)
      do
        cell = anyCell();
      while (known && number(50) && !isKnown(cell, v));
    return cells;
  }

  const CellKernels *kernels = nullptr;
  std::mt19937 random{11};
};

TEST_P(CellLoops, FindTheFirstOpenOrUnknownCell) {
  for (unsigned round = 0; round < 4000; ++round) {
    const Verdicts v = anyVerdicts();
    const CellRun run = anyRun();
    std::vector<Cell> cells(run.count);
    for (Cell &cell : cells)
      cell = number(20) ? makeCell(1, 0) : anyCell();
    uint32_t from = run.count > 4 ? number(2) * 4 : 0;
    uint32_t open = from, unknown = from;
    while (open < run.count && isOrdered(cells[open], cellOf(run, open), v))
      ++open;
    while (unknown < run.count && isKnown(cells[unknown], v))
      ++unknown;
    ASSERT_EQ(kernels->firstOpen(cells.data(), run, from, v), open);
    ASSERT_EQ(kernels->firstUnknown(cells.data(), run, from, v), unknown);
  }
}

TEST_P(CellLoops, RememberReaders) {
  for (unsigned round = 0; round < 4000; ++round) {
    const Verdicts v = anyVerdicts();
    const CellRun run = anyRun();
    const bool two = round % 2;
    std::vector<Cell> first = anyCells(run.count, v, true);
    std::vector<Cell> second = anyCells(run.count, v, true);
    std::vector<Cell> wantedFirst = first, wantedSecond = second;
    std::vector<Cell> written(run.count, makeCell(1, 2));
    const uint32_t late = number(run.count);
    if (number(4) == 0)
      written[late] = makeCell(101, 3);
    const Cell *writers = two && number(2) ? written.data() : nullptr;
    const uint32_t end = two ? kernels->rememberTwo(writers, first.data(),
                                                    second.data(), run, 0, v)
                             : kernels->rememberOne(first.data(), run, 0, v);
    ASSERT_LE(end, run.count);
    for (uint32_t i = 0; i < end; ++i) {
      ASSERT_TRUE(isKnown(wantedFirst[i], v));
      std::vector<Cell *> places{&wantedFirst[i]};
      if (two)
        places.push_back(&wantedSecond[i]);
      remember(places, cellOf(run, i),
               run.offset + (uint64_t{i} << run.cellShift), v);
    }
    ASSERT_EQ(first, wantedFirst); // behind `end` nothing changed
    ASSERT_EQ(second, wantedSecond);
    bool all = true;
    if (writers)
      for (uint32_t i = 0; i < run.count; ++i) {
        const bool before = isOrdered(written[i], cellOf(run, i), v);
        ASSERT_TRUE(before || i >= end);
        all &= before || i < end;
      }
    for (uint32_t i = end; i < run.count; ++i)
      all &= isKnown(first[i], v) && (!two || isKnown(second[i], v));
    ASSERT_TRUE(end == run.count || !all);
  }
}

TEST_P(CellLoops, WriteWhatIsBefore) {
  for (unsigned round = 0; round < 4000; ++round) {
    Verdicts v = anyVerdicts();
    const CellRun run = anyRun();
    std::vector<Cell> cells[3];
    for (auto &list : cells) {
      list.assign(run.count, kNobody);
      for (Cell &cell : list)
        cell = number(40) ? makeCell(1, 1) : anyCell();
    }
    v.before = std::max(v.before, makeCell(8, 0));
    const unsigned places = number(3);
    Cell *readers[2] = {places > 0 ? cells[1].data() : nullptr,
                        places > 1 ? cells[2].data() : nullptr};
    std::vector<Cell> wanted[3] = {cells[0], cells[1], cells[2]};
    const uint32_t end = kernels->write(cells[0].data(), readers, run, 0, v);
    for (uint32_t i = 0; i < end; ++i)
      for (unsigned list = 0; list <= places; ++list) {
        ASSERT_LT(wanted[list][i], v.before);
        wanted[list][i] = list ? kNobody : cellOf(run, i);
      }
    for (unsigned list = 0; list < 3; ++list)
      ASSERT_EQ(cells[list], wanted[list]);
  }
}

TEST_P(CellLoops, CompareAddresses) {
  for (unsigned round = 0; round < 2000; ++round) {
    const uint64_t base = number(2) * 0x7f0000001000, last = number(4000);
    const uint64_t bytes = 1u << number(5);
    uint64_t address[32], offset[32];
    address[0] = base + number(4000);
    for (unsigned l = 1; l < 32; ++l)
      address[l] = number(3)   ? address[l - 1] + bytes * number(2)
                   : number(2) ? base + number(4000)
                               : uint64_t{random()} << 24;
    uint32_t same = 0, next = 0;
    const uint32_t in =
        kernels->inside(address, base, last, number(2) ? offset : nullptr);
    kernels->inside(address, base, last, offset);
    kernels->neighbours(offset, bytes, same, next);
    for (unsigned l = 0; l < 32; ++l) {
      ASSERT_EQ(offset[l], address[l] - base);
      ASSERT_EQ(in >> l & 1, offset[l] <= last);
      ASSERT_EQ(same >> l & 1, l < 31 && offset[l + 1] == offset[l]);
      ASSERT_EQ(next >> l & 1, l < 31 && offset[l + 1] == offset[l] + bytes);
    }
  }
}

TEST_P(CellLoops, FindFlags) {
  std::vector<uint64_t> flags(40);
  for (unsigned round = 0; round < 2000; ++round) {
    for (uint64_t &word : flags)
      word = number(3) ? 0 : uint64_t{1} << number(64);
    const uint32_t bytes = 1u << number(7), lanes = number(3) ? ~0u : random();
    uint64_t offset[32];
    bool aligned = true;
    for (unsigned l = 0; l < 32; ++l) {
      offset[l] = number(2000) / bytes * bytes + (number(200) == 0);
      aligned &= offset[l] % bytes == 0 || !(lanes >> l & 1);
    }
    uint32_t wanted = 0;
    for (unsigned l = 0; l < 32; ++l)
      for (uint64_t at = offset[l]; at < offset[l] + bytes; ++at)
        wanted |= uint32_t(flags[at / 64] >> at % 64 & 1) << l;
    ASSERT_EQ(kernels->flagged(flags.data(), offset, lanes, bytes),
              aligned ? wanted & lanes : lanes);
    const uint64_t last = number(4) ? 2100 : number(2000);
    bool inside = true;
    for (unsigned l = 0; l < 32; ++l)
      inside &= offset[l] <= last || !(lanes >> l & 1);
    ASSERT_EQ(kernels->allDefined(flags.data(), offset, lanes, bytes, last),
              inside && aligned && (wanted & lanes) == 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Levels, CellLoops,
                         testing::Values(KernelLevel::Baseline,
                                         KernelLevel::Avx2,
                                         KernelLevel::Avx512));
} // namespace
