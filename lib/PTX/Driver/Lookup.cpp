// Entry points by name, errors as text.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Driver/DriverState.h"

#include <cstring>

using namespace ptx::driver;

// Only their addresses are needed here; their types are where they are defined.
#define PTX_DRIVER_FUNCTION(NAME, SYMBOL, VERSION)                             \
  extern "C" const char entry_##SYMBOL[] __asm__(#SYMBOL);
#include "Driver/DriverFunctions.inc"
#undef PTX_DRIVER_FUNCTION

extern "C" {
extern const char entry_lookup[] __asm__("cuGetProcAddress");
extern const char entry_lookup_v2[] __asm__("cuGetProcAddress_v2");
}

namespace {
struct Entry {
  const char *name;
  const void *address;
  int version; ///< from which on the name means this
};
/// Later versions of a name come later.
const Entry kEntries[] = {
#define PTX_DRIVER_FUNCTION(NAME, SYMBOL, VERSION)                             \
  {#NAME, entry_##SYMBOL, VERSION},
#include "Driver/DriverFunctions.inc"
#undef PTX_DRIVER_FUNCTION
    {"cuGetProcAddress", entry_lookup, 0},
    {"cuGetProcAddress", entry_lookup_v2, 12000},
};

struct ErrorText {
  CUresult code;
  const char *name, *text;
};
constexpr ErrorText kErrors[] = {
#define PTX_DRIVER_ERROR(CODE, TEXT) {CODE, #CODE, TEXT},
#include "Driver/ErrorNames.inc"
#undef PTX_DRIVER_ERROR
};

CUresult find(const char *name, void **function, int version, int *status) {
  if (!name || !function)
    return CUDA_ERROR_INVALID_VALUE;
  *function = nullptr;
  for (const Entry &entry : kEntries)
    if (std::strcmp(entry.name, name) == 0 && entry.version <= version)
      *function = const_cast<void *>(entry.address);
  if (status)
    *status = *function ? kSymbolFound : kSymbolNotFound;
  return *function || status ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult errorText(const char *call, CUresult error, const char **text,
                   const char *ErrorText::*part) {
  return guarded(call, [&]() -> CUresult {
    if (!text)
      return CUDA_ERROR_INVALID_VALUE;
    *text = nullptr;
    for (const ErrorText &known : kErrors)
      if (known.code == error)
        *text = known.*part;
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}
} // namespace

PTX_API cuGetProcAddress(const char *name, void **function, int version,
                         unsigned long long) {
  return guarded("cuGetProcAddress",
                 [&] { return find(name, function, version, nullptr); });
}

PTX_API cuGetProcAddress_v2(const char *name, void **function, int version,
                            unsigned long long, int *status) {
  return guarded("cuGetProcAddress",
                 [&] { return find(name, function, version, status); });
}

PTX_API cuGetErrorName(CUresult error, const char **text) {
  return errorText("cuGetErrorName", error, text, &ErrorText::name);
}

PTX_API cuGetErrorString(CUresult error, const char **text) {
  return errorText("cuGetErrorString", error, text, &ErrorText::text);
}
