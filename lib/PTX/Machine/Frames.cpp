// Activations of functions, blocks and their warps.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Machine.h"

#include <algorithm>
#include <cstring>

namespace ptx {

static uint32_t laneMaskValue(FrameValueKind kind, unsigned lane) {
  uint32_t bit = 1u << lane, below = bit - 1;
  switch (kind) {
  case FrameValueKind::LaneMaskEq:
    return bit;
  case FrameValueKind::LaneMaskLe:
    return below | bit;
  case FrameValueKind::LaneMaskLt:
    return below;
  case FrameValueKind::LaneMaskGe:
    return ~below;
  default:
    return ~(below | bit);
  }
}

/// The block as part of its cluster.
static Dim3 idInCluster(const Block &block) {
  const Dim3 &size = block.grid->cluster;
  return {block.id.x % size.x, block.id.y % size.y, block.id.z % size.z};
}

/// A value that comes from the block's place in its cluster.
static uint64_t clusterValue(const Block &block, FrameValueKind kind) {
  const Dim3 &cluster = block.grid->cluster;
  const Dim3 &size = block.grid->size;
  Dim3 inCluster = idInCluster(block);
  using K = FrameValueKind;
  switch (kind) {
  case K::ClusterIdX:
    return block.id.x / cluster.x;
  case K::ClusterIdY:
    return block.id.y / cluster.y;
  case K::ClusterIdZ:
    return block.id.z / cluster.z;
  case K::NClusterIdX:
    return size.x / cluster.x;
  case K::NClusterIdY:
    return size.y / cluster.y;
  case K::NClusterIdZ:
    return size.z / cluster.z;
  case K::ClusterCtaidX:
    return inCluster.x;
  case K::ClusterCtaidY:
    return inCluster.y;
  case K::ClusterCtaidZ:
    return inCluster.z;
  case K::ClusterNCtaidX:
    return cluster.x;
  case K::ClusterNCtaidY:
    return cluster.y;
  case K::ClusterNCtaidZ:
    return cluster.z;
  case K::ClusterCtaRank:
    return block.rank;
  case K::ClusterNCtaRank:
    return cluster.count();
  case K::IsExplicitCluster:
    return block.grid->explicitCluster;
  default: // %reserved_smem_*, %current_graph_exec
    return 0;
  }
}

/// A value all lanes of a block agree on.
static uint64_t blockValue(const Block &block, const FrameValue &value) {
  const Grid &grid = *block.grid;
  using K = FrameValueKind;
  switch (value.kind) {
  case K::NTidX:
    return grid.block.x;
  case K::NTidY:
    return grid.block.y;
  case K::NTidZ:
    return grid.block.z;
  case K::CtaidX:
    return block.id.x;
  case K::CtaidY:
    return block.id.y;
  case K::CtaidZ:
    return block.id.z;
  case K::NCtaidX:
    return grid.size.x;
  case K::NCtaidY:
    return grid.size.y;
  case K::NCtaidZ:
    return grid.size.z;
  case K::NWarpId:
    return grid.perSm * ((grid.block.count() + 31) / 32);
  case K::SmId:
    return block.sm;
  case K::NSmId:
    return grid.smCount;
  case K::GridId:
    return grid.id;
  case K::DynamicSharedSize:
    return grid.dynamicShared;
  case K::TotalSharedSize:
  case K::AggregateSharedSize:
    return grid.sharedBytes();
  case K::DynamicShared: {
    uint64_t align = std::max<uint64_t>(value.value, 1);
    return (grid.staticShared + align - 1) / align * align;
  }
  case K::EnvReg: // 1 and 2 hold the workspace, as CUDA's headers expect
    if (value.value == 1)
      return grid.workspace >> 32;
    return value.value == 2 ? grid.workspace & 0xffffffff : 0;
  default:
    return clusterValue(block, value.kind);
  }
}

static uint64_t laneValue(const Frame &frame, const Warp &warp,
                          const FrameValue &value, unsigned lane) {
  const Dim3 &size = warp.block->grid->block;
  uint32_t thread = warp.index * kLanes + lane;
  using K = FrameValueKind;
  switch (value.kind) {
  case K::TidX:
    return thread % size.x;
  case K::TidY:
    return thread / size.x % size.y;
  case K::TidZ:
    return thread / size.x / size.y;
  case K::LaneId:
    return lane;
  case K::WarpId:
    return warp.index;
  case K::LocalSymbol:
    return frame.localBase + value.value;
  case K::LaneMaskEq:
  case K::LaneMaskLe:
  case K::LaneMaskLt:
  case K::LaneMaskGe:
  case K::LaneMaskGt:
    return laneMaskValue(value.kind, lane);
  default:
    return blockValue(*warp.block, value);
  }
}

static bool differsByLane(FrameValueKind kind) {
  using K = FrameValueKind;
  return kind == K::TidX || kind == K::TidY || kind == K::TidZ ||
         kind == K::LaneId || (kind >= K::LaneMaskEq && kind <= K::LaneMaskGt);
}

static void fillFrameValues(Frame &frame, const Warp &warp) {
  std::byte *registers = frame.registers.data;
  for (const FrameValue &value : frame.function->frameValues) {
    bool byLane = differsByLane(value.kind);
    uint64_t uniform = byLane ? 0 : laneValue(frame, warp, value, 0);
    if (value.width == Width::Predicate) { // a mask of lanes and its poison
      const LaneMask mask[2] = {uniform ? kAllLanes : 0, 0};
      std::memcpy(registers + value.slot, mask, sizeof mask);
      continue;
    }
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      uint64_t v = byLane ? laneValue(frame, warp, value, lane) : uniform;
      if (value.width == Width::Double)
        reinterpret_cast<uint64_t *>(registers + value.slot)[lane] = v;
      else
        reinterpret_cast<uint32_t *>(registers + value.slot)[lane] =
            static_cast<uint32_t>(value.width == Width::Half ? v & 0xffff : v);
    }
    if (frame.poison.empty())
      continue;
    frame.poison[value.slot / 128] = 0;
    if (value.width == Width::Double)
      frame.poison[value.slot / 128 + 1] = 0;
  }
}

