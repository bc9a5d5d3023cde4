// RUN: moe-opt %s -split-input-file -verify-diagnostics -convert-moe-to-cpu

// The plan form is refused with what to run first.
func.func @plan_form(%x: tensor<2x3x8xf32>, %plan: !moe.plan<2x3x4, rows = 6>)
    -> tensor<6x8xf32> {
  // expected-error @+1 {{must be bufferized before convert-moe-to-cpu; run moe-expand-plan and one-shot-bufferize first}}
  %rows = moe.dispatch %x by %plan
      : tensor<2x3x8xf32>, !moe.plan<2x3x4, rows = 6>
  return %rows : tensor<6x8xf32>
}
