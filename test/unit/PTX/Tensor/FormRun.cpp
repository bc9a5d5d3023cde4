// Running one form of a matrix instruction.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FormRun.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace ptx::test {

void Matrix::fill(std::mt19937 &random, int least, int most) {
  for (int &value : values)
    value = least + static_cast<int>(random() % (most - least + 1));
}

Matrix product(const Matrix &a, const Matrix &b, const Matrix &c) {
  Matrix d = c;
  for (unsigned r = 0; r < a.rows; ++r)
    for (unsigned n = 0; n < b.columns; ++n)
      for (unsigned k = 0; k < a.columns; ++k)
        d.at(r, n) += a.at(r, k) * b.at(k, n);
  return d;
}

namespace {

/// Exponent and fraction bits.
struct FloatBits {
  unsigned exponent, fraction, up;
};
FloatBits floatBits(Type type) {
  switch (type) {
  case Type::F16:
    return {5, 10, 0};
  case Type::BF16:
    return {8, 7, 0};
  case Type::TF32:
    return {8, 10, 13};
  case Type::E4M3:
    return {4, 3, 0};
  case Type::E5M2:
    return {5, 2, 0};
  case Type::E3M2:
    return {3, 2, 0};
  case Type::E2M3:
    return {2, 3, 0};
  case Type::E2M1:
    return {2, 1, 0};
  case Type::F64:
    return {11, 52, 0};
  default:
    return {8, 23, 0};
  }
}

} // namespace

uint64_t encode(Type type, int value) {
  if (!isFloat(type))
    return static_cast<uint64_t>(value) &
           (bitWidth(type) == 64 ? ~uint64_t{0}
                                 : (uint64_t{1} << bitWidth(type)) - 1);
  if (!value)
    return 0;
  const FloatBits f = floatBits(type);
  const auto magnitude = static_cast<uint64_t>(std::abs(value));
  const unsigned exponent =
      63 - static_cast<unsigned>(__builtin_clzll(magnitude));
  const uint64_t fraction =
      (magnitude << f.fraction >> exponent) - (uint64_t{1} << f.fraction);
  const uint64_t bias = (uint64_t{1} << (f.exponent - 1)) - 1;
  uint64_t bits = (bias + exponent) << f.fraction | fraction;
  if (value < 0)
    bits |= uint64_t{1} << (f.exponent + f.fraction);
  return bits << f.up;
}

int decode(Type type, uint64_t bits) {
  if (!isFloat(type)) {
    const unsigned width = bitWidth(type);
    const auto value = static_cast<int64_t>(bits << (64 - width));
    return static_cast<int>(isSigned(type) ? value >> (64 - width)
                                           : static_cast<int64_t>(bits));
  }
  const FloatBits f = floatBits(type);
  bits >>= f.up;
  const uint64_t magnitude =
      bits & ((uint64_t{1} << (f.exponent + f.fraction)) - 1);
  if (!magnitude)
    return 0;
  const int bias = (1 << (f.exponent - 1)) - 1;
  const double value = std::ldexp(
      static_cast<double>((magnitude & ((uint64_t{1} << f.fraction) - 1)) |
                          uint64_t{1} << f.fraction),
      static_cast<int>(magnitude >> f.fraction) - bias -
          static_cast<int>(f.fraction));
  return static_cast<int>(bits >> (f.exponent + f.fraction) & 1 ? -value
                                                                : value);
}

void fillFor(Type type, Matrix &matrix, std::mt19937 &random) {
  if (type == Type::B1)
    matrix.fill(random, 0, 1);
  else if (type == Type::U8 || type == Type::U4)
    matrix.fill(random, 0, 5);
  else
    matrix.fill(random, -2, 2);
}

Registers::Registers(unsigned count, Type type, unsigned threads)
    : count(count), threads(threads), bytes(type == Type::F64 ? 8 : 4),
      data(size_t{count} * threads * bytes) {}

void Registers::set(unsigned reg, unsigned thread, unsigned e, unsigned bits,
                    uint64_t value) {
  std::byte *at = data.data() + (size_t{reg} * threads + thread) * bytes;
  uint64_t word = 0;
  std::memcpy(&word, at, bytes);
  const uint64_t mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  word = (word & ~(mask << e * bits)) | (value & mask) << e * bits;
  std::memcpy(at, &word, bytes);
}

uint64_t Registers::get(unsigned reg, unsigned thread, unsigned e,
                        unsigned bits) const {
  uint64_t word = 0;
  std::memcpy(&word, data.data() + (size_t{reg} * threads + thread) * bytes,
              bytes);
  return bits == 64 ? word : word >> e * bits & ((uint64_t{1} << bits) - 1);
}

std::string list(const std::string &name, unsigned count) {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? ", " : "") + name + std::to_string(i);
  return text + "}";
}