/// Grows the local memory of a warp to \p bytes a lane; content stays.
static void growLocal(Warp &warp, uint32_t bytes) {
  if (bytes <= warp.localBytes)
    return;
  AlignedBytes grown(size_t{bytes} * kLanes);
  std::memset(grown.data, 0xCD, grown.size);
  for (unsigned lane = 0; lane < kLanes && warp.localBytes; ++lane)
    std::memcpy(grown.data + size_t{lane} * bytes,
                warp.local.data + size_t{lane} * warp.localBytes,
                warp.localBytes);
  warp.local = std::move(grown);
  warp.localBytes = bytes;
}

static uint32_t alignUp(uint32_t value, uint32_t align) {
  align = std::max(align, 1u);
  return (value + align - 1) / align * align;
}

void reserveLocal(Warp &warp, Frame &frame, const Instruction *in,
                  uint32_t end) {
  uint32_t limit = warp.block->grid->options->stackLimit;
  // Every activation takes some stack on hardware too, for what it saves.
  uint64_t used = uint64_t{end} + uint64_t{frame.depth} * 32;
  if (frame.depth && used > limit)
    warp.fail(FindingKind::StackOverflow, *in, warp.active,
              "the stack of a thread needs more than " + std::to_string(limit) +
                  " bytes at call depth " + std::to_string(frame.depth));
  frame.stackTop = end;
  growLocal(warp, alignUp(end, 16));
}

static void clear(AlignedBytes &bytes) {
  std::fill_n(bytes.data, bytes.size, std::byte{0});
}

Frame *Machine::makeFrame(const Function &function, Warp &warp, Frame *parent,
                          const Instruction *call) {
  size_t index = &function - grid.program->functions.data();
  Frame *frame;
  if (freeFrames[index].empty()) {
    frame = frames.emplace_back(std::make_unique<Frame>()).get();
    frame->function = &function;
    frame->registers = AlignedBytes(function.frameBytes);
    frame->params = AlignedBytes(size_t{function.paramBytes} * kLanes);
    if (poison)
      frame->poison.resize(PoisonPlan::masksOf(function));
  } else {
    frame = freeFrames[index].back();
    freeFrames[index].pop_back();
    clear(frame->registers);
    clear(frame->params);
  }
  frame->parent = parent;
  frame->call = call;
  frame->depth = parent ? parent->depth + 1 : 0;
  frame->references = 1;
  frame->localBase =
      alignUp(parent ? parent->stackTop : 0, function.localAlign);
  reserveLocal(warp, *frame, call, frame->localBase + function.localBytes);
  if (poison) {
    std::fill(frame->poison.begin(), frame->poison.end(), kAllLanes);
    frame->poison[frame->poison.size() - 2] = 0; // see PoisonPlan::masksOf
    auto *predicates = reinterpret_cast<LaneMask *>(frame->registers.data);
    for (uint32_t i = 0; i < function.predicateBytes / 8; ++i)
      predicates[2 * i + 1] = kAllLanes;
  }
  fillFrameValues(*frame, warp);
  return frame;
}

/// The activation that other lanes of the warp made by the same call and are
/// still in; null if there is none. Lanes whose stack is higher than theirs
/// was need one of their own.
static Frame *findActivation(const Warp &warp, const Function &function,
                             const Frame *parent, const Instruction *call) {
  uint32_t base = alignUp(parent->stackTop, function.localAlign);
  for (const Split &split : warp.others)
    for (Frame *frame = split.frame; frame->depth > parent->depth;
         frame = frame->parent)
      if (frame->parent == parent && frame->call == call &&
          frame->function == &function && frame->localBase == base)
        return frame;
  return nullptr;
}

