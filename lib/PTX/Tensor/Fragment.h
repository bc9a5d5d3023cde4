// Matrices in the registers of a warp.
//
// One layout describes every fragment of mma.sync, and we use it for the
// opaque ones of wmma too. With Q words of packed elements a row, word q of
// row r of A lies in lane 4 (r % 8) + q % 4 of register (q / 4) (M / 8) + r /
// 8; word q of column n of B in lane 4 (n % 8) + q % 4 of register (n / 8) (Q /
// 4) + q / 4; element (r, n) of C and D in lane 4 (r % 8) + n % 8 / 2 of
// register ((n / 8) (M / 8) + r / 8) 2 + n % 2. An f16 accumulator packs the
// last two of those registers into one.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TENSOR_FRAGMENT_H
#define PTX_TENSOR_FRAGMENT_H

#include "Tensor/Product.h"

#include <cstdint>

namespace ptx::tensor {

/// Which instruction family a product belongs to: they add up differently.
enum class Family : uint8_t { Mma, Wgmma };

/// The rule of the hardware with compute capability \p sm. \p sparse: A is
/// 2:4 sparse, a step covers twice the K.
Rule ruleFor(Family family, unsigned sm, Format a, bool sparse = false);

/// One warp-wide multiplication on registers.
struct MmaShape {
  Format a = Format::F16, b = Format::F16;
  Accumulator d = Accumulator::F32;
  Accumulator c = Accumulator::F32; ///< may differ from d (f16 and f32)
  unsigned m = 16, n = 8, k = 16;
  bool saturate = false, exclusive = false;
  bool sparse = false;
  uint8_t chunks = 0;   ///< scales of a row, 0: none
  bool ue4m3 = false;   ///< they are no powers of two
  uint8_t rounding = 0; ///< of f64: 0 nearest even, or 'z', 'm', 'p'
  bool swapped = false; ///< computed as B^T A^T: m8n32k16 of wmma

  unsigned words() const { return (k * bitsOf(a) + 31) / 32; }
  /// 32-bit registers (64-bit ones for f64) a lane.
  unsigned registersOfA() const;
  unsigned registersOfB() const;
  unsigned registersOf(Accumulator accumulator) const;
};

/// The 32 lanes of each register of a fragment; f64 registers hold 32 doubles.
using Registers = const uint32_t *const *;
using MutableRegisters = uint32_t *const *;

/// Where the nonzero elements of A are, and what scales it and B.
struct Extras {
  const uint32_t *metadata = nullptr; ///< 32 lanes of the register of mma.sp
  unsigned selector = 0;              ///< whose metadata counts
  Scales scales;
};

/// D = A B + C. \p exact: as hardware of \p rule does it, else in f32. D may
/// lie where A, B or C do.
void multiply(const Kernels &kernels, const MmaShape &shape, const Rule &rule,
              bool exact, Registers a, Registers b, Registers c,
              MutableRegisters d, const Extras &extras = {});

/// True for the shapes that Kernels::warp computes in f32, eight columns at a
/// time.
bool isWarpShape(const MmaShape &shape);

/// Largest numbers of 32-bit words of the operands of one warp's product, in
/// the layout of Product.h.
inline constexpr unsigned kMaxWordsOfA = 16 * 32, kMaxWordsOfB = 32 * 16,
                          kMaxWordsOfC = 32 * 32;

/// Between a warp's registers and the layout of Product.h.
void gatherA(const Kernels &kernels, unsigned m, unsigned words, Registers a,
             uint32_t *out);
void gatherB(unsigned n, unsigned words, Registers b, uint32_t *out);
void gatherC(const Kernels &kernels, unsigned m, unsigned n, Accumulator type,
             Registers c, uint32_t *out);
void scatterD(const Kernels &kernels, unsigned m, unsigned n, Accumulator type,
              const uint32_t *in, MutableRegisters d);

/// Spreads 2:4 (tf32 1:2) sparse rows: compressed words [words / 2][16] ->
/// [words][16] with zeros between. \p metadata has a word a lane.
void spreadSparse(Format format, unsigned words, const uint32_t *compressed,
                  const uint32_t *metadata, unsigned selector, uint32_t *out);

} // namespace ptx::tensor

#endif // PTX_TENSOR_FRAGMENT_H
