// RUN: moe-opt %s -split-input-file -verify-diagnostics --moe-cpu-pipeline=cpu=x86-64-v3

// What cannot be compiled is refused by name, with the place in the input.

func.func @no_bufferization(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{op was not bufferized}}
  %0 = tosa.abs %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

func.func @no_expansion(%x: f64) -> f64 {
  // expected-error @+1 {{'math.exp' op cannot be left after stage 'loops' of the pipeline: moe-expand-math has no expansion of it for 'f64'}}
  %0 = math.exp %x : f64
  return %0 : f64
}

// -----

func.func @no_loops() -> index {
  // expected-error @+1 {{'gpu.thread_id' op cannot be left after stage 'loops' of the pipeline: there is no lowering of it to loops}}
  %0 = gpu.thread_id x
  return %0 : index
}

// -----

func.func @no_plan_through_it(%p: !moe.plan<2x3x4, rows = 6>)
    -> tensor<6xi32> {
  // expected-error @+1 {{cannot carry a !moe.plan through moe-expand-plan}}
  %t = builtin.unrealized_conversion_cast %p
      : !moe.plan<2x3x4, rows = 6> to tensor<6xi32>
  return %t : tensor<6xi32>
}

// -----

func.func @no_abort(%i: index, %n: index) -> i1 {
  %inside = arith.cmpi ult, %i, %n : index
  // expected-error @+1 {{'cf.assert' op cannot be left after stage 'loops' of the pipeline: where it fails it ends the process, which compiled code never does; check outside of it that "the index is inside"}}
  cf.assert %inside, "the index is inside"
  return %inside : i1
}
