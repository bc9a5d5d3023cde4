// What the driver keeps between calls.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Driver/DriverState.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

using namespace ptx;
using namespace ptx::driver;

State &driver::state() {
  // Never destroyed: calls from destructors of the program still come.
  static State *state = new State;
  return *state;
}

std::vector<CUcontext> &driver::contextStack() {
  static thread_local std::vector<CUcontext> stack;
  return stack;
}

CUcontext driver::currentContext() {
  auto &stack = contextStack();
  return stack.empty() ? nullptr : stack.back();
}

namespace {
/// CALL[:N[:CODE]] of PTX_FAIL.
struct Injection {
  std::string function;
  unsigned long left = 1;
  CUresult code = CUDA_ERROR_UNKNOWN;
};

std::vector<Injection> readInjections() {
  std::vector<Injection> result;
  const char *text = std::getenv("PTX_FAIL");
  std::istringstream entries(text ? text : "");
  for (std::string entry; std::getline(entries, entry, ',');) {
    std::istringstream parts(entry);
    Injection injection;
    std::string number, code;
    std::getline(parts, injection.function, ':');
    if (std::getline(parts, number, ':'))
      injection.left = std::strtoul(number.c_str(), nullptr, 10);
    if (std::getline(parts, code, ':'))
      injection.code =
          static_cast<CUresult>(std::strtol(code.c_str(), nullptr, 10));
    result.push_back(injection);
  }
  return result;
}
} // namespace

CUresult driver::injected(const char *function) {
  static std::vector<Injection> injections = readInjections();
  for (Injection &injection : injections)
    if (injection.function == function && injection.left > 0 &&
        --injection.left == 0)
      return injection.code;
  return CUDA_SUCCESS;
}

void driver::explain(const char *function, const std::string &why) {
  static const bool verbose = std::getenv("PTX_VERBOSE") != nullptr;
  if (verbose)
    std::fprintf(stderr, "%s: %s\n", function, why.c_str());
}

bool driver::isLive(CUcontext context) {
  return context && state().contexts.count(context);
}

template <class Handle, class Set>
static bool anyHolds(Handle handle, Set CUctx_st::*set) {
  for (CUcontext context : state().contexts)
    if ((context->*set).count(handle))
      return true;
  return false;
}

bool driver::isLive(CUmodule module) {
  return anyHolds(module, &CUctx_st::modules);
}

bool driver::isLive(CUfunction function) {
  for (CUcontext context : state().contexts)
    for (CUmodule module : context->modules)
      for (const auto &[name, known] : module->functions)
        if (known.get() == function)
          return true;
  return false;
}

bool driver::isLive(CUstream stream) {
  return reinterpret_cast<uintptr_t>(stream) <= 2 ||
         anyHolds(stream, &CUctx_st::streams);
}

bool driver::isLive(CUevent event) {
  return anyHolds(event, &CUctx_st::events);
}

CUctx_st::~CUctx_st() {
  for (CUmodule module : modules)
    delete module;
  for (CUstream stream : streams)
    delete stream;
  for (CUevent event : events)
    delete event;
  for (auto &[memory, bytes] : hostMemory)
    std::free(memory);
  for (auto &[address, memory] : managed)
    std::free(memory);
}
