// --arg as parameters of a kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Arguments.h"

#include "ptx/Error.h"
#include "ptx/TensorMap.h"
#include "ptx/Types.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sstream>

using namespace ptx_run;
using ptx::Error;

namespace {
std::vector<std::string> split(const std::string &text, char separator) {
  std::vector<std::string> words;
  std::istringstream parts(text);
  for (std::string word; std::getline(parts, word, separator);)
    words.push_back(word);
  if (!text.empty() && text.back() == separator)
    words.emplace_back();
  return words;
}

template <class T> std::vector<std::byte> bytesOf(T value) {
  std::vector<std::byte> result(sizeof value);
  std::memcpy(result.data(), &value, sizeof value);
  return result;
}

/// The low \p bytes bytes.
std::vector<std::byte> lowBytes(uint64_t value, uint32_t bytes) {
  std::vector<std::byte> result = bytesOf(value);
  result.resize(bytes);
  return result;
}

/// Rounds to \p mantissa bits with \p exponent bits, to nearest even; inf and
/// NaN stay.
uint64_t roundFloat(double value, int exponent, int mantissa) {
  const uint64_t sign = std::signbit(value);
  const int bias = (1 << (exponent - 1)) - 1;
  const uint64_t infinity = ((uint64_t{1} << exponent) - 1) << mantissa;
  const uint64_t top = sign << (exponent + mantissa);
  if (std::isnan(value))
    return top | infinity | uint64_t{1} << (mantissa - 1);
  double magnitude = std::fabs(value);
  if (std::isinf(magnitude))
    return top | infinity;
  if (magnitude == 0)
    return top;
  int power = std::max(std::ilogb(magnitude), 1 - bias);
  // Exact: scaling by a power of two; nearbyint rounds to even.
  auto scaled = static_cast<uint64_t>(
      std::nearbyint(std::scalbn(magnitude, mantissa - power)));
  // The leading one adds to the exponent field, subnormals have none.
  uint64_t bits =
      (static_cast<uint64_t>(power + bias - 1) << mantissa) + scaled;
  return top | std::min(bits, infinity);
}

uint64_t parseInteger(const std::string &text, uint32_t bytes, bool isSigned) {
  char *end = nullptr;
  errno = 0;
  bool negative = !text.empty() && text[0] == '-';
  uint64_t value =
      negative ? static_cast<uint64_t>(std::strtoll(text.c_str(), &end, 0))
               : std::strtoull(text.c_str(), &end, 0);
  if (errno || end == text.c_str() || *end)
    throw Error("'" + text + "' is no integer");
  const unsigned bits = bytes * 8;
  bool fits = negative
                  ? isSigned && (bits == 64 || static_cast<int64_t>(value) >=
                                                   -(int64_t{1} << (bits - 1)))
                  : bits == 64 || value >> (bits - isSigned) == 0;
  if (bits == 64 && isSigned && !negative)
    fits = value >> 63 == 0;
  if (!fits)
    throw Error(text + " does not fit " + std::to_string(bits) + " bits" +
                (isSigned ? "" : " without a sign"));
  return value;
}

/// "f32[32x1024]" as type and shape.
void parseTyped(const std::string &text, std::string &type,
                std::vector<uint64_t> &shape) {
  size_t open = text.find('[');
  type = text.substr(0, open);
  if (elementBytes(type) == 0)
    throw Error("'" + type +
                "' is no element type; expected bool, i8, u8, "
                "i16, u16, i32, u32, i64, u64, f16, bf16, f32, f64 or e4m3");
  if (open == std::string::npos || text.back() != ']')
    throw Error("'" + text + "' has no shape; expected for instance " + type +
                "[32x1024]");
  for (const std::string &size :
       split(text.substr(open + 1, text.size() - open - 2), 'x'))
    shape.push_back(parseInteger(size, 8, false));
  byteSize(type, shape);
}

std::vector<std::byte> parseHexadecimal(const std::string &text) {
  std::vector<std::byte> result;
  for (size_t i = 0; i < text.size(); i += 2) {
    std::string pair = text.substr(i, 2);
    char *end = nullptr;
    unsigned long value = std::strtoul(pair.c_str(), &end, 16);
    if (pair.size() != 2 || end != pair.c_str() + 2)
      throw Error("'" + text + "' is no sequence of bytes in hexadecimal");
    result.push_back(static_cast<std::byte>(value));
  }
  return result;
}
} // namespace

