// Loops over cells of shadow memory.
//
// In steps of 16 cells, of 4, of 1. In most steps the comparison with the two
// bounds of Verdicts decides; only others are compared with its single events.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Checks/CellKernels.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace ptx::PTX_CPU_LEVEL {
extern const checks::CellKernels kCellKernels;
}

using namespace ptx::checks;

namespace {

template <uint32_t N> struct CellsOf {
  typedef uint32_t Type __attribute__((vector_size(4 * N)));
};
template <uint32_t N> using Cells = typename CellsOf<N>::Type;
constexpr uint32_t kLanesMask = (1u << kLaneBits) - 1;

template <uint32_t N> static inline Cells<N> load(const Cell *from) {
  Cells<N> cells;
  __builtin_memcpy(&cells, from, sizeof cells);
  return cells;
}
template <uint32_t N> static inline void store(Cell *to, Cells<N> cells) {
  __builtin_memcpy(to, &cells, sizeof cells);
}
/// Comparisons give all ones or zero a cell.
template <uint32_t N, class Mask> static inline Cells<N> truth(Mask mask) {
  return (Cells<N>)mask;
}
template <uint32_t N>
static inline Cells<N> equal(Cells<N> cells, uint32_t value) {
  return truth<N>(cells == value);
}
template <uint32_t N> static inline bool any(Cells<N> cells) {
#if defined(__AVX512F__)
  if constexpr (N == 16) {
    __m512i bits;
    __builtin_memcpy(&bits, &cells, sizeof bits);
    return _mm512_test_epi32_mask(bits, bits) != 0;
  }
#endif
  uint32_t all = 0;
  for (uint32_t i = 0; i < N; ++i)
    all |= cells[i];
  return all != 0;
}
template <uint32_t N>
static inline Cells<N> select(Cells<N> mask, Cells<N> yes, Cells<N> no) {
  return (mask & yes) | (~mask & no);
}
template <uint32_t N> static inline Cells<N> numbers(uint32_t from) {
  Cells<N> result;
  for (uint32_t i = 0; i < N; ++i)
    result[i] = from + i;
  return result;
}
/// What cells from number \p from on are to hold.
template <uint32_t N>
static inline Cells<N> wanted(const CellRun &run, uint32_t from) {
  return (numbers<N>(from) >> run.shift) + run.first;
}

template <uint32_t N>
static inline Cells<N> comesBefore(Cells<N> cells, Cells<N> mine,
                                   const Verdicts &v) {
  const Cells<N> event = cells >> kLaneBits;
  const Cells<N> sameLane = equal<N>((cells ^ mine) & kLanesMask, 0) &
                            truth<N>((mine & kLanesMask) < kSeveralLanes);
  return truth<N>(cells < v.before) | equal<N>(event, v.ordered[0]) |
         equal<N>(event, v.ordered[1]) |
         (sameLane & (equal<N>(event, v.own[0]) | equal<N>(event, v.own[1])));
}

template <uint32_t N>
static inline Cells<N> isKnown(Cells<N> cells, uint32_t current,
                               const Verdicts &v) {
  const Cells<N> event = cells >> kLaneBits;
  return truth<N>(cells < v.before) | truth<N>(cells >= v.apart) |
         equal<N>(event, current) | equal<N>(event, v.ordered[0]) |
         equal<N>(event, v.ordered[1]) | equal<N>(event, v.unordered[0]) |
         equal<N>(event, v.unordered[1]) | equal<N>(event, v.own[0]) |
         equal<N>(event, v.own[1]);
}

/// True if the bounds alone tell of all cells.
template <uint32_t N>
static inline bool boundsTell(Cells<N> cells, const Verdicts &v) {
  return !any<N>(truth<N>(cells >= v.before) & truth<N>(cells < v.apart));
}

/// Calls step<N>(i) from \p from on as long as it returns true.
template <class Step>
static inline uint32_t forSteps(uint32_t count, uint32_t from, Step step) {
  uint32_t i = from;
  for (; i + 16 <= count; i += 16)
    if (!step.template operator()<16>(i))
      return i;
  for (; i + 4 <= count; i += 4)
    if (!step.template operator()<4>(i))
      return i;
  for (; i < count; ++i)
    if (!step.template operator()<1>(i))
      return i;
  return i;
}

/// The first zero of the step at \p i.
template <uint32_t N>
static inline uint32_t firstZero(Cells<N> truths, uint32_t i) {
  uint32_t k = 0;
  while (k < N && truths[k])
    ++k;
  return i + k;
}

static uint32_t firstOpen(const Cell *cells, const CellRun &run, uint32_t from,
                          const Verdicts &v) {
  uint32_t found = run.count;
  const uint32_t end = forSteps(run.count, from, [&]<uint32_t N>(uint32_t i) {
    const Cells<N> old = load<N>(cells + i);
    if (!any<N>(truth<N>(old >= v.before)))
      return true;
    const Cells<N> before = comesBefore<N>(old, wanted<N>(run, i), v);
    found = firstZero<N>(before, i);
    return found == i + N;
  });
  return end == run.count ? end : found;
}

static uint32_t firstUnknown(const Cell *cells, const CellRun &run,
                             uint32_t from, const Verdicts &v) {
  uint32_t found = run.count;
  const uint32_t current = run.first >> kLaneBits;
  const uint32_t end = forSteps(run.count, from, [&]<uint32_t N>(uint32_t i) {
    const Cells<N> old = load<N>(cells + i);
    if (boundsTell<N>(old, v))
      return true;
    found = firstZero<N>(isKnown<N>(old, current, v), i);
    return found == i + N;
  });
  return end == run.count ? end : found;
}

/// What a place for a reader holds afterwards, and whether it took this one.
template <uint32_t N> struct Place {
  Cells<N> cells, taken;
};

template <uint32_t N>
static inline Place<N> offer(Cells<N> old, Cells<N> mine, Cells<N> ordered) {
  ordered |= truth<N>(old == mine);
  const Cells<N> same = truth<N>((old ^ mine) <= kLanesMask);
  const Cells<N> several = (mine & ~kLanesMask) | kSeveralLanes;
  return {select<N>(ordered, mine, select<N>(same, several, old)),
          ordered | same};
}

/// Which of several readers is forgotten: see readerChoice.
template <uint32_t N, uint32_t slots>
static inline Cells<N> choices(const CellRun &run, uint32_t i, Cells<N> mine) {
  constexpr uint32_t shift = slots == 1 ? 5 : 2;
  const auto low = static_cast<uint32_t>(run.offset & ((1u << shift) - 1));
  const Cells<N> part = ((numbers<N>(i) << run.cellShift) + low) >> shift;
  const Cells<N> who = slots == 1 ? mine >> kLaneBits : mine;
  return ((part + static_cast<uint32_t>(run.offset >> shift)) * 2654435761u +
          who * 40503u) >>
         16;
}

static uint32_t rememberOne(Cell *readers, const CellRun &run, uint32_t from,
                            const Verdicts &v) {
  const uint32_t current = run.first >> kLaneBits;
  return forSteps(run.count, from, [&]<uint32_t N>(uint32_t i) {
    const Cells<N> mine = wanted<N>(run, i), old = load<N>(readers + i);
    Cells<N> ordered = truth<N>(old < v.before);
    if (!boundsTell<N>(old, v)) {
      if (any<N>(~isKnown<N>(old, current, v)))
        return false;
      ordered = comesBefore<N>(old, mine, v);
    }
    Place<N> place = offer<N>(old, mine, ordered);
    if (any<N>(~place.taken)) {
      const Cells<N> choice = choices<N, 1>(run, i, mine) & 1;
      place.cells =
          select<N>(~place.taken & equal<N>(choice, 0), mine, place.cells);
    }
    store<N>(readers + i, place.cells);
    return true;
  });
}

static uint32_t rememberTwo(const Cell *writers, Cell *one, Cell *two,
                            const CellRun &run, uint32_t from,
                            const Verdicts &v) {
  const uint32_t current = run.first >> kLaneBits;
  return forSteps(run.count, from, [&]<uint32_t N>(uint32_t i) {
    const Cells<N> mine = wanted<N>(run, i);
    if (writers) {
      const Cells<N> writer = load<N>(writers + i);
      if (any<N>(truth<N>(writer >= v.before)) &&
          any<N>(~comesBefore<N>(writer, mine, v)))
        return false;
    }
    const Cells<N> oldOne = load<N>(one + i), oldTwo = load<N>(two + i);
    Cells<N> beforeOne = truth<N>(oldOne < v.before);
    Cells<N> beforeTwo = truth<N>(oldTwo < v.before);
    if (!boundsTell<N>(oldOne, v) || !boundsTell<N>(oldTwo, v)) {
      if (any<N>(~(isKnown<N>(oldOne, current, v) &
                   isKnown<N>(oldTwo, current, v))))
        return false;
      beforeOne = comesBefore<N>(oldOne, mine, v);
      beforeTwo = comesBefore<N>(oldTwo, mine, v);
    }
    Place<N> a = offer<N>(oldOne, mine, beforeOne);
    Place<N> b = offer<N>(oldTwo, mine, beforeTwo);
    b.cells = select<N>(a.taken, oldTwo, b.cells);
    const Cells<N> none = ~(a.taken | b.taken);
    if (any<N>(none)) {
      const Cells<N> number = choices<N, 2>(run, i, mine);
      const Cells<N> third = number * 43691u >> 17; // of 16 bits
      const Cells<N> choice = number - 3 * third;
      a.cells = select<N>(none & equal<N>(choice, 0), mine, a.cells);
      b.cells = select<N>(none & equal<N>(choice, 1), mine, b.cells);
    }
    store<N>(one + i, a.cells);
    store<N>(two + i, b.cells);
    return true;
  });
}

static uint32_t write(Cell *writers, Cell *const *readers, const CellRun &run,
                      uint32_t from, const Verdicts &v) {
  return forSteps(run.count, from, [&]<uint32_t N>(uint32_t i) {
    Cells<N> late = truth<N>(load<N>(writers + i) >= v.before);
    for (uint32_t place = 0; place < 2; ++place)
      if (readers[place])
        late |= truth<N>(load<N>(readers[place] + i) >= v.before);
    if (any<N>(late))
      return false;
    store<N>(writers + i, wanted<N>(run, i));
    for (uint32_t place = 0; place < 2; ++place)
      if (readers[place])
        store<N>(readers[place] + i, Cells<N>{});
    return true;
  });
}

static uint32_t inside(const uint64_t *address, uint64_t base, uint64_t last,
                       uint64_t *offset) {
  uint32_t lanes = 0;
#if defined(__AVX512F__)
  const __m512i bases = _mm512_set1_epi64(static_cast<long long>(base));
  const __m512i lasts = _mm512_set1_epi64(static_cast<long long>(last));
  for (uint32_t l = 0; l < 32; l += 8) {
    const __m512i at = _mm512_sub_epi64(_mm512_loadu_si512(address + l), bases);
    if (offset)
      _mm512_storeu_si512(offset + l, at);
    lanes |= uint32_t{_mm512_cmple_epu64_mask(at, lasts)} << l;
  }
#else
  for (uint32_t l = 0; l < 32; ++l) {
    const uint64_t at = address[l] - base;
    if (offset)
      offset[l] = at;
    lanes |= uint32_t{at <= last} << l;
  }
#endif
  return lanes;
}

static void neighbours(const uint64_t *offset, uint64_t bytes, uint32_t &same,
                       uint32_t &next) {
  same = next = 0;
#if defined(__AVX512F__)
  const __m512i step = _mm512_set1_epi64(static_cast<long long>(bytes));
  for (uint32_t l = 0; l < 32; l += 8) {
    const __m512i at = _mm512_loadu_si512(offset + l);
    const __mmask8 present = l == 24 ? 0x7f : 0xff;
    const __m512i after = _mm512_maskz_loadu_epi64(present, offset + l + 1);
    same |= uint32_t{_mm512_mask_cmpeq_epi64_mask(present, after, at)} << l;
    next |= uint32_t{_mm512_mask_cmpeq_epi64_mask(present, after,
                                                  _mm512_add_epi64(at, step))}
            << l;
  }
#else
  for (uint32_t l = 0; l < 31; ++l) {
    same |= uint32_t{offset[l + 1] == offset[l]} << l;
    next |= uint32_t{offset[l + 1] == offset[l] + bytes} << l;
  }
#endif
}

static uint32_t flagged(const uint64_t *flags, const uint64_t *offset,
                        uint32_t lanes, uint32_t bytes) {
  const uint64_t piece = ~uint64_t{0} >> (64 - bytes);
  uint32_t found = 0;
#if defined(__AVX512F__)
  const __m512i pieces = _mm512_set1_epi64(static_cast<long long>(piece));
  const __m512i low = _mm512_set1_epi64(63);
  const __m512i within = _mm512_set1_epi64(bytes - 1);
  for (uint32_t l = 0; l < 32; l += 8) {
    const auto here = static_cast<__mmask8>(lanes >> l);
    const __m512i at = _mm512_loadu_si512(offset + l);
    if (_mm512_mask_test_epi64_mask(here, at, within))
      return lanes;
    const __m512i words = _mm512_mask_i64gather_epi64(
        _mm512_setzero_si512(), here, _mm512_srli_epi64(at, 6), flags, 8);
    found |= uint32_t{_mm512_test_epi64_mask(
                 _mm512_srlv_epi64(words, _mm512_and_si512(at, low)), pieces)}
             << l;
  }
#else
  for (uint32_t rest = lanes; rest; rest &= rest - 1) {
    const auto l = static_cast<uint32_t>(__builtin_ctz(rest));
    if (offset[l] & (bytes - 1))
      return lanes;
    const uint64_t word = flags[offset[l] / 64] >> offset[l] % 64;
    found |= uint32_t{(word & piece) != 0} << l;
  }
#endif
  return found;
}

static bool allDefined(const uint64_t *flags, const uint64_t *offset,
                       uint32_t lanes, uint32_t bytes, uint64_t last) {
#if defined(__AVX512F__)
  const __m512i pieces =
      _mm512_set1_epi64(static_cast<long long>(~uint64_t{0} >> (64 - bytes)));
  const __m512i low = _mm512_set1_epi64(63);
  const __m512i within = _mm512_set1_epi64(bytes - 1);
  const __m512i lasts = _mm512_set1_epi64(static_cast<long long>(last));
  __mmask8 bad = 0;
  for (uint32_t l = 0; l < 32; l += 8) {
    const auto here = static_cast<__mmask8>(lanes >> l);
    const __m512i at = _mm512_loadu_si512(offset + l);
    bad |= _mm512_mask_test_epi64_mask(here, at, within) |
           _mm512_mask_cmpgt_epu64_mask(here, at, lasts);
  }
  if (bad)
    return false;
  for (uint32_t l = 0; l < 32; l += 8) {
    const auto here = static_cast<__mmask8>(lanes >> l);
    const __m512i at = _mm512_loadu_si512(offset + l);
    const __m512i words = _mm512_mask_i64gather_epi64(
        _mm512_setzero_si512(), here, _mm512_srli_epi64(at, 6), flags, 8);
    bad |= _mm512_test_epi64_mask(
        _mm512_srlv_epi64(words, _mm512_and_si512(at, low)), pieces);
  }
  return bad == 0;
#else
  for (uint32_t rest = lanes; rest; rest &= rest - 1)
    if (offset[__builtin_ctz(rest)] > last)
      return false;
  return flagged(flags, offset, lanes, bytes) == 0;
#endif
}

} // namespace

extern const CellKernels ptx::PTX_CPU_LEVEL::kCellKernels = {
    firstOpen, firstUnknown, rememberOne, rememberTwo, write,
    inside,    neighbours,   flagged,     allDefined};