/// Makes the registers and parameters of \p lanes those of a new activation.
/// Of undefined registers only the poison is fresh: nothing may read them.
static void refreshLanes(Frame &frame, const Warp &warp, LaneMask lanes) {
  const Function &function = *frame.function;
  auto *predicates = reinterpret_cast<LaneMask *>(frame.registers.data);
  for (uint32_t i = 0; i < function.predicateBytes / 8; ++i) {
    predicates[2 * i] &= ~lanes;
    predicates[2 * i + 1] |= frame.poison.empty() ? 0 : lanes;
  }
  for (LaneMask &poison : frame.poison)
    poison |= lanes;
  if (!frame.poison.empty())
    frame.poison[frame.poison.size() - 2] = 0; // see PoisonPlan::masksOf
  forEachLane(lanes, [&](unsigned lane) {
    std::memset(frame.params.data + size_t{lane} * function.paramBytes, 0,
                function.paramBytes);
  });
  fillFrameValues(frame, warp);
}

Frame *Machine::enterActivation(const Function &function, Warp &warp,
                                const Instruction &call, LaneMask lanes) {
  Frame *caller = warp.frame;
  Frame *callee = findActivation(warp, function, caller, &call);
  if (!callee) {
    callee = makeFrame(function, warp, caller, &call);
    callee->lanes = lanes;
    return callee;
  }
  refreshLanes(*callee, warp, lanes);
  callee->lanes |= lanes;
  ++callee->references;
  --caller->references; // the activation has one already
  return callee;
}

void Machine::releaseFrame(Frame *frame) {
  while (frame && --frame->references == 0) {
    Frame *parent = frame->parent;
    freeFrames[frame->function - grid.program->functions.data()].push_back(
        frame);
    frame = parent;
  }
}

void enterFrame(Warp &warp, Frame *frame) {
  warp.frame = frame;
  warp.base[0] = frame->registers.data;
  warp.poison = frame->poison.empty() ? nullptr : frame->poison.data();
}

Warp::Warp() = default;
Warp::~Warp() = default;

void Machine::makeWarps(Block &block) {
  uint64_t threads = grid.block.count();
  for (unsigned i = 0; i * kLanes < threads; ++i) {
    auto warp = std::make_unique<Warp>();
    warp->index = i;
    warp->block = &block;
    warp->observed = observer != nullptr;
    warp->checked = observer && !countsOnly;
    warp->base[1] = grid.constants;
    uint64_t left = threads - uint64_t{i} * kLanes;
    warp->live = left >= kLanes ? kAllLanes : (1u << left) - 1;
    warp->running = warp->live;
    warp->pc = grid.kernel->begin;
    enterFrame(*warp, makeFrame(*grid.kernel, *warp, nullptr, nullptr));
    updateMergePc(*warp);
    block.warps.push_back(std::move(warp));
  }
  block.liveWarps = static_cast<unsigned>(block.warps.size());
  block.liveThreads = static_cast<unsigned>(threads);
}

/// The id of the \p index-th cluster, x fastest.
static Dim3 clusterId(const Grid &grid, uint64_t index) {
  uint64_t nx = grid.size.x / grid.cluster.x, ny = grid.size.y / grid.cluster.y;
  return {static_cast<uint32_t>(index % nx),
          static_cast<uint32_t>(index / nx % ny),
          static_cast<uint32_t>(index / nx / ny)};
}

std::unique_ptr<Cluster> Machine::makeCluster(uint64_t index) {
  auto cluster = std::make_unique<Cluster>();
  cluster->grid = &grid;
  cluster->id = clusterId(grid, index);
  const Dim3 &shape = grid.cluster;
  for (unsigned rank = 0; rank < shape.count(); ++rank) {
    auto block = std::make_unique<Block>();
    block->grid = &grid;
    block->cluster = cluster.get();
    block->machine = this;
    block->rank = rank;
    block->id = {cluster->id.x * shape.x + rank % shape.x,
                 cluster->id.y * shape.y + rank / shape.x % shape.y,
                 cluster->id.z * shape.z + rank / shape.x / shape.y};
    block->linear =
        block->id.x + uint64_t{grid.size.x} *
                          (block->id.y + uint64_t{grid.size.y} * block->id.z);
    block->sm = static_cast<unsigned>((index * shape.count() + rank) %
                                      std::max(1u, grid.smCount));
    block->shared = AlignedBytes(grid.sharedBytes());
    if (block->shared.size)
      std::memset(block->shared.data, 0xCD, block->shared.size);
    cluster->blocks.push_back(std::move(block));
  }
  for (auto &block : cluster->blocks) {
    makeWarps(*block);
    if (engine)
      engine->onBlockStart(*block);
    if (observer)
      observer->onBlockStart(*block);
  }
  return cluster;
}

} // namespace ptx