namespace {
std::string moves(const std::string &name, const Registers &r, bool load) {
  const std::string type = r.bytes == 8 ? ".b64" : ".b32";
  std::string text = "mul.wide.u32 o, t, " + std::to_string(r.bytes) +
                     "; add.u64 o, o, p_" + name + ";\n";
  for (unsigned i = 0; i < r.count; ++i) {
    const std::string at =
        "[o+" + std::to_string(i * r.threads * r.bytes) + "]";
    const std::string reg = name + std::to_string(i);
    text += load ? "ld.global" + type + " " + reg + ", " + at + ";\n"
                 : "st.global" + type + " " + at + ", " + reg + ";\n";
  }
  return text;
}
} // namespace

std::string loadRegisters(const std::string &name, const Registers &r) {
  return std::string(".reg ") + (r.bytes == 8 ? ".b64 " : ".b32 ") + name +
         "<" + std::to_string(r.count) + ">;\n" + moves(name, r, true);
}

std::string storeRegisters(const std::string &name, const Registers &r) {
  return moves(name, r, false);
}

std::string targetOf(const Row &row) {
  return row.minSm <= 90 ? "sm_90a" : "sm_" + std::to_string(row.minSm) + "a";
}

void runEntry(const std::string &body, const std::vector<std::string> &names,
              const std::vector<std::vector<std::byte> *> &memory,
              unsigned threads, uint32_t shared, Completion completion,
              const std::string &target) {
  std::string text = ".version 8.8\n.target " + target +
                     "\n.address_size 64\n"
                     ".extern .shared .align 1024 .b8 sm[];\n"
                     ".visible .entry k(";
  for (size_t i = 0; i < names.size(); ++i)
    text += (i ? ", .param .u64 q_" : ".param .u64 q_") + names[i];
  text += ") {\n.reg .b64 o; .reg .b32 t;\nmov.u32 t, %tid.x;\n";
  for (const std::string &name : names)
    text += ".reg .b64 p_" + name + "; ld.param.u64 p_" + name + ", [q_" +
            name + "];\n";
  text += body + "ret;\n}\n";
  SCOPED_TRACE(body);
  const Module module = Module::parse(text);
  Device device;
  std::vector<uint64_t> params;
  for (auto *bytes : memory)
    params.push_back(device.adopt(bytes->data(), bytes->size()));
  LaunchOptions options;
  options.block = {threads, 1, 1};
  options.dynamicShared = shared;
  options.completion = completion;
  options.checks.poison = options.checks.async = true;
  options.instructionBudget = 100'000'000;
  const LaunchResult result =
      launch(device, module, "k", options, std::as_bytes(std::span(params)));
  EXPECT_TRUE(result.completed);
  for (const Finding &finding : result.findings)
    ADD_FAILURE() << finding.text();
}

std::string spelled(const Row &row) {
  std::string text = row.opcode;
  for (const std::string &modifier : row.written)
    text += modifier;
  return text;
}

Sparse makeSparse(Type type, unsigned rows, unsigned depth, unsigned selector,
                  std::mt19937 &random) {
  const unsigned bits = bitWidth(type);
  // Pairs of tf32 with one value, fours with two, eights of s4 in pairs.
  const unsigned width = bits == 32 ? 2 : bits == 4 ? 8 : 4;
  const unsigned groups = depth / width;
  Sparse s{Matrix(rows, depth), Matrix(rows, depth / 2),
           Registers(1, Type::B32, rows * 2)};
  fillFor(type, s.compressed, random);
  const Matrix &values = s.compressed;
  for (unsigned r = 0; r < rows; ++r)
    for (unsigned g = 0; g < groups; ++g) {
      unsigned first = random() % 3,
               second = first + 1 + random() % (3 - first);
      if (width == 2) {
        const unsigned place = random() % 2; // 0100 or 1110
        first = 2 * place;
        second = first + 1;
        s.dense.at(r, 2 * g + place) = values.at(r, g);
      } else {
        const unsigned places[] = {first, second}, unit = width / 4;
        for (unsigned j = 0; j < 2; ++j)
          for (unsigned u = 0; u < unit; ++u)
            s.dense.at(r, width * g + places[j] * unit + u) =
                values.at(r, (2 * g + j) * unit + u);
      }
      const unsigned nibble = first | second << 2, half = r % 16 / 8;
      unsigned lane = r / 16 * 32 + 4 * (r % 8), at;
      if (bits >= 16) {
        lane += groups == 4 ? selector : 2 * selector + g / 4;
        at = half * 4 + g % 4;
      } else {
        lane += (groups == 8 ? 2 * selector : 2 * (g / 8)) + half;
        at = g % 8;
      }
      s.metadata.set(0, lane, at, 4, nibble);
    }
  return s;
}

} // namespace ptx::test
