// Forms of ldmatrix, stmatrix, movmatrix and wmma.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"
#include "Tensor/ByteMatrices.h"
#include "Tensor/MatrixMoves.h"
#include "Tensor/Mma.h"
#include "Tensor/Spelling.h"
#include "Tensor/Wmma.h"

#include <string>
#include <vector>

namespace ptx {
namespace {

using namespace tensor;

void addMatrixMoves(IsaTable &table) {
  const OptionGroup space{"space", {".shared", ".shared::cta"}};
  for (unsigned count : {1, 2, 4})
    for (bool transposed : {false, true}) {
      Row row;
      row.opcode = "ldmatrix";
      row.modifiers = {".sync", ".aligned", ".m8n8",
                       ".x" + std::to_string(count)};
      if (transposed)
        row.modifiers.push_back(".trans");
      row.modifiers.push_back(".b16");
      row.operands = {operand::vector(count, Type::B32), operand::address()};
      row.minSm = 75;
      row.minPtx = 65;
      row.cost = Cost::Matrix;
      row.aligned = true;
      row.handlers = loadMatrixHandlers();
      row.decode = decodeMatrixMove;
      row.options = {space};
      Row store = row;
      table.add(std::move(row));
      store.opcode = "stmatrix";
      store.operands = {operand::address(), operand::vector(count, Type::B32)};
      store.resultCount = 0;
      store.minSm = 90;
      store.minPtx = 78;
      store.handlers = handleStoreMatrix;
      table.add(std::move(store));
    }
  Row row;
  row.opcode = "movmatrix";
  row.modifiers = {".sync", ".aligned", ".m8n8", ".trans", ".b16"};
  row.operands = {operand::reg(Type::B32), operand::reg(Type::B32)};
  row.minSm = 75;
  row.minPtx = 78;
  row.cost = Cost::Matrix;
  row.aligned = true;
  row.handlers = handleMoveMatrix;
  table.add(std::move(row));
}

/// Matrices of bytes: a register holds 8 x 16 of them.
void addByteMoves(IsaTable &table) {
  auto add = [&](const char *opcode, const char *shape, unsigned count,
                 std::vector<std::string> more, unsigned registers) {
    Row row;
    row.opcode = opcode;
    row.modifiers = {".sync", ".aligned", shape, ".x" + std::to_string(count)};
    row.modifiers.insert(row.modifiers.end(), more.begin(), more.end());
    const OperandSpec vector = operand::vector(registers, Type::B32);
    const bool loads = row.opcode == "ldmatrix";
    row.operands = {loads ? vector : operand::address(),
                    loads ? operand::address() : vector};
    row.resultCount = loads;
    row.minSm = 100;
    row.minPtx = 86;
    row.needsA = row.laterFamilies = true;
    row.cost = Cost::Matrix;
    row.aligned = true;
    row.handlers = loads ? handleLoadBytes : handleStoreBytes;
    row.decode = decodeByteMatrices;
    row.options = {{"space", {".shared", ".shared::cta"}}};
    table.add(std::move(row));
  };
  for (unsigned count : {1, 2}) {
    add("ldmatrix", ".m16n16", count, {".trans", ".b8"}, 2 * count);
    for (const char *packed : {".b6x16_p32", ".b4x16_p64"})
      add("ldmatrix", ".m16n16", count, {".trans", ".b8x16", packed},
          2 * count);
  }
  for (unsigned count : {1, 2, 4}) {
    for (const char *packed : {".b6x16_p32", ".b4x16_p64"})
      add("ldmatrix", ".m8n16", count, {".b8x16", packed}, count);
    add("stmatrix", ".m16n8", count, {".trans", ".b8"}, count);
  }
}

/// One family of wmma: its shapes, and the elements of A and B.
struct Shape {
  unsigned m, n, k;
  std::string name() const {
    return ".m" + std::to_string(m) + "n" + std::to_string(n) + "k" +
           std::to_string(k);
  }
};

struct Adder {
  IsaTable &table;
  unsigned sm, ptx;

  Type registerType(char matrix, Type type) const {
    return matrix == 'c' && type != Type::F16 ? type
           : type == Type::F64                ? Type::F64
                                              : Type::B32;
  }

  Row base(const Shape &s, const char *cause) const {
    Row row;
    row.opcode = "wmma";
    row.modifiers = {cause, ".sync", ".aligned"};
    row.minSm = sm;
    row.minPtx = ptx;
    row.aligned = true;
    return row;
  }

  /// wmma.load of one matrix, and wmma.store of C's.
  void moves(const Shape &s, char matrix, Type type, bool rows, bool columns) {
    for (const char *order : {".row", ".col"}) {
      if (order[1] == 'r' ? !rows : !columns)
        continue;
      Row row = base(s, ".load");
      row.modifiers.insert(row.modifiers.begin() + 1, {'.', matrix});
      row.modifiers.insert(row.modifiers.end(),
                           {order, s.name(), std::string(typeName(type))});
      const OperandSpec registers =
          operand::vector(wmmaRegisters(matrix, s.m, s.n, s.k, type),
                          registerType(matrix, type));
      row.operands = {registers, operand::address(),
                      operand::source(Type::B32).optional()};
      row.cost = Cost::Shared;
      row.machineWeight = 4;
      row.options = {{"space", {".global", ".shared", ".shared::cta"}}};
      row.handlers = handleWmmaLoad;
      row.decode = decodeWmmaMove;
      Row store = row;
      table.add(std::move(row));
      if (matrix != 'c')
        continue;
      store.modifiers[0] = ".store";
      store.modifiers[1] = ".d";
      store.operands = {operand::address(), registers,
                        operand::source(Type::B32).optional()};
      store.resultCount = 0;
      store.handlers = handleWmmaStore;
      table.add(std::move(store));
    }
  }

