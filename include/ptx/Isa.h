// What the emulator knows of the PTX instruction set.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_ISA_H
#define PTX_ISA_H

#include <cstddef>
#include <iosfwd>

namespace ptx {

/// Prints every instruction form, one a line.
void printIsa(std::ostream &out);
/// The reference page in Markdown: forms that differ in types, roundings and
/// the like are one line; a section a cost class.
void printIsaMarkdown(std::ostream &out);
/// Number of forms.
size_t isaSize();

} // namespace ptx

#endif // PTX_ISA_H