Arguments::Arguments(ptx::Device &device, const ptx::KernelInfo &kernel,
                     const std::vector<std::string> &texts)
    : device(device), params(kernel.paramBytes), bufferOf(texts.size(), -1) {
  if (texts.size() != kernel.params.size()) {
    std::string wanted;
    for (const ptx::ParamInfo &param : kernel.params)
      wanted += (wanted.empty() ? ": " : ", ") + param.name + " " +
                std::string(typeName(param.type));
    throw Error("kernel '" + kernel.name + "' takes " +
                std::to_string(kernel.params.size()) + " arguments" + wanted +
                "; --arg was given " + std::to_string(texts.size()) + " times");
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    const ptx::ParamInfo &param = kernel.params[i];
    const std::string where = "argument " + std::to_string(i) + " (" +
                              param.name + "), " + texts[i] + ": ";
    std::vector<std::byte> value;
    lastBuffer = -1;
    try {
      value = parse(param, texts[i]);
    } catch (const Error &error) {
      throw Error(where + error.why);
    }
    bufferOf[i] = lastBuffer;
    if (value.size() != param.size)
      throw Error(where + "has " + std::to_string(value.size()) +
                  " bytes, the parameter has " + std::to_string(param.size));
    std::memcpy(params.data() + param.offset, value.data(), value.size());
  }
}

std::vector<std::byte> Arguments::parse(const ptx::ParamInfo &param,
                                        const std::string &text) {
  std::vector<std::string> words = split(text, ':');
  const std::string kind = words.empty() ? "" : words[0];
  if (kind == "null")
    return std::vector<std::byte>(8);
  if (kind == "bytes" && words.size() == 2)
    return parseHexadecimal(words[1]);
  if (kind == "map")
    return tensorMap(text);
  if (elementBytes(kind) != 0 && words.size() == 2) {
    const bool isFloat = kind[0] == 'f' || kind == "bf16";
    const ptx::TypeClass wanted = typeClass(param.type);
    if (!param.isArray && ((isFloat && wanted == ptx::TypeClass::Integer) ||
                           (!isFloat && wanted == ptx::TypeClass::Float)))
      throw Error("the parameter is of type " +
                  std::string(typeName(param.type)));
    return number(kind, words[1]);
  }
  uint64_t offset = 0;
  const Buffer &found = buffer(words, offset);
  return bytesOf(found.address + offset);
}

std::vector<std::byte> Arguments::number(const std::string &type,
                                         const std::string &value) const {
  const uint32_t bytes = elementBytes(type);
  if (type[0] == 'i' || type[0] == 'u')
    return lowBytes(parseInteger(value, bytes, type[0] == 'i'), bytes);
  if (type == "bool") {
    if (value != "0" && value != "1")
      throw Error("a bool is 0 or 1");
    return lowBytes(value == "1", 1);
  }
  char *end = nullptr;
  double number = std::strtod(value.c_str(), &end);
  if (end == value.c_str() || *end)
    throw Error("'" + value + "' is no number");
  if (type == "f64")
    return bytesOf(number);
  if (type == "f32")
    return bytesOf(static_cast<float>(number));
  if (type == "f16")
    return lowBytes(roundFloat(number, 5, 10), 2);
  if (type == "bf16")
    return lowBytes(roundFloat(number, 8, 7), 2);
  throw Error("a single " + type + " is given as u8");
}

const Arguments::Buffer &
Arguments::buffer(const std::vector<std::string> &words, uint64_t &offset) {
  const std::string &kind = words[0];
  const size_t count = words.size();
  if (kind == "ref" && count == 2) {
    std::vector<std::string> parts = split(words[1], '+');
    uint64_t index = parseInteger(parts[0], 8, false);
    if (index >= bufferOf.size() || bufferOf[index] < 0)
      throw Error("argument " + parts[0] + " is no buffer named before");
    lastBuffer = bufferOf[index];
    if (parts.size() > 1)
      offset = parseInteger(parts[1], 8, false);
    return buffers[lastBuffer];
  }
  Buffer made;
  std::vector<std::byte> contents;
  if ((kind == "in" && count == 2) || (kind == "inout" && count == 3)) {
    Array array = readNpy(words[1]);
    made.type = array.type;
    made.shape = array.shape;
    contents = std::move(array.data);
    made.output = count == 3 ? words[2] : "";
  } else if ((kind == "out" && count == 3) ||
             ((kind == "scratch" || kind == "zero") && count == 2)) {
    parseTyped(words[1], made.type, made.shape);
    made.output = count == 3 ? words[2] : "";
  } else {
    throw Error("is no argument; ptx-run --help lists the forms");
  }
  made.bytes = byteSize(made.type, made.shape);
  made.address =
      device.allocate(made.bytes, "argument " + words[0] + ":" + words[1]);
  if (!contents.empty())
    device.copyIn(made.address, contents.data(), contents.size());
  if (kind == "zero")
    device.fill(made.address, 0, made.bytes);
  lastBuffer = static_cast<int>(buffers.size());
  buffers.push_back(std::move(made));
  return buffers.back();
}

