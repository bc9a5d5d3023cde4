// What is reported about a running kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Machine.h"

#include "Isa/IsaTable.h"
#include "ptx/Module.h"

#include <algorithm>

namespace ptx {

std::string_view findingName(FindingKind kind) {
  switch (kind) {
  case FindingKind::OutOfBounds:
    return "out-of-bounds";
  case FindingKind::UseAfterFree:
    return "use-after-free";
  case FindingKind::Misaligned:
    return "misaligned";
  case FindingKind::ReadOnly:
    return "read-only";
  case FindingKind::Uninitialised:
    return "uninitialised";
  case FindingKind::Race:
    return "race";
  case FindingKind::SameValueRace:
    return "same-value-race";
  case FindingKind::BarrierDivergence:
    return "barrier-divergence";
  case FindingKind::Divergence:
    return "divergence";
  case FindingKind::MissingWait:
    return "missing-wait";
  case FindingKind::AsyncMisuse:
    return "async-misuse";
  case FindingKind::Deadlock:
    return "deadlock";
  case FindingKind::Livelock:
    return "livelock";
  case FindingKind::DivisionByZero:
    return "division-by-zero";
  case FindingKind::StackOverflow:
    return "stack-overflow";
  case FindingKind::Budget:
    return "budget";
  case FindingKind::Trap:
    return "trap";
  case FindingKind::Assertion:
    return "assertion";
  case FindingKind::IllegalInstruction:
    return "illegal-instruction";
  case FindingKind::IllegalAddress:
    return "illegal-address";
  }
  return "finding";
}

std::string lanesText(LaneMask lanes) {
  if (lanes == kAllLanes)
    return "all lanes";
  std::string text = (lanes & (lanes - 1)) ? "lanes " : "lane ";
  bool first = true;
  for (unsigned l = 0; l < kLanes; ++l) {
    if (!(lanes >> l & 1))
      continue;
    unsigned end = l;
    while (end + 1 < kLanes && (lanes >> (end + 1) & 1))
      ++end;
    text += (first ? "" : ",") + std::to_string(l);
    if (end > l)
      text += "-" + std::to_string(end);
    first = false;
    l = end;
  }
  return lanes ? text : "no lane";
}

static std::string dimText(const Dim3 &d) {
  return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," +
         std::to_string(d.z) + ")";
}

static std::string trimmed(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r"),
         end = text.find_last_not_of(" \t\r");
  return begin == text.npos ? std::string()
                            : std::string(text.substr(begin, end - begin + 1));
}

FindingPlace placeOf(const Warp &warp, const Instruction &in, LaneMask lanes) {
  FindingPlace place;
  place.line = in.line;
  place.column = in.column;
  place.sourceLine = in.sourceLine;
  const Module &module = *warp.block->grid->module;
  auto file = module.sourceFiles().find(in.sourceFile);
  if (in.sourceLine && file != module.sourceFiles().end())
    place.sourceFile = file->second;
  place.instruction = trimmed(module.line(in.line));
  place.block = warp.block->id;
  place.warp = warp.index;
  place.lanes = lanes;
  return place;
}

static std::string placeText(const FindingPlace &place) {
  std::string text = "line " + std::to_string(place.line);
  if (!place.instruction.empty())
    text += " (" + place.instruction + ")";
  if (place.sourceLine)
    text += ", " +
            (place.sourceFile.empty() ? std::string("source line")
                                      : place.sourceFile) +
            (place.sourceFile.empty() ? " " : ":") +
            std::to_string(place.sourceLine);
  return text + ", block " + dimText(place.block) + " warp " +
         std::to_string(place.warp) + " " + lanesText(place.lanes);
}

std::string Finding::text() const {
  std::string text(findingName(kind));
  text += ": ";
  if (place.line)
    text += placeText(place) + ": ";
  text += message;
  if (other)
    text += "; other party: " + placeText(*other);
  if (count > 1)
    text += " [" + std::to_string(count) + " times]";
  return text;
}

void Journal::add(Finding finding) {
  std::lock_guard<std::mutex> guard(lock);
  for (Finding &known : findings) {
    bool sameOther = known.other.has_value() == finding.other.has_value() &&
                     (!known.other || known.other->line == finding.other->line);
    if (known.kind == finding.kind && known.place.line == finding.place.line &&
        sameOther && known.fatal == finding.fatal && finding.place.line) {
      ++known.count;
      return;
    }
  }
  if (findings.size() < limit || finding.fatal)
    findings.push_back(std::move(finding));
}

void Journal::print(const std::string &text) {
  std::lock_guard<std::mutex> guard(lock);
  log += text;
}

std::vector<Finding> Journal::takeFindings() { return std::move(findings); }
std::string Journal::takeLog() { return std::move(log); }

void Warp::report(FindingKind kind, const Instruction &in, LaneMask lanes,
                  std::string message) {
  Finding finding;
  finding.kind = kind;
  finding.place = placeOf(*this, in, lanes);
  finding.message = std::move(message);
  block->machine->journal.add(std::move(finding));
}

void Warp::fail(FindingKind kind, const Instruction &in, LaneMask lanes,
                std::string message) {
  Finding finding;
  finding.kind = kind;
  finding.place = placeOf(*this, in, lanes);
  finding.message = std::move(message);
  finding.fatal = true;
  block->machine->journal.add(std::move(finding));
  throw LaunchStopped{};
}

LaneMask Warp::observeAccess(const Access &access) {
  return block->machine->observer->onAccess(access);
}

//===----------------------------------------------------------------------===//
// Deadlocks
//===----------------------------------------------------------------------===//

static const char *waitText(WaitReason reason) {
  switch (reason) {
  case WaitReason::None:
    return "run";
  case WaitReason::Members:
    return "wait for other lanes of the warp";
  case WaitReason::Barrier:
    return "wait at a barrier";
  case WaitReason::ClusterBarrier:
    return "wait at the cluster barrier";
  case WaitReason::Mbarrier:
    return "wait for an mbarrier";
  case WaitReason::AsyncGroup:
    return "wait for an asynchronous operation";
  case WaitReason::Allocation:
    return "wait for registers";
  }
  return "wait";
}

static std::string barrierText(const Block &block, unsigned number) {
  const Barrier &barrier = block.barriers[number];
  uint32_t expected = barrier.expected ? barrier.expected : block.liveThreads;
  return " " + std::to_string(number) + " (" +
         std::to_string(barrier.expected ? barrier.rounded : barrier.arrived) +
         " of " + std::to_string(expected) + " threads arrived)";
}

/// The splits of a warp, the running one too.
static std::vector<Split> splitsOf(const Warp &warp) {
  std::vector<Split> splits = warp.others;
  if (warp.running) {
    Split split;
    split.pc = warp.pc;
    split.mask = warp.running;
    split.frame = warp.frame;
    splits.push_back(split);
  }
  return splits;
}

static const Instruction &instructionOf(const Warp &warp, const Split &split) {
  if (split.wait == WaitReason::Barrier)
    return *split.instruction;
  return warp.block->grid->program->instructions[split.pc];
}

std::string Machine::describeWaits() const {
  std::string text;
  unsigned lines = 0;
  for (auto &cluster : clusters)
    for (auto &block : cluster->blocks) {
      for (auto &warp : block->warps) {
        if (!warp->live)
          continue;
        for (const Split &split : splitsOf(*warp)) {
          if (++lines > 40)
            return text + "  ...\n";
          const Instruction &in = instructionOf(*warp, split);
          text += "  block " + dimText(block->id) + " warp " +
                  std::to_string(warp->index) + " " + lanesText(split.mask) +
                  " " + waitText(split.wait);
          if (split.wait == WaitReason::Barrier)
            text += barrierText(*block, split.barrier);
          text += ", line " + std::to_string(in.line) +
                  (in.row ? " (" + in.row->name() + ")" : "") + "\n";
        }
      }
      if (engine)
        text += engine->describe(*block);
    }
  return text;
}

/// The split that explains best why a warp stands: lanes that wait for lanes
/// which cannot come, then barriers.
static int blame(const Split &split, const Instruction &in) {
  if (split.wait == WaitReason::Members)
    return in.flags & kAligned ? 4 : 3;
  if (split.wait == WaitReason::Barrier)
    return 2;
  return split.wait == WaitReason::None ? 0 : 1;
}

void Machine::reportStuck(bool deadlock) {
  Finding finding;
  finding.kind = deadlock ? FindingKind::Deadlock : FindingKind::Livelock;
  finding.fatal = true;
  int best = -1;
  for (auto &cluster : clusters)
    for (auto &block : cluster->blocks)
      for (auto &warp : block->warps) {
        if (!warp->live)
          continue;
        for (const Split &split : splitsOf(*warp)) {
          const Instruction &in = instructionOf(*warp, split);
          int score = blame(split, in);
          if (score <= best)
            continue;
          best = score;
          finding.place = placeOf(*warp, in, split.mask);
          if (score >= 3)
            finding.message = "waits for " +
                              lanesText(warp->live & ~split.mask) +
                              " of the warp, which cannot come";
          if (score >= 3 && deadlock)
            finding.kind = FindingKind::Divergence;
        }
      }
  std::string waits = describeWaits();
  if (finding.message.empty())
    finding.message = deadlock ? "no thread can go on"
                               : "the threads only spin, and nothing "
                                 "they look at changes for good";
  finding.message += "\n" + waits;
  journal.add(std::move(finding));
  throw LaunchStopped{};
}

} // namespace ptx
