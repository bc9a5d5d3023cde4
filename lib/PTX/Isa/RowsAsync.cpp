// Forms of asynchronous copies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/BulkHandlers.h"
#include "Async/CopyAsync.h"
#include "Async/TensorHandlers.h"
#include "Isa/IsaTable.h"

#include <string>
#include <vector>

namespace ptx {
namespace {

using namespace async;
using Modifiers = std::vector<std::string>;

Row base(Modifiers modifiers, unsigned sm, unsigned ptx, HandlerSet handlers,
         void (*decode)(DecodeContext &, Instruction &) = nullptr) {
  Row row;
  row.opcode = "cp";
  row.modifiers = std::move(modifiers);
  row.resultCount = 0;
  row.minSm = sm;
  row.minPtx = ptx;
  row.cost = Cost::Async;
  row.handlers = handlers;
  row.decode = decode;
  return row;
}

Modifiers operator+(Modifiers a, const Modifiers &b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

//===----------------------------------------------------------------------===//
// cp.async
//===----------------------------------------------------------------------===//

void addCopies(IsaTable &table) {
  for (const char *cache : {".ca", ".cg"})
    for (const char *space : {".shared", ".shared::cta"})
      for (bool hint : {false, true})
        for (int variant : {0, 1, 2}) { // nothing, src-size, ignore-src
          Row row = base({".async", cache, space, ".global"}, 80,
                         variant == 2 ? 75 : 70, copyAsyncHandlers(),
                         decodeCopyAsync);
          if (hint)
            row.modifiers.push_back(".L2::cache_hint");
          if (hint && row.minPtx < 74)
            row.minPtx = 74;
          row.operands = {operand::address(), operand::address(),
                          operand::immediate(4, 16)};
          if (variant == 1)
            row.operands.push_back(operand::source(Type::B32));
          if (variant == 2)
            row.operands.push_back(operand::predicate(operand::Negate));
          if (hint)
            row.operands.push_back(operand::source(Type::B64));
          row.options = {
              {"prefetch", {".L2::64B", ".L2::128B", ".L2::256B"}, 80, 74}};
          table.add(std::move(row));
        }
  table.add(base({".async", ".commit_group"}, 80, 70, handleCopyCommit));
  Row wait = base({".async", ".wait_group"}, 80, 70, handleCopyWaitGroup);
  wait.operands = {operand::immediate(0, INT32_MAX, Type::B32)};
  table.add(std::move(wait));
  table.add(base({".async", ".wait_all"}, 80, 70, handleCopyWaitAll));
  for (bool counted : {false, true}) {
    Row row = base({".async", ".mbarrier", ".arrive", ".b64"}, 80, 70,
                   handleCopyArrive, decodeCopyArrive);
    if (counted)
      row.modifiers.push_back(".noinc");
    row.operands = {operand::address()};
    row.options = {{"space", {".shared", ".shared::cta"}}};
    table.add(std::move(row));
  }
}

//===----------------------------------------------------------------------===//
// cp.async.bulk
//===----------------------------------------------------------------------===//

const char *const kSignal = ".mbarrier::complete_tx::bytes";

/// A cache policy is the last operand where `.L2::cache_hint` is written.
void addHinted(IsaTable &table, Row row, int maskAfter = -1) {
  Row hinted = row;
  table.add(std::move(row));
  hinted.modifiers.push_back(".L2::cache_hint");
  auto at = maskAfter < 0 ? hinted.operands.end()
                          : hinted.operands.begin() + maskAfter;
  hinted.operands.insert(at, operand::source(Type::B64));
  table.add(std::move(hinted));
}

void addBulkCopies(IsaTable &table) {
  const OperandSpec address = operand::address();
  const OperandSpec size = operand::source(Type::U32);
  for (const char *to : {".shared::cluster", ".shared::cta"}) {
    Row row = base({".async", ".bulk", to, ".global", kSignal}, 90,
                   to[9] == 'c' && to[10] == 'l' ? 80 : 86, handleBulkCopy,
                   decodeBulkCopy);
    row.operands = {address, address, size, address};
    addHinted(table, row);
    if (std::string(to) == ".shared::cta")
      continue;
    row.modifiers.push_back(".multicast::cluster");
    row.operands.push_back(operand::source(Type::B16));
    addHinted(table, row);
  }
  Row across =
      base({".async", ".bulk", ".shared::cluster", ".shared::cta", kSignal}, 90,
           80, handleBulkCopy, decodeBulkCopy);
  across.operands = {address, address, size, address};
  table.add(std::move(across));
  Row store =
      base({".async", ".bulk", ".global", ".shared::cta", ".bulk_group"}, 90,
           80, handleBulkCopy, decodeBulkCopy);
  store.operands = {address, address, size};
  addHinted(table, store);
  store.modifiers.push_back(".cp_mask");
  store.minSm = 100;
  store.minPtx = 86;
  store.operands.push_back(operand::source(Type::B16));
  addHinted(table, store, 3);
  Row prefetch = base({".async", ".bulk", ".prefetch", ".L2", ".global"}, 90,
                      80, handleBulkPrefetch);
  prefetch.operands = {address, size};
  addHinted(table, std::move(prefetch));
  table.add(
      base({".async", ".bulk", ".commit_group"}, 90, 80, handleBulkCommit));
  for (bool read : {false, true}) {
    Row wait = base({".async", ".bulk", ".wait_group"}, 90, 80, handleBulkWait,
                    decodeBulkWait);
    if (read)
      wait.modifiers.push_back(".read");
    wait.operands = {operand::immediate(0, INT32_MAX, Type::B32)};
    table.add(std::move(wait));
  }
}

void addReduction(IsaTable &table, const Modifiers &operation, bool toGlobal) {
  const OperandSpec address = operand::address();
  const OperandSpec size = operand::source(Type::U32);
  if (toGlobal) {
    Row row = base(Modifiers{".reduce", ".async", ".bulk", ".global",
                             ".shared::cta", ".bulk_group"} +
                       operation,
                   90, 80, handleBulkCopy, decodeBulkCopy);
    row.operands = {address, address, size};
    return addHinted(table, std::move(row));
  }
  Row row = base(Modifiers{".reduce", ".async", ".bulk", ".shared::cluster",
                           ".shared::cta", kSignal} +
                     operation,
                 90, 80, handleBulkCopy, decodeBulkCopy);
  row.operands = {address, address, size, address};
  table.add(std::move(row));
}

void addBulkReductions(IsaTable &table) {
  for (bool toGlobal : {false, true}) {
    for (const char *op : {".and", ".or", ".xor"}) {
      addReduction(table, {op, ".b32"}, toGlobal);
      if (toGlobal)
        addReduction(table, {op, ".b64"}, toGlobal);
    }
    for (const char *op : {".inc", ".dec"})
      addReduction(table, {op, ".u32"}, toGlobal);
    for (const char *type : {".u32", ".s32", ".u64"})
      addReduction(table, {".add", type}, toGlobal);
    for (const char *op : {".min", ".max"}) {
      for (const char *type : {".u32", ".s32"})
        addReduction(table, {op, type}, toGlobal);
      if (toGlobal)
        for (const char *type : {".u64", ".s64", ".f16", ".bf16"})
          addReduction(table, {op, type}, toGlobal);
    }
  }
  for (const char *type : {".f16", ".bf16"})
    addReduction(table, {".add", ".noftz", type}, true);
  for (const char *type : {".f32", ".f64"})
    addReduction(table, {".add", type}, true);
}

//===----------------------------------------------------------------------===//
// cp.async.bulk.tensor
//===----------------------------------------------------------------------===//

/// A load, and those that say which block of a pair hears of it.
void addLoads(IsaTable &table, const Row &load) {
  addHinted(table, load);
  for (const char *pair : {".cta_group::1", ".cta_group::2"}) {
    Row paired = load;
    paired.modifiers.push_back(pair);
    paired.minSm = 100;
    paired.minPtx = 86;
    paired.needsA = paired.laterFamilies = true;
    addHinted(table, std::move(paired));
  }
}

void addTensorForms(IsaTable &table, unsigned rank, bool tile) {
  const std::string dimensions = "." + std::to_string(rank) + "d";
  const OperandSpec address = operand::address();
  const OperandSpec map = operand::tensorAddress(rank);
  const Modifiers mode = tile ? Modifiers{".tile"} : Modifiers{};
  auto form = [&](Modifiers modifiers, unsigned ptx) {
    return base(modifiers + mode, 90, ptx, handleTensorCopy, decodeTensorCopy);
  };
  for (const char *to : {".shared::cluster", ".shared::cta"}) {
    const bool cluster = std::string(to) == ".shared::cluster";
    Row load =
        form({".async", ".bulk", ".tensor", dimensions, to, ".global", kSignal},
             cluster ? 80 : 86);
    load.operands = {address, map, address};
    addLoads(table, load);
    if (!cluster)
      continue;
    load.modifiers.push_back(".multicast::cluster");
    load.operands.push_back(operand::source(Type::B16));
    addLoads(table, load);
  }
  Row store = form({".async", ".bulk", ".tensor", dimensions, ".global",
                    ".shared::cta", ".bulk_group"},
                   80);
  store.operands = {map, address};
  addHinted(table, store);
  for (const char *op :
       {".add", ".min", ".max", ".inc", ".dec", ".and", ".or", ".xor"}) {
    Row reduce = form({".reduce", ".async", ".bulk", ".tensor", dimensions,
                       ".global", ".shared::cta", op, ".bulk_group"},
                      80);
    reduce.operands = {map, address};
    addHinted(table, std::move(reduce));
  }
  Row prefetch = form(
      {".async", ".bulk", ".prefetch", ".tensor", dimensions, ".L2", ".global"},
      80);
  prefetch.operands = {map};
  addHinted(table, std::move(prefetch));
}

/// Four rows of a tensor of two dimensions, by their numbers.
void addRowForms(IsaTable &table) {
  const OperandSpec address = operand::address();
  const OperandSpec map = operand::tensorAddress(5);
  auto form = [&](Modifiers modifiers, bool family) {
    Row row =
        base(std::move(modifiers), 100, 86, handleTensorCopy, decodeTensorCopy);
    row.needsA = row.laterFamilies = family;
    return row;
  };
  const Modifiers front = {".async", ".bulk", ".tensor", ".2d"};
  Row own = form(
      front + Modifiers{".shared::cta", ".global", ".tile::gather4", kSignal},
      false);
  own.operands = {address, map, address};
  addLoads(table, own);
  Row load = form(front + Modifiers{".shared::cluster", ".global",
                                    ".tile::gather4", kSignal},
                  true);
  load.operands = {address, map, address};
  addLoads(table, load);
  load.modifiers.push_back(".multicast::cluster");
  load.operands.push_back(operand::source(Type::B16));
  addLoads(table, load);
  const Modifiers back = {".global", ".shared::cta", ".tile::scatter4",
                          ".bulk_group"};
  Row store = form(front + back, true);
  store.operands = {map, address};
  addHinted(table, std::move(store));
  for (const char *op :
       {".add", ".min", ".max", ".inc", ".dec", ".and", ".or", ".xor"}) {
    Row reduce = form(Modifiers{".reduce"} + front + back, true);
    reduce.modifiers.push_back(op);
    reduce.operands = {map, address};
    addHinted(table, std::move(reduce));
  }
  Row prefetch = form({".async", ".bulk", ".prefetch", ".tensor", ".2d", ".L2",
                       ".global", ".tile::gather4"},
                      true);
  prefetch.operands = {map};
  addHinted(table, std::move(prefetch));
}

//===----------------------------------------------------------------------===//
// tensormap
//===----------------------------------------------------------------------===//

/// \p largest: of the constant that the field is set to; -1: any operand.
void addMapField(IsaTable &table, const char *field, bool ordinal, Type type,
                 int largest, unsigned sm = 90, unsigned ptx = 83,
                 int least = 0) {
  for (const char *space : {"", ".global", ".shared::cta"}) {
    Row row = base({".replace", ".tile", field}, sm, ptx, handleMapReplace,
                   decodeMapReplace);
    row.opcode = "tensormap";
    row.needsA = row.laterFamilies = true;
    if (sm == 103) {
      row.onlyA = true;
      row.laterFamilies = false;
    }
    if (*space)
      row.modifiers.push_back(space);
    row.modifiers.push_back(".b1024");
    row.modifiers.push_back(std::string(typeName(type)));
    row.operands = {operand::address()};
    if (ordinal)
      row.operands.push_back(operand::immediate(0, 4, Type::B32));
    row.operands.push_back(largest >= 0
                               ? operand::immediate(least, largest, Type::B32)
                               : operand::source(type));
    table.add(std::move(row));
  }
}

void addMaps(IsaTable &table) {
  addMapField(table, ".global_address", false, Type::B64, -1);
  addMapField(table, ".rank", false, Type::B32, -1);
  for (const char *field : {".box_dim", ".global_dim", ".element_stride"})
    addMapField(table, field, true, Type::B32, -1);
  addMapField(table, ".global_stride", true, Type::B64, -1);
  addMapField(table, ".elemtype", false, Type::B32, 12);
  // Elements of 4 and 6 bits.
  addMapField(table, ".elemtype", false, Type::B32, 15, 100, 87, 13);
  addMapField(table, ".interleave_layout", false, Type::B32, 2);
  addMapField(table, ".swizzle_mode", false, Type::B32, 3);
  addMapField(table, ".swizzle_mode", false, Type::B32, 4, 103, 88, 4);
  addMapField(table, ".fill_mode", false, Type::B32, 1);
  addMapField(table, ".swizzle_atomicity", false, Type::B32, 3, 100, 86);
  for (const char *scope : {".cta", ".cluster", ".gpu", ".sys"}) {
    Row row =
        base({".cp_fenceproxy", ".global", ".shared::cta",
              ".tensormap::generic", ".release", scope, ".sync", ".aligned"},
             90, 83, handleMapCopy);
    row.opcode = "tensormap";
    row.aligned = true;
    row.operands = {operand::address(), operand::address(),
                    operand::immediate(128, 128)};
    table.add(std::move(row));
  }
}

//===----------------------------------------------------------------------===//
// st.async, red.async
//===----------------------------------------------------------------------===//

void addRemoteStores(IsaTable &table) {
  auto form = [&](const char *opcode, Modifiers modifiers, Type type,
                  unsigned count) {
    Row row = base(std::move(modifiers), 90, 81, handleRemoteStore,
                   decodeRemoteStore);
    row.opcode = opcode;
    row.modifiers.push_back(std::string(typeName(type)));
    const OperandSpec value =
        count == 1 ? operand::source(type) : operand::vector(count, type);
    row.operands = {operand::address(), value, operand::address()};
    return row;
  };
  for (Type type : {Type::B32, Type::U32, Type::S32, Type::F32, Type::B64,
                    Type::U64, Type::S64, Type::F64})
    for (unsigned count : {1, 2, 4}) {
      Modifiers modifiers = {".async", kSignal};
      if (count * bitWidth(type) > 128)
        continue;
      if (count > 1)
        modifiers.push_back(".v" + std::to_string(count));
      Row row = form("st", modifiers, type, count);
      row.options = {{"order", {".weak"}}, {"space", {".shared::cluster"}}};
      table.add(std::move(row));
    }
  auto reduce = [&](const char *op, Type type) {
    Row row =
        form("red", {".async", ".relaxed", ".cluster", kSignal, op}, type, 1);
    row.options = {{"space", {".shared::cluster"}}};
    table.add(std::move(row));
  };
  Row fill = form("st", {".async"}, Type::B64, 1); // for its opcode and target
  fill.modifiers = {".bulk"};
  fill.minSm = 100;
  fill.minPtx = 86;
  fill.cost = Cost::Shared;
  fill.operands = {operand::address(), operand::source(Type::U64),
                   operand::immediate(0, 0)};
  fill.options = {{"order", {".weak"}}, {"space", {".shared::cta"}}};
  fill.handlers = handleBulkFill;
  fill.decode = decodeBulkFill;
  table.add(std::move(fill));
  for (const char *op : {".inc", ".dec"})
    reduce(op, Type::U32);
  for (const char *op : {".min", ".max", ".add"})
    for (Type type : {Type::U32, Type::S32})
      reduce(op, type);
  for (Type type : {Type::U64, Type::S64})
    reduce(".add", type);
  for (const char *op : {".and", ".or", ".xor"})
    reduce(op, Type::B32);
}

} // namespace

void registerAsyncRows(IsaTable &table) {
  addCopies(table);
  addBulkCopies(table);
  addBulkReductions(table);
  for (unsigned rank = 1; rank <= 5; ++rank)
    for (bool tile : {false, true})
      addTensorForms(table, rank, tile);
  addRowForms(table);
  addMaps(table);
  addRemoteStores(table);
}

} // namespace ptx
