// Loads and stores of opaque fragments.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_WMMA_H
#define PTX_TENSOR_WMMA_H

#include "Isa/IsaTable.h"
#include "Tensor/Product.h"

#include <vector>

namespace ptx::tensor {

/// Which matrix of D = A B + C a fragment holds.
enum class Role : uint8_t { A, B, C };

/// A fragment of wmma: in whose layout (Fragment.h) it lies and where its
/// elements are in memory.
struct WmmaFragment {
  Role role = Role::A;   ///< of the layout; A and B change places for m8n32
  unsigned rows = 16;    ///< of A's and C's layout, columns of B's
  unsigned columns = 16; ///< the other dimension
  unsigned bits = 16;    ///< of an element
  /// Elements of a register that follow each other in the layout.
  unsigned perRegister = 2;
  unsigned registers = 8, used = 8; ///< the rest are copies of the first ones
  /// True if the layout's row index is the one that strides in memory.
  bool rowsStride = true;
  Space space = Space::Generic;
  unsigned stride = 16; ///< default, in elements

  /// An element in memory: \p line strides.
  struct Place {
    uint8_t line, column;
  };
  /// Of the pieces that move at once, [used register][piece][lane], and the
  /// elements of such a piece, which follow each other in memory.
  std::vector<Place> places;
  unsigned together = 2;

  /// Row and column of the layout of element \p e of a register of a lane.
  void place(unsigned reg, unsigned lane, unsigned e, unsigned &row,
             unsigned &column) const;
  /// Fills `places`.
  void findPlaces();
};

/// The fragment that a row of wmma.load or wmma.store spells.
WmmaFragment wmmaFragmentOf(const Row &row);

/// Registers a lane of the operand: matrix 'a', 'b' or 'c' of m x n x k with
/// elements of \p type.
unsigned wmmaRegisters(char matrix, unsigned m, unsigned n, unsigned k,
                       Type type);

void decodeWmmaMove(DecodeContext &context, Instruction &in);
void handleWmmaLoad(Warp &warp, const Instruction &in);
void handleWmmaStore(Warp &warp, const Instruction &in);

} // namespace ptx::tensor

#endif // PTX_TENSOR_WMMA_H
