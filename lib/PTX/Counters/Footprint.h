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
  /// Bit s of line.sectors is the s-th sector of the 128-byte line number
  /// \p base + line.line.
  template <class Lines> void touchLines(const Lines &lines, uint64_t base) {
    Page *page = nullptr;
    uint64_t number = 0; // of the page
    for (const auto &line : lines) {
      const uint64_t at = base + line.line;
      if (!page || at * 4 / kPageSectors != number) {
        number = at * 4 / kPageSectors;
        page = &pageOf(at * 4);
      }
      (*page)[at / 16 % kWords] |= uint64_t(line.sectors) << at % 16 * 4;
    }
  }
  /// Bit s of \p sectors is the s-th sector from the begin of a line on.
  void touchSectors(uint64_t line, uint64_t sectors) {
    const unsigned shift = line % 16 * 4;
    pageOf(line * 4)[line / 16 % kWords] |= sectors << shift;
    if (!shift || !(sectors >> (64 - shift)))
      return;
    line += 16;
    pageOf(line * 4)[line / 16 % kWords] |= sectors >> (64 - shift);
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
    if (recent[slot].first != number + 1) [[unlikely]]
      recent[slot] = {number + 1, makePage(number)};
    return *recent[slot].second;
  }
  [[gnu::noinline]] Page *makePage(uint64_t number) {
    std::unique_ptr<Page> &page = pages[number];
    if (!page)
      page = std::make_unique<Page>();
    return page.get();
  }

  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
  std::array<std::pair<uint64_t, Page *>, 16> recent{};
};

} // namespace ptx

#endif // PTX_COUNTERS_FOOTPRINT_H