  /// wmma.mma with the types as written; A and B have type \p element.
  void product(const Shape &s, std::vector<std::string> types, Type element,
               Type d, Type c, std::vector<std::string> more = {},
               bool onlyRowCol = false) {
    for (const char *a : {".row", ".col"})
      for (const char *b : {".row", ".col"}) {
        if (onlyRowCol && (a[1] != 'r' || b[1] != 'c'))
          continue;
        Row row = base(s, ".mma");
        row.modifiers.insert(row.modifiers.end(), {a, b, s.name()});
        row.modifiers.insert(row.modifiers.end(), more.begin(), more.end());
        row.modifiers.insert(row.modifiers.end(), types.begin(), types.end());
        auto part = [&](char matrix, Type type) {
          return operand::vector(wmmaRegisters(matrix, s.m, s.n, s.k, type),
                                 registerType(matrix, type));
        };
        row.operands = {part('c', d), part('a', element), part('b', element),
                        part('c', c)};
        row.cost = Cost::Tensor;
        row.machineWeight = s.m == 8 && s.n == 8 ? 1 : 2;
        row.handlers = mmaHandlers();
        row.decode = decodeWmmaMma;
        table.add(std::move(row));
      }
  }
};

void addHalves(IsaTable &table) {
  for (Shape s : {Shape{16, 16, 16}, Shape{32, 8, 16}, Shape{8, 32, 16}}) {
    Adder add{table, 75, 60};
    for (char matrix : {'a', 'b'})
      add.moves(s, matrix, Type::F16, true, true);
    for (Type c : {Type::F16, Type::F32}) {
      add.moves(s, 'c', c, true, true);
      for (Type d : {Type::F16, Type::F32}) {
        const std::vector<std::string> types = {std::string(typeName(d)),
                                                std::string(typeName(c))};
        add.product(s, types, Type::F16, d, c);
      }
    }
    Adder later{table, 80, 70};
    for (char matrix : {'a', 'b'})
      later.moves(s, matrix, Type::BF16, true, true);
    later.product(s, {".f32", ".bf16", ".bf16", ".f32"}, Type::BF16, Type::F32,
                  Type::F32);
  }
}

void addWide(IsaTable &table) {
  Adder add{table, 80, 70};
  const Shape tf32{16, 16, 8}, f64{8, 8, 4};
  for (char matrix : {'a', 'b'}) {
    add.moves(tf32, matrix, Type::TF32, true, true);
    add.moves(f64, matrix, Type::F64, true, true);
  }
  add.moves(tf32, 'c', Type::F32, true, true);
  add.moves(f64, 'c', Type::F64, true, true);
  add.product(tf32, {".f32", ".tf32", ".tf32", ".f32"}, Type::TF32, Type::F32,
              Type::F32);
  const std::vector<std::string> doubles(4, ".f64");
  add.product(f64, doubles, Type::F64, Type::F64, Type::F64);
  for (const char *rounding : {".rn", ".rz", ".rm", ".rp"})
    add.product(f64, doubles, Type::F64, Type::F64, Type::F64, {rounding});
}

void addIntegers(IsaTable &table) {
  Adder add{table, 75, 63};
  auto products = [&](const Shape &s, Type type, bool onlyRowCol) {
    const std::string name(typeName(type));
    add.product(s, {".s32", name, name, ".s32"}, type, Type::S32, Type::S32, {},
                onlyRowCol);
    add.product(s, {".s32", name, name, ".s32"}, type, Type::S32, Type::S32,
                {".satfinite"}, onlyRowCol);
  };
  for (Shape s : {Shape{16, 16, 16}, Shape{32, 8, 16}, Shape{8, 32, 16}}) {
    for (Type type : {Type::S8, Type::U8}) {
      for (char matrix : {'a', 'b'})
        add.moves(s, matrix, type, true, true);
      products(s, type, false);
    }
    add.moves(s, 'c', Type::S32, true, true);
  }
  const Shape nibbles{8, 8, 32}, bits{8, 8, 128};
  for (Type type : {Type::S4, Type::U4}) {
    add.moves(nibbles, 'a', type, true, false);
    add.moves(nibbles, 'b', type, false, true);
    products(nibbles, type, true);
  }
  add.moves(bits, 'a', Type::B1, true, false);
  add.moves(bits, 'b', Type::B1, false, true);
  for (Shape s : {nibbles, bits})
    add.moves(s, 'c', Type::S32, true, true);
  const std::vector<std::string> types = {".s32", ".b1", ".b1", ".s32"};
  add.product(bits, types, Type::B1, Type::S32, Type::S32, {".xor", ".popc"},
              true);
  Adder later{table, 80, 71};
  later.product(bits, types, Type::B1, Type::S32, Type::S32, {".and", ".popc"},
                true);
}

} // namespace

void registerMatrixRows(IsaTable &table) {
  addMatrixMoves(table);
  addByteMoves(table);
  addHalves(table);
  addWide(table);
  addIntegers(table);
}

} // namespace ptx
