// --arg as parameters of a kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_RUN_ARGUMENTS_H
#define PTX_RUN_ARGUMENTS_H

#include "Npy.h"

#include "ptx/Device.h"
#include "ptx/Module.h"
#include "ptx/TensorMap.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ptx_run {

/// The buffers and the parameter bytes that the arguments of a command say.
class Arguments {
public:
  /// Reads files and allocates buffers. Throws ptx::Error that names the
  /// argument.
  Arguments(ptx::Device &device, const ptx::KernelInfo &kernel,
            const std::vector<std::string> &texts);

  const std::vector<std::byte> &parameters() const { return params; }
  /// Writes the files that were asked for.
  void writeOutputs() const;

private:
  struct Buffer {
    uint64_t address = 0, bytes = 0;
    std::string type;
    std::vector<uint64_t> shape;
    std::string output; ///< file; empty: none
  };

  std::vector<std::byte> parse(const ptx::ParamInfo &param,
                               const std::string &text);
  std::vector<std::byte> number(const std::string &type,
                                const std::string &value) const;
  /// The buffer that in:, out:, inout:, scratch:, zero: or ref: says; \p
  /// offset is set by ref:.
  const Buffer &buffer(const std::vector<std::string> &words, uint64_t &offset);
  static ptx::TensorMap mapOf(const Buffer &tensor, uint64_t offset);
  std::vector<std::byte> tensorMap(const std::string &text);

  ptx::Device &device;
  std::vector<std::byte> params;
  std::vector<Buffer> buffers;
  std::vector<int> bufferOf; ///< by argument: index of its buffer, or -1
  int lastBuffer = -1;
};

} // namespace ptx_run

#endif // PTX_RUN_ARGUMENTS_H
