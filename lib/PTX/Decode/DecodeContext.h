// What a row's own decoding may ask.
//
// Row::decode runs once an instruction's operands were checked and laid out.
// It looks at options and immediates, and leaves what the handler needs in
// Instruction::extra.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_DECODE_DECODECONTEXT_H
#define PTX_DECODE_DECODECONTEXT_H

#include "Isa/IsaTable.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace ptx {

class DecodeContext {
public:
  virtual ~DecodeContext() = default;

  /// True if \p modifier (".ftz") was written, required or optional.
  virtual bool has(std::string_view modifier) const = 0;
  /// The choice of option group \p name that was written (".cg"), or empty.
  virtual std::string_view option(std::string_view name) const = 0;
  /// The value of flattened operand \p position if it is a constant known now
  /// (an immediate, not an address of a variable).
  virtual std::optional<uint64_t> constant(unsigned position) const = 0;
  /// Width in bits of the register at \p position; 0 if it is no register.
  virtual unsigned registerBits(unsigned position) const = 0;
  /// What was written behind the register of operand \p index of the statement
  /// ("b0" of `r.b0`, see operand::Part), or empty.
  virtual std::string_view part(unsigned index) const = 0;
  /// True if operand \p index of the statement was written `-r`.
  virtual bool minus(unsigned index) const = 0;
  /// `.target` and `.version` of the module: 90, 87.
  virtual unsigned sm() const = 0;
  virtual unsigned ptxVersion() const = 0;

  /// Keeps \p value alive as long as the program and returns it.
  template <class T> const T *keep(T value) {
    auto owned = std::make_shared<const T>(std::move(value));
    const T *raw = owned.get();
    own(std::move(owned));
    return raw;
  }

  /// Throws Error at the instruction.
  [[noreturn]] virtual void fail(std::string why) const = 0;

protected:
  virtual void own(std::shared_ptr<const void> value) = 0;
};

} // namespace ptx

#endif // PTX_DECODE_DECODECONTEXT_H
