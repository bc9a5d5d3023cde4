// Forms of wgmma.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Async/GroupMma.h"
#include "Isa/IsaTable.h"
#include "Tensor/Spelling.h"

#include <string>
#include <vector>

namespace ptx {
namespace {

using namespace tensor;

Row base(std::vector<std::string> modifiers) {
  Row row;
  row.opcode = "wgmma";
  row.modifiers = std::move(modifiers);
  row.resultCount = 0;
  row.minSm = 90;
  row.minPtx = 80;
  row.needsA = true;
  row.aligned = true;
  return row;
}

/// The lanes of four that hold the metadata of a row: all, or pairs to choose.
int64_t lastSelector(const WgmmaShape &shape) {
  return bitsOf(shape.a) == 8 ? 0 : 1;
}

/// Both forms of A: in shared memory, in registers.
void addForms(IsaTable &table, unsigned n, unsigned k,
              const std::vector<std::string> &types,
              const std::vector<std::string> &more, bool sparse) {
  for (bool registers : {false, true}) {
    Row row = base({".mma_async"});
    if (sparse)
      row.modifiers.push_back(".sp");
    for (const char *modifier : {".sync", ".aligned"})
      row.modifiers.push_back(modifier);
    row.modifiers.push_back(".m64n" + std::to_string(n) + "k" +
                            std::to_string(k));
    row.modifiers.insert(row.modifiers.end(), more.begin(), more.end());
    row.modifiers.insert(row.modifiers.end(), types.begin(), types.end());
    row.written = row.modifiers;
    const WgmmaShape shape = wgmmaShapeOf(row);
    row.written.clear();
    const OperandSpec sign = operand::immediate(-1, 1, Type::S32);
    const OperandSpec transposed = operand::immediate(0, 1, Type::S32);
    row.operands = {
        operand::vector(shape.registersOfD(), registerTypeOf(shape.d)),
        registers ? operand::vector(4, Type::B32) : operand::source(Type::B64),
        operand::source(Type::B64)};
    if (sparse)
      row.operands.insert(
          row.operands.end(),
          {operand::reg(Type::B32),
           operand::immediate(0, lastSelector(shape), Type::S32)});
    row.operands.push_back(operand::predicate());
    if (!isInteger(shape.a))
      row.operands.insert(row.operands.end(), {sign, sign});
    if (bitsOf(shape.a) == 16)
      row.operands.insert(row.operands.end(), registers ? 1 : 2, transposed);
    row.resultCount = 1;
    row.cost = Cost::Tensor;
    if (sparse)
      row.minPtx = 82;
    if (isInteger(shape.a) && shape.a != shape.b)
      row.minPtx = 84; // mixed signs came later
    row.handlers = async::groupMmaHandlers();
    row.decode = async::decodeGroupMma;
    table.add(std::move(row));
  }
}

/// Dense, and with A sparse and twice the K.
void addProduct(IsaTable &table, unsigned n, unsigned k,
                const std::vector<std::string> &types,
                const std::vector<std::string> &more = {}) {
  addForms(table, n, k, types, more, false);
  if (types[1] != ".b1")
    addForms(table, n, 2 * k, types, more, true);
}

void addFloats(IsaTable &table) {
  for (unsigned n = 8; n <= 256; n += 8) {
    for (const char *d : {".f16", ".f32"})
      addProduct(table, n, 16, {d, ".f16", ".f16"});
    addProduct(table, n, 16, {".f32", ".bf16", ".bf16"});
    addProduct(table, n, 8, {".f32", ".tf32", ".tf32"});
    for (const char *a : {".e4m3", ".e5m2"})
      for (const char *b : {".e4m3", ".e5m2"})
        for (const char *d : {".f16", ".f32"})
          addProduct(table, n, 32, {d, a, b});
  }
}

void addIntegers(IsaTable &table) {
  // 8, 16, 24, 32, then by 16.
  for (unsigned n = 8; n <= 256; n += n < 32 ? 8 : 16)
    for (const char *a : {".s8", ".u8"})
      for (const char *b : {".s8", ".u8"}) {
        addProduct(table, n, 32, {".s32", a, b});
        addProduct(table, n, 32, {".s32", a, b}, {".satfinite"});
      }
  for (unsigned n = 8; n <= 256; n += n < 32 ? 8 : 16)
    addProduct(table, n, 256, {".s32", ".b1", ".b1"}, {".and", ".popc"});
}

void addGroups(IsaTable &table) {
  Row fence = base({".fence", ".sync", ".aligned"});
  fence.cost = Cost::Async;
  fence.handlers = async::handleGroupFence;
  table.add(std::move(fence));
  Row commit = base({".commit_group", ".sync", ".aligned"});
  commit.cost = Cost::Async;
  commit.handlers = async::handleGroupCommit;
  table.add(std::move(commit));
  Row wait = base({".wait_group", ".sync", ".aligned"});
  wait.operands = {operand::immediate(0, 7, Type::B32)};
  wait.cost = Cost::Async;
  wait.handlers = async::handleGroupWait;
  table.add(std::move(wait));
}

} // namespace

void registerWgmmaRows(IsaTable &table) {
  addFloats(table);
  addIntegers(table);
  addGroups(table);
}

} // namespace ptx
