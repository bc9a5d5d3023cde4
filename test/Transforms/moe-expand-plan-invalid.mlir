// RUN: moe-opt %s -split-input-file -verify-diagnostics -moe-expand-plan

// No structural conversion for scf.execute_region.
func.func @region(%p: !moe.plan<2x3x4, rows = 6>)
    -> !moe.plan<2x3x4, rows = 6> {
  // expected-error @+1 {{'scf.execute_region' op cannot carry a !moe.plan through moe-expand-plan; plans pass through func.func}}
  %q = scf.execute_region -> !moe.plan<2x3x4, rows = 6> {
    scf.yield %p : !moe.plan<2x3x4, rows = 6>
  }
  return %q : !moe.plan<2x3x4, rows = 6>
}

// -----

// A plan inside another type.
// expected-error @+1 {{'func.func' op cannot carry a !moe.plan}}
func.func @tuple(%p: tuple<!moe.plan<2x3x4, rows = 6>>) {
  return
}

// -----

// A call through a function value.
func.func private @callee(!moe.plan<2x3x4, rows = 6>)
func.func @indirect() {
  // expected-error @+1 {{'func.constant' op cannot carry a !moe.plan}}
  %f = func.constant @callee : (!moe.plan<2x3x4, rows = 6>) -> ()
  return
}

// -----

func.func @cast(%p: !moe.plan<2x3x4, rows = 6>) -> tensor<6xi32> {
  // expected-error @+1 {{'builtin.unrealized_conversion_cast' op cannot carry a !moe.plan}}
  %t = builtin.unrealized_conversion_cast %p
      : !moe.plan<2x3x4, rows = 6> to tensor<6xi32>
  return %t : tensor<6xi32>
}