/// A tensor map of a whole buffer, but for its box.
ptx::TensorMap Arguments::mapOf(const Buffer &tensor, uint64_t offset) {
  ptx::TensorMap map;
  std::string element = tensor.type;
  if (element == "bool" || element == "i8" || element == "e4m3")
    element = "u8";
  else if (element[0] == 'i')
    element[0] = 's';
  map.element = ptx::tensorElementNamed(element);
  map.address = tensor.address + offset;
  const size_t rank = tensor.shape.size();
  if (rank < 1 || rank > 5)
    throw Error("a tensor map has 1 to 5 dimensions, the buffer has " +
                std::to_string(rank));
  map.rank = static_cast<unsigned>(rank);
  uint64_t pitch = elementBytes(tensor.type);
  for (size_t i = 0; i < rank; ++i) {
    map.size[i] = tensor.shape[rank - 1 - i];
    pitch *= map.size[i];
    if (i + 1 < rank)
      map.stride[i] = pitch;
  }
  return map;
}

/// Takes the rows of \p map, of elements of \p bytes bytes, for rows of others.
static void retype(ptx::TensorMap &map, unsigned bytes,
                   const std::string &type) {
  map.element = ptx::tensorElementNamed(type);
  const uint64_t bits = map.size[0] * bytes * 8;
  if (bits % ptx::bitSize(map.element))
    throw Error("rows of " + std::to_string(bits / 8) +
                " bytes are no whole elements of type " + type);
  map.size[0] = bits / ptx::bitSize(map.element);
}

/// map:BUFFER:box=..[:swizzle=..]...: what comes before "box=" is the buffer.
std::vector<std::byte> Arguments::tensorMap(const std::string &text) {
  std::vector<std::string> words = split(text, ':');
  auto box = std::find_if(words.begin(), words.end(), [](const auto &word) {
    return word.rfind("box=", 0) == 0;
  });
  if (box == words.end() || box < words.begin() + 2)
    throw Error("a tensor map is map:BUFFER:box=64x128 with a buffer like "
                "in:x.npy");
  uint64_t offset = 0;
  const Buffer &tensor =
      buffer(std::vector<std::string>(words.begin() + 1, box), offset);
  ptx::TensorMap map = mapOf(tensor, offset);
  const size_t rank = map.rank;
  auto sizes = [&](const std::string &list, std::array<uint32_t, 5> &to) {
    std::vector<std::string> parts = split(list, 'x');
    if (parts.size() != rank)
      throw Error("'" + list + "' has " + std::to_string(parts.size()) +
                  " sizes for a tensor of " + std::to_string(rank) +
                  " dimensions");
    for (size_t i = 0; i < rank; ++i)
      to[i] =
          static_cast<uint32_t>(parseInteger(parts[rank - 1 - i], 4, false));
  };
  for (auto word = box; word != words.end(); ++word) {
    const std::string key = word->substr(0, word->find('='));
    const std::string value =
        word->substr(std::min(word->size(), key.size() + 1));
    if (key == "box")
      sizes(value, map.box);
    else if (key == "type")
      retype(map, elementBytes(tensor.type), value);
    else if (key == "stride")
      sizes(value, map.elementStride);
    else if (key == "swizzle")
      map.swizzle = static_cast<unsigned>(parseInteger(value, 4, false));
    else if (key == "atomicity")
      map.atomicity = static_cast<unsigned>(parseInteger(value, 4, false));
    else if (key == "interleave")
      map.interleave = static_cast<unsigned>(parseInteger(value, 4, false));
    else if (*word == "flip")
      map.flips = true;
    else if (*word == "nan")
      map.nanFill = true;
    else
      throw Error(
          "'" + *word +
          "' says nothing about a tensor map; expected "
          "box=, type=, stride=, swizzle=, atomicity=, flip, interleave= "
          "or nan");
  }
  map.validate();
  auto bytes = map.encode();
  return {bytes.begin(), bytes.end()};
}

void Arguments::writeOutputs() const {
  for (const Buffer &buffer : buffers) {
    if (buffer.output.empty())
      continue;
    Array array{buffer.type, buffer.shape,
                std::vector<std::byte>(buffer.bytes)};
    device.copyOut(array.data.data(), buffer.address, buffer.bytes);
    writeNpy(buffer.output, array);
  }
}
