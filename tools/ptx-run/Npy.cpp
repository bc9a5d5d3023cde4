// Arrays in files.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Npy.h"

#include "ptx/Error.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>

#include <unistd.h>

using namespace ptx_run;
using ptx::Error;

namespace {
struct ElementType {
  const char *name;
  const char *npy; ///< how .npy spells it
  uint32_t bytes;
};
constexpr ElementType kTypes[] = {
    {"bool", "|b1", 1}, {"i8", "|i1", 1},  {"u8", "|u1", 1},
    {"i16", "<i2", 2},  {"u16", "<u2", 2}, {"f16", "<f2", 2},
    {"bf16", "|V2", 2}, {"i32", "<i4", 4}, {"u32", "<u4", 4},
    {"f32", "<f4", 4},  {"i64", "<i8", 8}, {"u64", "<u8", 8},
    {"f64", "<f8", 8},  {"e4m3", "|V1", 1}};

[[noreturn]] void fail(const std::string &path, const std::string &why) {
  throw Error(path + ": " + why);
}

/// What follows `key` in the header's dictionary, up to \p end.
std::string field(const std::string &path, const std::string &header,
                  const std::string &key, char open, char close) {
  size_t at = header.find("'" + key + "'");
  size_t begin = at == std::string::npos
                     ? at
                     : header.find(open, header.find(':', at + key.size()));
  size_t end =
      begin == std::string::npos ? begin : header.find(close, begin + 1);
  if (end == std::string::npos)
    fail(path, "the header of the .npy file names no '" + key + "'");
  return header.substr(begin + 1, end - begin - 1);
}

std::vector<uint64_t> parseShape(const std::string &path,
                                 const std::string &text) {
  std::vector<uint64_t> shape;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    if (part.find_first_not_of(' ') == std::string::npos)
      continue;
    char *end = nullptr;
    errno = 0;
    uint64_t size = std::strtoull(part.c_str(), &end, 10);
    if (errno || *end != 0 || part.find('-') != std::string::npos)
      fail(path, "the shape (" + text + ") is not one of an array");
    shape.push_back(size);
  }
  return shape;
}
} // namespace

uint32_t ptx_run::elementBytes(const std::string &type) {
  for (const ElementType &known : kTypes)
    if (type == known.name)
      return known.bytes;
  return 0;
}

uint64_t ptx_run::byteSize(const std::string &type,
                           const std::vector<uint64_t> &shape) {
  uint64_t bytes = elementBytes(type);
  for (uint64_t size : shape)
    if (__builtin_mul_overflow(bytes, size, &bytes))
      throw Error("an array of that shape has more than 2^64 bytes");
  return bytes;
}

Array ptx_run::readNpy(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    fail(path, std::string("cannot be read: ") + std::strerror(errno));
  unsigned char start[12] = {};
  file.read(reinterpret_cast<char *>(start), 10);
  if (!file || std::memcmp(start, "\x93NUMPY", 6) != 0)
    fail(path, "is no .npy file");
  uint32_t length = start[8] | start[9] << 8;
  if (start[6] >= 2) {
    file.read(reinterpret_cast<char *>(start + 10), 2);
    length |= start[10] << 16 | uint32_t{start[11]} << 24;
  }
  if (!file || start[6] < 1 || start[6] > 3 || length > 1u << 20)
    fail(path, "has a header this program does not read");
  std::string header(length, 0);
  if (!file.read(header.data(), length))
    fail(path, "ends in its header");

  Array array;
  std::string descr = field(path, header, "descr", '\'', '\'');
  for (const ElementType &known : kTypes)
    if (descr.substr(1) == known.npy + 1 && descr[0] != '>')
      array.type = known.name;
  if (array.type.empty())
    fail(path, "holds elements of type '" + descr +
                   "'; expected little-endian numbers of 1, 2, 4 or 8 bytes");
  array.shape = parseShape(path, field(path, header, "shape", '(', ')'));
  size_t order = header.find("'fortran_order'");
  if (order != std::string::npos && array.shape.size() > 1 &&
      header.compare(header.find(':', order) + 1, 5, " True") == 0)
    fail(path, "is stored in Fortran order; store it with "
               "numpy.ascontiguousarray");
  uint64_t bytes = byteSize(array.type, array.shape);
  std::streampos here = file.tellg();
  file.seekg(0, std::ios::end);
  uint64_t there = static_cast<uint64_t>(file.tellg() - here);
  if (there < bytes)
    fail(path, "ends after " + std::to_string(there) + " of " +
                   std::to_string(bytes) + " bytes of data");
  file.seekg(here);
  array.data.resize(bytes);
  file.read(reinterpret_cast<char *>(array.data.data()),
            static_cast<std::streamsize>(bytes));
  return array;
}

/// Writes \p parts to a file beside \p path and renames it.
static void replaceFile(const std::string &path,
                        std::initializer_list<std::string_view> parts) {
  std::string temporary = path + "." + std::to_string(::getpid()) + ".tmp";
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  for (std::string_view part : parts)
    file.write(part.data(), static_cast<std::streamsize>(part.size()));
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    int error = errno;
    std::remove(temporary.c_str());
    fail(path, std::string("cannot be written: ") + std::strerror(error));
  }
}

void ptx_run::writeNpy(const std::string &path, const Array &array) {
  std::string shape;
  for (uint64_t size : array.shape)
    shape += std::to_string(size) + ", ";
  if (array.shape.size() > 1)
    shape.resize(shape.size() - 2);
  else if (array.shape.size() == 1)
    shape.resize(shape.size() - 1);
  const char *descr = "";
  for (const ElementType &known : kTypes)
    if (array.type == known.name)
      descr = known.npy;
  std::string header = std::string("{'descr': '") + descr +
                       "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (header.size() + 10) % 64, ' ');
  header += '\n';
  std::string start("\x93NUMPY\x01\x00", 8);
  start += static_cast<char>(header.size() & 255);
  start += static_cast<char>(header.size() >> 8);
  replaceFile(path, {start,
                     header,
                     {reinterpret_cast<const char *>(array.data.data()),
                      array.data.size()}});
}

void ptx_run::writeText(const std::string &path, const std::string &text) {
  replaceFile(path, {text});
}

std::string ptx_run::readText(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file)
    text << file.rdbuf();
  if (!file || file.bad())
    fail(path, std::string("cannot be read: ") + std::strerror(errno));
  return std::move(text).str();
}
