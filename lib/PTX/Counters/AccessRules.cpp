// Choosing the rules compiled for this CPU.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Counters/AccessRules.h"

#include <initializer_list>

namespace ptx {

const AccessRules *accessRulesAt(RuleLevel level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (level == RuleLevel::Avx512)
    return __builtin_cpu_supports("x86-64-v4") ? &avx512::kAccessRules
                                               : nullptr;
  if (level == RuleLevel::Avx2)
    return __builtin_cpu_supports("x86-64-v3") ? &avx2::kAccessRules : nullptr;
#endif
  return level == RuleLevel::Baseline ? &baseline::kAccessRules : nullptr;
}

const AccessRules &accessRules() {
  static const AccessRules &best = []() -> const AccessRules & {
    for (RuleLevel level : {RuleLevel::Avx512, RuleLevel::Avx2})
      if (const AccessRules *rules = accessRulesAt(level))
        return *rules;
    return baseline::kAccessRules;
  }();
  return best;
}

} // namespace ptx
