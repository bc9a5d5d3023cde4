// What is worked out of a program once, for all its launches.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MACHINE_PROGRAMFACTS_H
#define PTX_MACHINE_PROGRAMFACTS_H

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace ptx {

struct Program;

/// Keeps what the parts above find out about a program from its text alone. A
/// kernel is often launched many times, and such a search takes as long as a
/// small launch does.
class ProgramFacts {
public:
  explicit ProgramFacts(const Program &program) : program(program) {}

  /// The facts of type T, made by T(program) when they are first asked for.
  template <class T> const T &of() const {
    static char key; // its address tells T from other types
    const std::lock_guard<std::mutex> guard(lock);
    for (const auto &[kind, facts] : known)
      if (kind == &key)
        return *static_cast<const T *>(facts.get());
    auto made = std::make_shared<const T>(program);
    known.emplace_back(&key, made);
    return *made;
  }

private:
  const Program &program;
  mutable std::mutex lock;
  mutable std::vector<std::pair<const void *, std::shared_ptr<const void>>>
      known;
};

} // namespace ptx

#endif // PTX_MACHINE_PROGRAMFACTS_H
