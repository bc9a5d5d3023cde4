// A module loaded on a device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_IMAGE_H
#define PTX_MACHINE_IMAGE_H

#include "Machine/Program.h"
#include "ptx/Device.h"
#include "ptx/Module.h"

#include <vector>

namespace ptx {

/// The memory of a module's variables on one device, and the program's
/// constants with their addresses filled in.
struct Image {
  Image(Device &device, const Module &module);
  Module module; ///< keeps the program alive
  AlignedBytes constants;
  std::vector<uint64_t> addresses; ///< by Program::variables; 0: extern
};

} // namespace ptx

#endif // PTX_MACHINE_IMAGE_H
