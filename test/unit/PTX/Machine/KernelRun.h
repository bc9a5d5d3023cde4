// Running small kernels in tests.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_TEST_MACHINE_KERNELRUN_H
#define PTX_TEST_MACHINE_KERNELRUN_H

#include "ptx/Error.h"
#include "ptx/Launch.h"
#include "ptx/Module.h"

#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace ptx::test {

/// PTX text of a kernel `k(out, in)`: \p body sees %out and %in (addresses),
/// %tid (thread of the block), %gid (thread of the grid), predicates %p0-7,
/// %r0-31, %d0-15 and %f0-7.
inline std::string kernelText(const std::string &body,
                              const std::string &before = "") {
  return R"(.version 8.7
.target sm_90a
.address_size 64
)" + before +
         R"(
.visible .entry k(.param .u64 p_out, .param .u64 p_in)
{
  .reg .pred %p<8>; .reg .b16 %h<8>; .reg .b32 %r<32>, %tid, %gid, %lane;
  .reg .b64 %d<16>, %out, %in; .reg .f32 %f<8>; .reg .b128 %q<4>;
  ld.param.u64 %out, [p_out];
  ld.param.u64 %in, [p_in];
  mov.u32 %tid, %tid.x;
  mov.u32 %lane, %laneid;
  mov.u32 %r30, %ctaid.x;
  mov.u32 %r31, %ntid.x;
  mad.lo.u32 %gid, %r30, %r31, %tid;
)" + body +
         R"(
  ret;
}
)";
}

/// Stores %r0 of each thread to out[gid] (32-bit words).
inline const char *kStoreR0 = R"(
  mul.wide.u32 %d15, %gid, 4;
  add.u64 %d15, %d15, %out;
  st.global.u32 [%d15], %r0;
)";

struct KernelRun {
  Device device;
  LaunchOptions options;
  std::vector<uint32_t> in, out;
  LaunchResult result;

  explicit KernelRun(unsigned threads = 32, unsigned blocks = 1) {
    options.grid = {blocks, 1, 1};
    options.block = {threads, 1, 1};
    out.resize(size_t{threads} * blocks);
    options.instructionBudget = 50'000'000;
  }

  KernelRun &run(const std::string &text) {
    Module module = Module::parse(text);
    uint64_t to = device.allocate(out.size() * 4, "out");
    uint64_t from = device.allocate(std::max<size_t>(in.size(), 1) * 4, "in");
    device.copyIn(to, out.data(), out.size() * 4);
    device.copyIn(from, in.data(), in.size() * 4);
    uint64_t params[] = {to, from};
    result =
        launch(device, module, "k", options, std::as_bytes(std::span(params)));
    device.copyOut(out.data(), to, out.size() * 4);
    device.free(to);
    device.free(from);
    return *this;
  }

  /// Runs \p body, then stores %r0.
  KernelRun &runBody(const std::string &body, const std::string &before = "") {
    return run(kernelText(body + kStoreR0, before));
  }

  /// The only finding, which ended the launch; fails the test otherwise.
  Finding finding() const {
    EXPECT_FALSE(result.completed);
    EXPECT_EQ(result.findings.size(), 1u);
    return result.findings.empty() ? Finding{} : result.findings[0];
  }
};

/// Expects a clean run.
#define EXPECT_CLEAN(run)                                                      \
  EXPECT_TRUE((run).result.completed)                                          \
      << ((run).result.findings.empty() ? std::string()                        \
                                        : (run).result.findings[0].text())

} // namespace ptx::test

#endif // PTX_TEST_MACHINE_KERNELRUN_H
