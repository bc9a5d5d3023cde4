// How much memory the host can still give.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/HostMemory.h"

#include <algorithm>
#include <fstream>
#include <string>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#include <unistd.h>
#endif

namespace ptx {
namespace {
constexpr uint64_t kUnknown = ~uint64_t{0};

/// The number in a file that holds only one; `max` and no file are unknown.
uint64_t numberIn(const std::string &path) {
  std::ifstream file(path);
  uint64_t value;
  return file >> value ? value : kUnknown;
}

uint64_t available() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word)
    if (uint64_t kilobytes; word == "MemAvailable:" && file >> kilobytes)
      return kilobytes * 1024;
  return kUnknown;
}

/// What the control group of version 2 leaves; caches of files are given back.
uint64_t leftByGroup() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, 3, "0::") != 0)
      continue;
    uint64_t left = kUnknown;
    std::string path = line.substr(3);
    for (;; path.erase(path.rfind('/'))) {
      std::string folder = "/sys/fs/cgroup" + path;
      uint64_t most = numberIn(folder + "/memory.max");
      uint64_t used = numberIn(folder + "/memory.current");
      if (most != kUnknown && used != kUnknown)
        left = std::min(left, most - std::min(most, used));
      if (path.rfind('/') == path.npos)
        return left;
    }
  }
  return kUnknown;
}

/// What the limits on address space and data leave.
uint64_t leftByLimits() {
  uint64_t left = kUnknown;
#if defined(__unix__) || defined(__APPLE__)
  // Pages of the process: the whole of it, what is resident, shared, text, ...
  uint64_t pages[6] = {};
  std::ifstream file("/proc/self/statm");
  for (uint64_t &count : pages)
    file >> count;
  auto size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  auto take = [&](int resource, uint64_t used) {
    rlimit limit;
    if (::getrlimit(static_cast<decltype(RLIMIT_AS)>(resource), &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY)
      left = std::min<uint64_t>(
          left, limit.rlim_cur - std::min<uint64_t>(limit.rlim_cur, used));
  };
  take(RLIMIT_AS, pages[0] * size);
  take(RLIMIT_DATA, pages[5] * size);
#endif
  return left;
}
} // namespace

uint64_t availableHostMemory() {
  return std::min({available(), leftByGroup(), leftByLimits()});
}

} // namespace ptx
