// Matrix products issued, and how much was useful.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/MatrixWork.h"

#include "Isa/IsaTable.h"

#include <cstdio>

namespace ptx {

MatrixShape matrixShapeOf(const Row &row) {
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
  bool multiplies =
      row.opcode == "mma" || row.opcode == "wgmma" ||
      (row.opcode == "wmma" && row.name().find(".mma.") != std::string::npos);
  if (!multiplies)
    shape.m = 0;
  return shape;
}

/// Lanes whose register is not zero.
static uint32_t nonZero(const Warp &warp, Slot slot, Width width) {
  uint32_t lanes = 0;
  if (slot == kNoSlot)
    return 0;
  if (width == Width::Double) {
    const uint64_t *value = warp.lanes<uint64_t>(slot);
    for (unsigned l = 0; l < kLanes; ++l)
      lanes |= uint32_t(value[l] != 0) << l;
    return lanes;
  }
  const uint32_t *value = warp.lanes<uint32_t>(slot);
  for (unsigned l = 0; l < kLanes; ++l)
    lanes |= uint32_t(value[l] != 0) << l;
  return lanes;
}

/// Rows (or columns) g of eight whose four lanes 4g..4g+3 hold anything.
static unsigned groupsUsed(uint32_t lanes) {
  lanes |= lanes >> 1;
  lanes |= lanes >> 2;
  return unsigned(__builtin_popcount(lanes & 0x11111111u));
}

// A fragment: register i of A holds rows g (i even) or g + 8 (i odd) of lanes
// 4g..4g+3; registers of B hold columns g. Shapes of eight rows have only the
// first kind. Others (wmma) are taken as useful.
void MatrixWork::count(const Warp &warp, const Instruction &in,
                       const MatrixShape &shape) {
  if (!shape.m || shape.group)
    return;
  issued += shape.flop();
  const std::vector<OperandSpec> &operands = in.row->operands;
  if (in.row->opcode != "mma" || shape.n != 8 || operands.size() < 3) {
    useful += shape.flop();
    return;
  }
  unsigned a = in.resultCount, b = a + operands[1].count;
  uint32_t rows[2] = {}, columns = 0;
  for (unsigned i = a; i < b; ++i)
    rows[shape.m > 8 ? (i - a) % 2 : 0] |=
        nonZero(warp, in.operand[i], in.width[i]);
  for (unsigned i = b; i < b + operands[2].count; ++i)
    columns |= nonZero(warp, in.operand[i], in.width[i]);
  double used = groupsUsed(rows[0]) + groupsUsed(rows[1]);
  useful += 2.0 * used * groupsUsed(columns) * shape.k;
}

} // namespace ptx
