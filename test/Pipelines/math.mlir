// RUN: moe-opt %s --moe-cpu-pipeline=cpu=x86-64 -o %t && FileCheck %s --check-prefix=NOCALL < %t
// RUN: mlir-runner %t -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s
// RUN: moe-opt %s --moe-cpu-pipeline=cpu=x86-64-v3 -o %t && FileCheck %s --check-prefix=NOCALL < %t
// RUN: mlir-runner %t -e main -entry-point-result=void -shared-libs=%runner_libs | FileCheck %s

// Math of a model around its layers calls no library on any level of x86-64.
// NOCALL-NOT: llvm.intr.{{exp|log|pow|sin|cos|tan}}
// NOCALL-NOT: llvm.fp{{ext|trunc}} {{.*}}bf16

#id = affine_map<(d0) -> (d0)>
func.func private @printMemrefF32(tensor<*xf32>)

func.func private @f32(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = math.exp %a : f32
    %1 = math.tanh %a : f32
    %2 = math.erf %a : f32
    %3 = math.log %0 : f32
    %4 = math.rsqrt %0 : f32
    %5 = math.trunc %a : f32
    %6 = math.floor %a : f32
    %two = arith.constant 2.0 : f32
    %7 = math.powf %0, %two : f32
    %s0 = arith.addf %0, %1 : f32
    %s1 = arith.addf %s0, %2 : f32
    %s2 = arith.addf %s1, %3 : f32
    %s3 = arith.addf %s2, %4 : f32
    %s4 = arith.addf %s3, %5 : f32
    %s5 = arith.addf %s4, %6 : f32
    %s6 = arith.addf %s5, %7 : f32
    linalg.yield %s6 : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// x·x + x in bf16, each step rounded: 1.0078125·1.0078125 = 1.015686 becomes
// 1.015625, and their sum 2.0234375 is a tie, to the even 2.03125; then f16 and
// back.
func.func private @small(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = arith.truncf %a : f32 to bf16
    %1 = arith.mulf %0, %0 : bf16
    %2 = arith.addf %1, %0 : bf16
    %3 = arith.extf %2 : bf16 to f32
    %4 = arith.truncf %3 : f32 to f16
    %5 = arith.extf %4 : f16 to f32
    linalg.yield %5 : f32
  } -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// exp + tanh + erf + log(exp) + rsqrt(exp) + trunc + floor + exp·exp
// at 0.5:  1.64872 + 0.46212 + 0.52050 + 0.5 + 0.77880 + 0 + 0 + 2.71828
// at -1.5: 0.22313 - 0.90515 - 0.96611 - 1.5 + 2.11700 - 1 - 2 + 0.04979
// CHECK: [6.62842, -3.98134]
// CHECK: [2.03125, 20]
func.func @main() {
  %x = arith.constant dense<[0.5, -1.5]> : tensor<2xf32>
  %z = arith.constant dense<[1.0078125, 4.0]> : tensor<2xf32>
  %xd = tensor.cast %x : tensor<2xf32> to tensor<?xf32>
  %zd = tensor.cast %z : tensor<2xf32> to tensor<?xf32>
  %a = call @f32(%xd) : (tensor<?xf32>) -> tensor<?xf32>
  %b = call @small(%zd) : (tensor<?xf32>) -> tensor<?xf32>
  %au = tensor.cast %a : tensor<?xf32> to tensor<*xf32>
  %bu = tensor.cast %b : tensor<?xf32> to tensor<*xf32>
  call @printMemrefF32(%au) : (tensor<*xf32>) -> ()
  call @printMemrefF32(%bu) : (tensor<*xf32>) -> ()
  return
}
