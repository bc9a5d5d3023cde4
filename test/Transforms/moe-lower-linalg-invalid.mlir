// RUN: moe-opt %s -verify-diagnostics -moe-lower-linalg

func.func @tensors(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{'linalg.abs' op must be bufferized before moe-lower-linalg; run one-shot-bufferize first}}
  %0 = linalg.abs ins(%x : tensor<4xf32>) outs(%y : tensor<4xf32>)
      -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
