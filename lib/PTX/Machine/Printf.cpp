// Device-side printf.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Printf.h"

#include <cstdio>
#include <cstring>

namespace ptx {

namespace {
class Formatter {
public:
  Formatter(const std::string &format, const PrintfSource &source)
      : format(format), source(source) {}

  std::string run() {
    while (at < format.size()) {
      if (format[at] != '%') {
        out += format[at++];
        continue;
      }
      size_t begin = at++;
      if (!conversion())
        out += format.substr(begin, at - begin); // as it stands
    }
    return std::move(out);
  }
  int used = 0;

private:
  uint64_t take(unsigned size) {
    offset = (offset + size - 1) / size * size;
    uint64_t value = source.bytes(offset, size);
    offset += size;
    ++used;
    return value;
  }

  bool number(std::string &spec) {
    if (at < format.size() && format[at] == '*') {
      ++at;
      spec += std::to_string(static_cast<int32_t>(take(4)));
      return true;
    }
    size_t begin = at;
    while (at < format.size() && format[at] >= '0' && format[at] <= '9')
      spec += format[at++];
    return at - begin <= 6; // wider than that is no width
  }

  template <class T> void print(const std::string &spec, T value) {
    int size = std::snprintf(nullptr, 0, spec.c_str(), value);
    if (size < 0)
      return;
    std::string text(static_cast<size_t>(size) + 1, '\0');
    std::snprintf(text.data(), text.size(), spec.c_str(), value);
    text.pop_back();
    out += text;
  }

  bool conversion() {
    std::string spec = "%";
    while (at < format.size() && std::strchr("-+ #0", format[at]))
      spec += format[at++];
    if (!number(spec))
      return false;
    if (at < format.size() && format[at] == '.') {
      spec += format[at++];
      if (!number(spec))
        return false;
    }
    std::string length;
    while (at < format.size() && std::strchr("hljzt", format[at]))
      length += format[at++];
    if (at >= format.size())
      return false;
    return convert(spec, length, format[at++]);
  }

  bool convert(const std::string &spec, const std::string &length, char kind) {
    bool wide = length == "l" || length == "ll" || length == "j" ||
                length == "z" || length == "t";
    switch (kind) {
    case '%':
      out += '%';
      return true;
    case 'd':
    case 'i':
      print(spec + "lld", wide ? static_cast<long long>(take(8))
                               : narrowSigned(take(4), length));
      return true;
    case 'u':
    case 'o':
    case 'x':
    case 'X':
      print(spec + "ll" + kind, wide ? static_cast<unsigned long long>(take(8))
                                     : narrow(take(4), length));
      return true;
    case 'c':
      print(spec + "c", static_cast<int>(take(4)));
      return true;
    case 'p':
      print(spec + "p", reinterpret_cast<void *>(take(8)));
      return true;
    case 's':
      print(spec + "s", source.string(take(8)).c_str());
      return true;
    case 'f':
    case 'F':
    case 'e':
    case 'E':
    case 'g':
    case 'G':
    case 'a':
    case 'A': {
      uint64_t bits = take(8);
      double value;
      std::memcpy(&value, &bits, sizeof value);
      print(spec + kind, value);
      return true;
    }
    default:
      return false;
    }
  }

  static long long narrowSigned(uint64_t value, const std::string &length) {
    if (length == "hh")
      return static_cast<int8_t>(value);
    if (length == "h")
      return static_cast<int16_t>(value);
    return static_cast<int32_t>(value);
  }
  static unsigned long long narrow(uint64_t value, const std::string &length) {
    if (length == "hh")
      return static_cast<uint8_t>(value);
    if (length == "h")
      return static_cast<uint16_t>(value);
    return static_cast<uint32_t>(value);
  }

  const std::string &format;
  const PrintfSource &source;
  size_t at = 0;
  uint64_t offset = 0;
  std::string out;
};
} // namespace

std::string formatPrintf(const std::string &format, const PrintfSource &source,
                         int &count) {
  Formatter formatter(format, source);
  std::string text = formatter.run();
  count = formatter.used;
  return text;
}

} // namespace ptx
