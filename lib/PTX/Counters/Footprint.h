// Which sectors of memory were touched.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_COUNTERS_FOOTPRINT_H
#define PTX_COUNTERS_FOOTPRINT_H

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace ptx {

/// A set of 32-byte sectors: a bit each, in pages of a megabyte.
class Footprint {
public:
  void touch(uint64_t sector) {
    Page &page = pageOf(sector);
    page[sector / 64 % kWords] |= uint64_t(1) << sector % 64;
  }
  /// Bit s of \p sectors is the s-th sector of a 128-byte line.
  void touchLine(uint64_t line, unsigned sectors) {
    pageOf(line * 4)[line / 16 % kWords] |= uint64_t(sectors) << line % 16 * 4;
  }
  /// [first, last]
  void touchRun(uint64_t first, uint64_t last) {
    if (first / 64 == last / 64) {
      uint64_t bits = ~uint64_t(0) >> (63 - (last - first));
      pageOf(first)[first / 64 % kWords] |= bits << first % 64;
      return;
    }
    for (uint64_t sector = first; sector <= last; ++sector)
      touch(sector);
  }
  void unite(const Footprint &other) {
    for (const auto &[number, from] : other.pages) {
      Page &to = pageOf(number * kPageSectors);
      for (size_t i = 0; i < kWords; ++i)
        to[i] |= (*from)[i];
    }
  }
  uint64_t sectors() const {
    uint64_t sum = 0;
    for (const auto &[number, page] : pages)
      for (uint64_t word : *page)
        sum += unsigned(__builtin_popcountll(word));
    return sum;
  }

private:
  static constexpr size_t kPageSectors = 32768, kWords = kPageSectors / 64;
  using Page = std::array<uint64_t, kWords>;

  Page &pageOf(uint64_t sector) {
    uint64_t number = sector / kPageSectors;
    unsigned slot = number % recent.size();
    if (recent[slot].first != number + 1) {
      std::unique_ptr<Page> &page = pages[number];
      if (!page)
        page = std::make_unique<Page>();
      recent[slot] = {number + 1, page.get()};
    }
    return *recent[slot].second;
  }

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
  std::array<std::pair<uint64_t, Page *>, 16> recent{};
};

} // namespace ptx

#endif // PTX_COUNTERS_FOOTPRINT_H
