// A module loaded on a device.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Machine/Image.h"
#include "ptx/Error.h"

#include <cstring>

namespace ptx {

static uint64_t placeVariable(Device &device, const GlobalVariable &variable) {
  if (variable.isExtern)
    throw Error(variable.line, 0, "",
                "the variable '" + variable.name +
                    "' is extern, and no module defines it: link the modules "
                    "first");
  uint64_t size = variable.size ? variable.size : 1;
  if (variable.alignment > 256)
    throw Error(variable.line, 0, "",
                "the variable '" + variable.name + "' wants an alignment of " +
                    std::to_string(variable.alignment) +
                    " bytes; device memory is aligned to 256");
  uint64_t address = device.allocate(size, variable.name);
  device.fill(address, 0, size);
  if (!variable.initial.empty())
    device.copyIn(address, variable.initial.data(), variable.initial.size());
  return address;
}

static void placePointers(Device &device, const GlobalVariable &variable,
                          uint64_t at, const std::vector<uint64_t> &addresses) {
  for (const GlobalVariable::Pointer &pointer : variable.pointers) {
    uint64_t value =
        pointer.variable >= 0 ? addresses[pointer.variable] : pointer.address;
    value += static_cast<uint64_t>(pointer.addend);
    if (pointer.mask != ~uint64_t{0} && pointer.mask)
      value = (value & pointer.mask) >> __builtin_ctzll(pointer.mask);
    device.copyIn(at + pointer.offset, &value, pointer.bytes);
  }
}

Image::Image(Device &device, const Module &module) : module(module) {
  const Program &program = module.program();
  try {
    for (const GlobalVariable &variable : program.variables)
      addresses.push_back(placeVariable(device, variable));
  } catch (...) {
    for (uint64_t address : addresses)
      device.free(address);
    throw;
  }
  for (size_t i = 0; i < program.variables.size(); ++i) {
    placePointers(device, program.variables[i], addresses[i], addresses);
    if (program.variables[i].space == Space::Constant)
      device.setWritable(addresses[i], false);
  }
  constants = AlignedBytes(program.constants.size);
  if (constants.size)
    std::memcpy(constants.data, program.constants.data, constants.size);
  for (const AddressConstant &constant : program.addressConstants) {
    uint64_t value =
        addresses[constant.variable] + static_cast<uint64_t>(constant.addend);
    std::byte *at = constants.data + (constant.slot & ~kConstant);
    for (unsigned l = 0; l < kLanes; ++l)
      if (constant.width == Width::Double)
        reinterpret_cast<uint64_t *>(at)[l] = value;
      else
        reinterpret_cast<uint32_t *>(at)[l] = static_cast<uint32_t>(value);
  }
}

} // namespace ptx
