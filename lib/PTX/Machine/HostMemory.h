// How much memory the host can still give.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_HOSTMEMORY_H
#define PTX_MACHINE_HOSTMEMORY_H

#include <cstdint>

namespace ptx {

/// Bytes that this process can take without being ended for it: what the
/// system calls available, within the limits of the process and of its control
/// groups. 2^64-1 where nothing of it is known.
uint64_t availableHostMemory();

} // namespace ptx

#endif // PTX_MACHINE_HOSTMEMORY_H
