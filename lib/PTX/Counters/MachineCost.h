// What a PTX instruction becomes in machine code.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_MACHINECOST_H
#define PTX_COUNTERS_MACHINECOST_H

namespace ptx {

struct Row;

/// Warp instructions of machine code (sm_90) for one of PTX, in all and by the
/// pipe that carries them out.
struct MachineCost {
  float instructions = 1;
  float alu = 0; ///< logic, shifts, compares, minima
  float fma = 0; ///< f32 and integer products and sums
  float xu = 0;  ///< special functions, conversions, f64 where slow
  float lsu = 0; ///< loads, stores, shuffles, special registers

  MachineCost scaled(float factor) const {
    return {instructions * factor, alu * factor, fma * factor, xu * factor,
            lsu * factor};
  }
};

/// The form by itself, without what its neighbours fold into it.
MachineCost machineCost(const Row &row);

} // namespace ptx

#endif // PTX_COUNTERS_MACHINECOST_H
