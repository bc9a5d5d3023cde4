// The read-only registers of PTX.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Decode/SpecialRegisters.h"

#include <unordered_map>

using namespace ptx;

namespace {
using K = FrameValueKind;

SpecialRegister value(std::string_view name, K kind, unsigned minSm = 0,
                      unsigned minPtx = 0, bool mayBeCut = false) {
  SpecialRegister special;
  special.name = name;
  special.kind = kind;
  special.minSm = minSm;
  special.minPtx = minPtx;
  special.mayBeCut = mayBeCut;
  return special;
}

SpecialRegister clock(std::string_view name, ClockKind kind, Width width,
                      unsigned minPtx = 0) {
  SpecialRegister special;
  special.name = name;
  special.isClock = true;
  special.clock = kind;
  special.width = width;
  special.minPtx = minPtx;
  return special;
}

SpecialRegister wide(std::string_view name, K kind, unsigned minPtx) {
  SpecialRegister special = value(name, kind, 0, minPtx);
  special.width = Width::Double;
  return special;
}

SpecialRegister fourth(std::string_view name, unsigned minSm, unsigned minPtx) {
  SpecialRegister special = value(name, K::TidX, minSm, minPtx, !minSm);
  special.isZero = true;
  return special;
}

using Map = std::unordered_map<std::string_view, SpecialRegister>;

void addThreadAndGrid(Map &map) {
  for (const SpecialRegister &special :
       {value("%tid.x", K::TidX, 0, 0, true),
        value("%tid.y", K::TidY, 0, 0, true),
        value("%tid.z", K::TidZ, 0, 0, true),
        value("%ntid.x", K::NTidX, 0, 0, true),
        value("%ntid.y", K::NTidY, 0, 0, true),
        value("%ntid.z", K::NTidZ, 0, 0, true),
        value("%ctaid.x", K::CtaidX, 0, 0, true),
        value("%ctaid.y", K::CtaidY, 0, 0, true),
        value("%ctaid.z", K::CtaidZ, 0, 0, true),
        value("%nctaid.x", K::NCtaidX, 0, 0, true),
        value("%nctaid.y", K::NCtaidY, 0, 0, true),
        value("%nctaid.z", K::NCtaidZ, 0, 0, true),
        value("%laneid", K::LaneId),
        value("%warpid", K::WarpId),
        value("%nwarpid", K::NWarpId),
        value("%smid", K::SmId),
        value("%nsmid", K::NSmId),
        value("%lanemask_eq", K::LaneMaskEq),
        value("%lanemask_le", K::LaneMaskLe),
        value("%lanemask_lt", K::LaneMaskLt),
        value("%lanemask_ge", K::LaneMaskGe),
        value("%lanemask_gt", K::LaneMaskGt)})
    map.emplace(special.name, special);
  SpecialRegister grid = wide("%gridid", K::GridId, 30);
  grid.mayBeCut = true;
  map.emplace(grid.name, grid);
  for (std::string_view name : {"%tid.w", "%ntid.w", "%ctaid.w", "%nctaid.w"})
    map.emplace(name, fourth(name, 0, 0));
}

void addClusterAndMemory(Map &map) {
  for (const SpecialRegister &special :
       {value("%clusterid.x", K::ClusterIdX, 90, 78),
        value("%clusterid.y", K::ClusterIdY, 90, 78),
        value("%clusterid.z", K::ClusterIdZ, 90, 78),
        value("%nclusterid.x", K::NClusterIdX, 90, 78),
        value("%nclusterid.y", K::NClusterIdY, 90, 78),
        value("%nclusterid.z", K::NClusterIdZ, 90, 78),
        value("%cluster_ctaid.x", K::ClusterCtaidX, 90, 78),
        value("%cluster_ctaid.y", K::ClusterCtaidY, 90, 78),
        value("%cluster_ctaid.z", K::ClusterCtaidZ, 90, 78),
        value("%cluster_nctaid.x", K::ClusterNCtaidX, 90, 78),
        value("%cluster_nctaid.y", K::ClusterNCtaidY, 90, 78),
        value("%cluster_nctaid.z", K::ClusterNCtaidZ, 90, 78),
        value("%cluster_ctarank", K::ClusterCtaRank, 90, 78),
        value("%cluster_nctarank", K::ClusterNCtaRank, 90, 78),
        value("%dynamic_smem_size", K::DynamicSharedSize, 20, 41),
        value("%total_smem_size", K::TotalSharedSize, 20, 41),
        value("%aggr_smem_size", K::AggregateSharedSize, 90, 81),
        value("%reserved_smem_offset_begin", K::ReservedSharedBegin, 80, 76),
        value("%reserved_smem_offset_end", K::ReservedSharedEnd, 80, 76),
        value("%reserved_smem_offset_cap", K::ReservedSharedCap, 80, 76),
        value("%reserved_smem_offset_0", K::ReservedSharedOffset, 80, 76),
        value("%reserved_smem_offset_1", K::ReservedSharedOffset, 80, 76),
        wide("%current_graph_exec", K::CurrentGraphExec, 80)})
    map.emplace(special.name, special);
  SpecialRegister isExplicit =
      value("%is_explicit_cluster", K::IsExplicitCluster, 90, 78);
  isExplicit.width = Width::Predicate;
  map.emplace(isExplicit.name, isExplicit);
  for (std::string_view name : {"%clusterid.w", "%nclusterid.w",
                                "%cluster_ctaid.w", "%cluster_nctaid.w"})
    map.emplace(name, fourth(name, 90, 78));
}

Map build() {
  Map map;
  addThreadAndGrid(map);
  addClusterAndMemory(map);
  for (const SpecialRegister &special :
       {clock("%clock", ClockKind::Clock, Width::Word),
        clock("%clock_hi", ClockKind::ClockHi, Width::Word, 50),
        clock("%clock64", ClockKind::Clock64, Width::Double),
        clock("%globaltimer", ClockKind::Timer, Width::Double),
        clock("%globaltimer_lo", ClockKind::TimerLo, Width::Word),
        clock("%globaltimer_hi", ClockKind::TimerHi, Width::Word)})
    map.emplace(special.name, special);
  return map;
}

/// The number behind \p prefix in \p name, below \p count.
std::optional<unsigned> numbered(std::string_view name, std::string_view prefix,
                                 unsigned count) {
  if (name.substr(0, prefix.size()) != prefix)
    return std::nullopt;
  name.remove_prefix(prefix.size());
  if (name.empty() || name.size() > 2)
    return std::nullopt;
  unsigned number = 0;
  for (char c : name) {
    if (c < '0' || c > '9')
      return std::nullopt;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  return number < count ? std::optional(number) : std::nullopt;
}
} // namespace

std::optional<SpecialRegister> ptx::specialRegister(std::string_view name) {
  static const Map map = build();
  if (auto found = map.find(name); found != map.end())
    return found->second;
  if (auto number = numbered(name, "%envreg", 32)) {
    SpecialRegister special = value("%envreg", K::EnvReg);
    special.value = *number;
    return special;
  }
  bool is64 = name.size() > 3 && name.substr(name.size() - 3) == "_64";
  if (auto number =
          numbered(is64 ? name.substr(0, name.size() - 3) : name, "%pm", 8)) {
    SpecialRegister special =
        clock("%pm", ClockKind::Pm, is64 ? Width::Double : Width::Word);
    special.value = *number;
    return special;
  }
  return std::nullopt;
}
