// RUN: moe-opt %s -moe-expand-math | FileCheck %s --implicit-check-not=math.exp --implicit-check-not=math.tanh --implicit-check-not=math.erf --implicit-check-not=math.log1p --implicit-check-not=math.powf --implicit-check-not=math.floor --implicit-check-not=math.fma --implicit-check-not=math.rsqrt
// RUN: moe-opt %s -moe-expand-math="fma f16c" | FileCheck %s --check-prefix=NATIVE

// Functions become arithmetic, on scalars and on vectors.
// CHECK-LABEL: func.func @functions
// CHECK: arith.mulf {{.*}} : f32
// CHECK: arith.mulf {{.*}} : vector<8xf32>
// CHECK: return
// NATIVE-LABEL: func.func @functions
// NATIVE: math.fma
func.func @functions(%x: f32, %v: vector<8xf32>) -> (f32, vector<8xf32>) {
  %0 = math.exp %x : f32
  %1 = math.tanh %0 : f32
  %2 = math.rsqrt %1 : f32
  %two = arith.constant 2.0 : f32
  %3 = math.powf %2, %two : f32
  %4 = math.floor %3 : f32
  %5 = math.erf %v : vector<8xf32>
  %6 = math.log1p %5 : vector<8xf32>
  return %4, %6 : f32, vector<8xf32>
}

// Roundings of a target without instructions for them.
// CHECK-LABEL: func.func @roundings
// CHECK-NOT: math.{{round|trunc|ceil|floor}}
// CHECK: return
// NATIVE-LABEL: func.func @roundings
// NATIVE: math.roundeven
// NATIVE: math.trunc
func.func @roundings(%x: f32) -> (f32, f32, f32) {
  %0 = math.roundeven %x : f32
  %1 = math.trunc %x : f32
  %2 = math.round %x : f32
  return %0, %1, %2 : f32, f32, f32
}

// What has no expansion of enough accuracy is left, for moe-verify-stage.
// CHECK-LABEL: func.func @left
// CHECK: math.atan
// CHECK: math.sin {{.*}} : f64
func.func @left(%x: f32, %y: f64) -> (f32, f64) {
  %0 = math.atan %x : f32
  %1 = math.sin %y : f64
  return %0, %1 : f32, f64
}

// Sine and cosine are computed in f64; a large angle is reduced by the bits of
// 2 / pi that count for it.
// CHECK-LABEL: func.func @trigonometry
// CHECK-NOT: math.
// CHECK: arith.muli {{.*}} : vector<4xi64>
// CHECK: arith.mulf {{.*}} : vector<4xf64>
// CHECK: return
func.func @trigonometry(%x: f32, %v: vector<4xf32>) -> (f32, vector<4xf32>) {
  %0 = math.sin %x : f32
  %1 = math.cos %v : vector<4xf32>
  return %0, %1 : f32, vector<4xf32>
}

// Without an instruction for both, a product and a sum.
// CHECK-LABEL: func.func @fma
// CHECK: %[[P:.*]] = arith.mulf
// CHECK: arith.addf %[[P]]
// NATIVE-LABEL: func.func @fma
// NATIVE: math.fma
func.func @fma(%a: f32, %b: f32, %c: f32) -> f32 {
  %0 = math.fma %a, %b, %c : f32
  return %0 : f32
}

// bf16 is the upper half of f32. f16 has its own instructions on most targets.
// CHECK-LABEL: func.func @small_floats
// CHECK-NOT: arith.extf
// CHECK-NOT: arith.truncf
// CHECK: return
// NATIVE-LABEL: func.func @small_floats
// NATIVE: arith.shli
// NATIVE: arith.extf {{.*}} : f16 to f32
// NATIVE: arith.truncf {{.*}} : f32 to f16
func.func @small_floats(%b: bf16, %h: f16, %i: i32)
    -> (bf16, f16, bf16, i32) {
  %0 = arith.extf %b : bf16 to f32
  %1 = arith.extf %h : f16 to f32
  %2 = arith.addf %0, %1 : f32
  %3 = arith.truncf %2 : f32 to bf16
  %4 = arith.truncf %2 : f32 to f16
  %5 = arith.sitofp %i : i32 to bf16
  %6 = arith.fptosi %b : bf16 to i32
  return %3, %4, %5, %6 : bf16, f16, bf16, i32
}

// Wider types pass through f32.
// CHECK-LABEL: func.func @f64
// CHECK: arith.extf {{.*}} : f32 to f64
// CHECK: arith.truncf {{.*}} : f64 to f32
func.func @f64(%b: bf16, %d: f64) -> (f64, bf16) {
  %0 = arith.extf %b : bf16 to f64
  %1 = arith.truncf %d : f64 to bf16
  return %0, %1 : f64, bf16
}
