// Forms of mma.sync and mma.sp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Isa/IsaTable.h"
#include "Tensor/Mma.h"
#include "Tensor/QuadMma.h"
#include "Tensor/Spelling.h"

#include <initializer_list>
#include <string>
#include <vector>

namespace ptx {
namespace {

using namespace tensor;

/// What the forms of one shape have in common.
struct Version {
  unsigned sm, ptx;
  bool needsA = false, laterFamilies = false, onlyA = false;
};

std::string shapeName(unsigned m, unsigned n, unsigned k) {
  return ".m" + std::to_string(m) + "n" + std::to_string(n) + "k" +
         std::to_string(k);
}

void finish(IsaTable &table, Row row, Version since) {
  row.opcode = "mma";
  row.minSm = since.sm;
  row.minPtx = since.ptx;
  row.needsA = since.needsA;
  row.laterFamilies = since.laterFamilies;
  row.onlyA = since.onlyA;
  row.cost = Cost::Tensor;
  row.aligned = true;
  row.handlers = mmaHandlers();
  row.decode = decodeMma;
  // The row says the shape by itself; so do the numbers of registers.
  row.written = row.modifiers;
  const MmaShape shape = mmaShapeOf(row);
  row.written.clear();
  const bool wide = shape.a == Format::F64;
  const Type element = wide ? Type::F64 : Type::B32;
  row.operands = {
      operand::vector(shape.registersOf(shape.d), registerTypeOf(shape.d)),
      operand::vector(shape.registersOfA(), element),
      operand::vector(shape.registersOfB(), element),
      operand::vector(shape.registersOf(shape.c), registerTypeOf(shape.c))};
  if (shape.sparse) {
    // One lane of four, two, or all of them hold the metadata of a row.
    const unsigned bits = bitsOf(shape.a), units = bits >= 16 ? 16 : 8;
    const unsigned groups = shape.k * bits / units / 4;
    const unsigned lanes = groups / 4;
    row.operands.push_back(operand::reg(Type::B32));
    row.operands.push_back(operand::immediate(0, 4 / lanes - 1, Type::B32));
  }
  for (unsigned i = 0; i < (shape.chunks ? 2 : 0); ++i) {
    // The scales of A, then of B, each with which byte and thread has them.
    row.operands.push_back(operand::reg(Type::B32));
    row.operands.push_back(operand::vector(2, Type::U16));
  }
  table.add(std::move(row));
}

void dense(IsaTable &table, Version since, const std::string &shape,
           std::initializer_list<const char *> types,
           std::initializer_list<const char *> more = {}) {
  Row row;
  row.modifiers = {".sync", ".aligned", shape, ".row", ".col"};
  row.modifiers.insert(row.modifiers.end(), more.begin(), more.end());
  row.modifiers.insert(row.modifiers.end(), types.begin(), types.end());
  finish(table, std::move(row), since);
}

using Modifiers = std::vector<std::string>;

/// The one spelling of mma.sp since sm_120.
void ordered(IsaTable &table, Version since, const std::string &shape,
             const Modifiers &types, const Modifiers &more) {
  Row row;
  row.modifiers = {
      ".sp::ordered_metadata", ".sync", ".aligned", shape, ".row", ".col"};
  row.modifiers.insert(row.modifiers.end(), more.begin(), more.end());
  row.modifiers.insert(row.modifiers.end(), types.begin(), types.end());
  finish(table, std::move(row), since);
}

/// The two spellings of mma.sp.
void sparse(IsaTable &table, Version since, const std::string &shape,
            std::initializer_list<const char *> types,
            std::initializer_list<const char *> more = {}) {
  for (bool isOrdered : {false, true}) {
    Row row;
    row.modifiers = {isOrdered ? ".sp::ordered_metadata" : ".sp",
                     ".sync",
                     ".aligned",
                     shape,
                     ".row",
                     ".col"};
    row.modifiers.insert(row.modifiers.end(), more.begin(), more.end());
    row.modifiers.insert(row.modifiers.end(), types.begin(), types.end());
    Version version = since;
    if (!isOrdered && since.sm >= 120)
      continue; // the old spelling ended
    if (isOrdered && version.ptx < 85)
      version.ptx = 85;
    finish(table, std::move(row), version);
  }
}

void addFloats(IsaTable &table) {
  const std::string k4 = shapeName(16, 8, 4), k8 = shapeName(16, 8, 8),
                    k16 = shapeName(16, 8, 16), k32 = shapeName(16, 8, 32);
  for (const char *d : {".f16", ".f32"}) {
    dense(table, {75, 65}, k8, {d, ".f16", ".f16", d});
    dense(table, {80, 70}, k16, {d, ".f16", ".f16", d});
  }
  dense(table, {80, 70}, k8, {".f32", ".bf16", ".bf16", ".f32"});
  dense(table, {80, 70}, k16, {".f32", ".bf16", ".bf16", ".f32"});
  dense(table, {80, 70}, k4, {".f32", ".tf32", ".tf32", ".f32"});
  dense(table, {80, 70}, k8, {".f32", ".tf32", ".tf32", ".f32"});
  for (const char *a : {".e4m3", ".e5m2"})
    for (const char *b : {".e4m3", ".e5m2"}) {
      dense(table, {89, 84}, k32, {".f32", a, b, ".f32"});
      dense(table, {89, 87}, k32, {".f16", a, b, ".f16"});
      dense(table, {89, 87}, k16, {".f32", a, b, ".f32"});
      dense(table, {89, 87}, k16, {".f16", a, b, ".f16"});
    }
  auto doubles = [&](Version since, const std::string &shape) {
    dense(table, since, shape, {".f64", ".f64", ".f64", ".f64"});
    for (const char *rounding : {".rn", ".rz", ".rm", ".rp"})
      dense(table, since, shape, {".f64", ".f64", ".f64", ".f64"}, {rounding});
  };
  doubles({80, 70}, shapeName(8, 8, 4));
  for (const std::string &shape : {k4, k8, k16})
    doubles({90, 78}, shape);
}

/// Formats of 8, 6 and 4 bits, freely mixed, each in a byte.
void addNarrow(IsaTable &table) {
  const std::string k16 = shapeName(16, 8, 16), k32 = shapeName(16, 8, 32),
                    k64 = shapeName(16, 8, 64);
  const Version family{120, 87, true};
  const char *kind = ".kind::f8f6f4";
  auto isByte = [](const char *type) {
    return type[1] == 'e' && type[2] >= '4';
  };
  for (const char *a : {".e4m3", ".e5m2", ".e3m2", ".e2m3", ".e2m1"})
    for (const char *b : {".e4m3", ".e5m2", ".e3m2", ".e2m3", ".e2m1"}) {
      // Both of FP8: any target of a family has the kind.
      const bool bytes = isByte(a) && isByte(b);
      const Version f32 = bytes ? Version{100, 86, true, true} : family;
      const Version f16 = bytes ? Version{100, 87, true, true} : family;
      dense(table, f32, k32, {".f32", a, b, ".f32"}, {kind});
      dense(table, f16, k32, {".f16", a, b, ".f16"}, {kind});
      if (bytes)
        for (const char *d : {".f32", ".f16"})
          dense(table, f16, k16, {d, a, b, d}, {kind});
      ordered(table, f32, k64, {".f32", a, b, ".f32"}, {kind});
      ordered(table, family, k64, {".f16", a, b, ".f16"}, {kind});
      // With a scale for each row and column.
      for (bool written : {false, true}) {
        Modifiers more = {".kind::mxf8f6f4", ".block_scale"};
        if (written)
          more.push_back(".scale_vec::1X");
        const Modifiers types = {".f32", a, b, ".f32", ".ue8m0"};
        Row row;
        row.modifiers = {".sync", ".aligned", k32, ".row", ".col"};
        row.modifiers.insert(row.modifiers.end(), more.begin(), more.end());
        row.modifiers.insert(row.modifiers.end(), types.begin(), types.end());
        finish(table, std::move(row), family);
        ordered(table, family, k64, types, more);
      }
    }
}

/// Packed e2m1 with two or four scales for each row and column.
void addPacked(IsaTable &table) {
  auto add = [&](const char *kind, const char *size, const char *scale) {
    Modifiers more = {kind, ".block_scale"};
    if (*size)
      more.push_back(size);
    const Modifiers types = {".f32", ".e2m1", ".e2m1", ".f32", scale};
    Row row;
    row.modifiers = {".sync", ".aligned", shapeName(16, 8, 64), ".row", ".col"};
    row.modifiers.insert(row.modifiers.end(), more.begin(), more.end());
    row.modifiers.insert(row.modifiers.end(), types.begin(), types.end());
    finish(table, std::move(row), {120, 87, true});
    ordered(table, {120, 87, true, false, true}, shapeName(16, 8, 128), types,
            more);
  };
  add(".kind::mxf4", "", ".ue8m0");
  add(".kind::mxf4", ".scale_vec::2X", ".ue8m0");
  add(".kind::mxf4nvf4", ".scale_vec::2X", ".ue8m0");
  add(".kind::mxf4nvf4", ".scale_vec::4X", ".ue4m3");
}

/// Four products of 8 x 8 x 4 at once, made for sm_70.
void addQuads(IsaTable &table) {
  const std::string types[][2] = {
      {".f16", ".f16"}, {".f32", ".f16"}, {".f32", ".f32"}};
  for (const char *a : {".row", ".col"})
    for (const char *b : {".row", ".col"})
      for (const auto &[d, c] : types) {
        auto sums = [](const std::string &type) {
          return type == ".f16" ? operand::vector(4, Type::B32)
                                : operand::vector(8, Type::F32);
        };
        Row row;
        row.opcode = "mma";
        row.modifiers = {".sync", ".aligned", shapeName(8, 8, 4),
                         a,       b,          d,
                         ".f16",  ".f16",     c};
        row.operands = {sums(d), operand::vector(2, Type::B32),
                        operand::vector(2, Type::B32), sums(c)};
        row.minSm = 70;
        row.minPtx = 64;
        row.cost = Cost::Tensor;
        row.aligned = true;
        row.handlers = quadMmaHandlers();
        row.decode = decodeQuadMma;
        table.add(std::move(row));
      }
}

/// Integers: signs of A and B are free, overflow wraps or clamps.
template <class Add> void forSigns(const char *a, const char *b, Add add) {
  for (const char *x : {a, b})
    for (const char *y : {a, b}) {
      add(std::initializer_list<const char *>{".s32", x, y, ".s32"},
          std::initializer_list<const char *>{});
      add(std::initializer_list<const char *>{".s32", x, y, ".s32"},
          std::initializer_list<const char *>{".satfinite"});
    }
}

void addIntegers(IsaTable &table) {
  auto shapes = [&](const char *a, const char *b, unsigned k) {
    forSigns(a, b, [&](auto types, auto more) {
      dense(table, {75, 65}, shapeName(8, 8, k), types, more);
      dense(table, {80, 70}, shapeName(16, 8, k), types, more);
      dense(table, {80, 70}, shapeName(16, 8, 2 * k), types, more);
    });
  };
  shapes(".s8", ".u8", 16);
  shapes(".s4", ".u4", 32);
  for (const char *operation : {".xor", ".and"}) {
    const bool isXor = operation[1] == 'x';
    const unsigned ptx = isXor ? 70 : 71;
    auto add = [&](Version since, unsigned m, unsigned k) {
      dense(table, since, shapeName(m, 8, k), {".s32", ".b1", ".b1", ".s32"},
            {operation, ".popc"});
    };
    add({isXor ? 75u : 80u, ptx}, 8, 128);
    add({80, ptx}, 16, 128);
    add({80, ptx}, 16, 256);
  }
}

void addSparse(IsaTable &table) {
  for (unsigned k : {16, 32}) {
    const std::string shape = shapeName(16, 8, k);
    sparse(table, {80, 71}, shape, {".f16", ".f16", ".f16", ".f16"});
    sparse(table, {80, 71}, shape, {".f32", ".f16", ".f16", ".f32"});
    sparse(table, {80, 71}, shape, {".f32", ".bf16", ".bf16", ".f32"});
    sparse(table, {80, 71}, shapeName(16, 8, k / 2),
           {".f32", ".tf32", ".tf32", ".f32"});
  }
  for (const char *a : {".e4m3", ".e5m2"})
    for (const char *b : {".e4m3", ".e5m2"}) {
      sparse(table, {89, 84}, shapeName(16, 8, 64), {".f32", a, b, ".f32"});
      sparse(table, {120, 87, true}, shapeName(16, 8, 64),
             {".f16", a, b, ".f16"});
    }
  auto integers = [&](const char *a, const char *b, unsigned k) {
    forSigns(a, b, [&](auto types, auto more) {
      sparse(table, {80, 71}, shapeName(16, 8, k), types, more);
      sparse(table, {80, 71}, shapeName(16, 8, 2 * k), types, more);
    });
  };
  integers(".s8", ".u8", 32);
  integers(".s4", ".u4", 64);
}

} // namespace

void registerTensorRows(IsaTable &table) {
  addFloats(table);
  addQuads(table);
  addNarrow(table);
  addPacked(table);
  addIntegers(table);
  addSparse(table);
}

} // namespace ptx
