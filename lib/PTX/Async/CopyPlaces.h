// Where the lanes of a cp.async read and write.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ASYNC_COPYPLACES_H
#define PTX_ASYNC_COPYPLACES_H

#include "Machine/Access.h"

#include <array>
#include <cstdint>

namespace ptx::async {

struct CopyPlaces {
  alignas(64) std::array<uint32_t, kLanes> shared{}; ///< offset in the block
  alignas(64) std::array<uint64_t, kLanes> from{};   ///< address of the host
  uint32_t last = 0;          ///< the largest of `shared`
  uint64_t low = 0, high = 0; ///< the smallest and the largest of `from`
};

/// Fills \p places with the addresses of all lanes, \p bytes each; false if
/// one is misaligned.
using PlaceCopies = bool(const uint32_t *to, uint32_t toOffset,
                         const uint64_t *from, uint64_t fromOffset,
                         uint32_t bytes, CopyPlaces &places);

} // namespace ptx::async

namespace ptx {
namespace baseline {
async::PlaceCopies placeCopies;
}
namespace avx2 {
async::PlaceCopies placeCopies;
}
namespace avx512 {
async::PlaceCopies placeCopies;
}
} // namespace ptx

#endif // PTX_ASYNC_COPYPLACES_H
