// Running one form of a matrix instruction.
//
// Kernels made from a row of the instruction table: they load the registers of
// every source from memory, execute the form once and store its results.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_TENSOR_FORMRUN_H
#define PTX_TEST_TENSOR_FORMRUN_H

#include "Isa/IsaTable.h"
#include "ptx/Launch.h"
#include "ptx/Module.h"

#include <random>
#include <string>
#include <vector>

namespace ptx::test {

/// A matrix of small integers, row-major.
struct Matrix {
  unsigned rows = 0, columns = 0;
  std::vector<int> values;

  Matrix(unsigned rows, unsigned columns)
      : rows(rows), columns(columns), values(size_t{rows} * columns) {}
  int &at(unsigned r, unsigned c) { return values[size_t{r} * columns + c]; }
  int at(unsigned r, unsigned c) const {
    return values[size_t{r} * columns + c];
  }
  void fill(std::mt19937 &random, int least, int most);
};
/// A * B + C.
Matrix product(const Matrix &a, const Matrix &b, const Matrix &c);

/// Small integers as elements of a type, and back.
uint64_t encode(Type type, int value);
int decode(Type type, uint64_t bits);
/// The values that every operation of a test keeps exact.
void fillFor(Type type, Matrix &matrix, std::mt19937 &random);

/// Registers of a fragment as memory: [register][thread] words of 32 bits, or
/// 64 for f64.
struct Registers {
  unsigned count = 0, threads = 32, bytes = 4;
  std::vector<std::byte> data;

  Registers(unsigned count, Type type, unsigned threads = 32);
  /// Element \p e of \p bits bits.
  void set(unsigned reg, unsigned thread, unsigned e, unsigned bits,
           uint64_t value);
  uint64_t get(unsigned reg, unsigned thread, unsigned e, unsigned bits) const;
};

/// A dense matrix A, the two of its four values a group that are stored, and
/// the metadata that says which. Sixteen rows a warp.
struct Sparse {
  Matrix dense, compressed;
  Registers metadata;
};
Sparse makeSparse(Type type, unsigned rows, unsigned depth, unsigned selector,
                  std::mt19937 &random);

/// Declares and loads `count` registers called <name>0.. from parameter
/// <name>; or stores them.
std::string loadRegisters(const std::string &name, const Registers &registers);
std::string storeRegisters(const std::string &name, const Registers &registers);
/// "{d0, d1}".
std::string list(const std::string &name, unsigned count);

/// Runs an entry `k` with pointers to the given memory as parameters, named
/// as in \p names; expects no finding.
void runEntry(const std::string &body, const std::vector<std::string> &names,
              const std::vector<std::vector<std::byte> *> &memory,
              unsigned threads = 32, uint32_t shared = 0,
              Completion completion = Completion::Latest,
              const std::string &target = "sm_90a");

/// The oldest target that has the form, but at least sm_90a.
std::string targetOf(const Row &row);

/// The name a form is written with: "mma.sync...".
std::string spelled(const Row &row);

} // namespace ptx::test

#endif // PTX_TEST_TENSOR_FORMRUN_H
