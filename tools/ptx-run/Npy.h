// Arrays in files.
//
// NumPy's .npy format, versions 1 to 3: dense arrays of numbers.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_RUN_NPY_H
#define PTX_RUN_NPY_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ptx_run {

struct Array {
  std::string type; ///< "f32", "i64", "bf16" ...: see elementBytes
  std::vector<uint64_t> shape;
  std::vector<std::byte> data;
};

/// Bytes of an element type; 0 for an unknown one. `bytes` is set for element
/// types of NumPy that have no name here ("V2", which bfloat16 is stored as).
uint32_t elementBytes(const std::string &type);
/// Elements times their size; throws ptx::Error when that overflows.
uint64_t byteSize(const std::string &type, const std::vector<uint64_t> &shape);

/// Throw ptx::Error with the file's name and what is wrong.
Array readNpy(const std::string &path);
/// Writes a new file, then renames it: no one sees half of it.
void writeNpy(const std::string &path, const Array &array);
void writeText(const std::string &path, const std::string &text);
std::string readText(const std::string &path);

} // namespace ptx_run

#endif // PTX_RUN_NPY_H
