// Matrix products issued, and how much was useful.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/MatrixWork.h"
#include "Counters/AccessRules.h"

#include "Isa/IsaTable.h"

#include <cstdio>

namespace ptx {

static MatrixShape matrixShapeOf(const Instruction &in) {
  const Row &row = *in.row;
  MatrixShape shape;
  unsigned types = 0;
  for (const std::string &modifier :
       row.written.empty() ? row.modifiers : row.written) {
    std::sscanf(modifier.c_str(), ".m%un%uk%u", &shape.m, &shape.n, &shape.k);
    Type type = typeNamed(modifier);
    if (type != Type::None && ++types == 2) // D, then A
      shape.aBits = bitWidth(type);
  }
  shape.group = row.opcode == "wgmma";
  const std::string name = row.name();
  bool multiplies =
      row.opcode == "mma" || row.opcode == "wgmma" ||
      (row.opcode == "wmma" && name.find(".mma.") != std::string::npos);
  if (!multiplies)
    shape.m = 0;
  if (name.find("f8f6f4") != std::string::npos)
    shape.aBits = 8; // of a container
  // Four products of f16 at once, in a layout of their own.
  if (row.opcode == "mma" && shape.m == 8 && shape.k == 4 &&
      shape.aBits == 16) {
    shape.m = 32;
    return shape;
  }
  if (row.opcode == "mma" && shape.n == 8 && row.operands.size() >= 3) {
    shape.a = in.resultCount;
    shape.b = shape.a + row.operands[1].count;
    shape.end = shape.b + row.operands[2].count;
    shape.wide = in.width[shape.a] == Width::Double;
  }
  return shape;
}

MatrixShapes::MatrixShapes(const Program &program)
    : shapes(program.instructions.size()), ofOneWarp(shapes.size()) {
  for (size_t pc = 0; pc < shapes.size(); ++pc)
    if (program.instructions[pc].row->cost == Cost::Tensor) {
      MatrixShape &shape = shapes[pc];
      shape = matrixShapeOf(program.instructions[pc]);
      shape.flop = 2.0 * shape.m * shape.n * shape.k;
      ofOneWarp[pc] = shape.m && !shape.group;
    }
}

/// Groups of lanes in which any of the registers [first, end), every \p step
/// -th, is not zero.
static unsigned groupsUsed(const Warp &warp, const Instruction &in,
                           unsigned first, unsigned end, unsigned step,
                           bool wide, const AccessRules &rules) {
  const uint32_t *registers[16];
  unsigned count = 0;
  uint32_t either[16][kLanes]; // halves of wide ones
  for (unsigned i = first; i < end; i += step, ++count) {
    registers[count] = warp.lanes<uint32_t>(in.operand[i]);
    if (!wide)
      continue;
    const auto *value = warp.lanes<uint64_t>(in.operand[i]);
    for (unsigned l = 0; l < kLanes; ++l)
      either[count][l] = uint32_t(value[l] | value[l] >> 32);
    registers[count] = either[count];
  }
  return rules.groupsUsed(registers, count);
}

// A fragment: register i of A holds rows g (i even) or g + 8 (i odd) of lanes
// 4g..4g+3; registers of B hold columns g. Shapes of eight rows have only the
// first kind. Others (wmma) are taken as useful.
void MatrixWork::count(const Warp &warp, const Instruction &in,
                       const MatrixShape &shape, const AccessRules &rules) {
  issued += shape.flop;
  if (shape.a == shape.end) {
    useful += shape.flop;
    return;
  }
  const unsigned kinds = shape.m > 8 ? 2 : 1;
  // Where nothing is padding, the first register of each kind tells.
  auto lanes = [&](unsigned i) { return warp.lanes<uint32_t>(in.operand[i]); };
  if (!shape.wide &&
      rules.allGroupsUsed(lanes(shape.a), lanes(shape.a + kinds - 1),
                          lanes(shape.b))) {
    useful += shape.flop;
    return;
  }
  unsigned rows = 0;
  for (unsigned kind = 0; kind < kinds; ++kind)
    rows +=
        groupsUsed(warp, in, shape.a + kind, shape.b, kinds, shape.wide, rules);
  const unsigned columns =
      groupsUsed(warp, in, shape.b, shape.end, 1, shape.wide, rules);
  useful += 2.0 * rows * columns * shape.k;
}

} // namespace ptx
