// RUN: moe-opt %s -split-input-file -verify-diagnostics -moe-pack-weights

func.func @no_schedule(%x: tensor<?x32xf32>, %eo: tensor<5xi32>,
                       %w: tensor<4x64x32xf32>, %out: tensor<?x64xf32>)
    -> tensor<?x64xf32> {
  // expected-error @+1 {{needs a #moe.schedule to have its weights packed; run moe-choose-schedule before moe-pack-weights}}
  %y = moe.idx.grouped_matmul ins(%x, %eo : tensor<?x32xf32>, tensor<5xi32>)
      weights(%w : tensor<4x64x32xf32>) layout = nk
      outs(%out : tensor<?x64xf32>) -> tensor<?x64xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %y : tensor<?x64xf32>
}
