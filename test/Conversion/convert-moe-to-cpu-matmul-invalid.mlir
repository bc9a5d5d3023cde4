// RUN: moe-opt %s -split-input-file -verify-diagnostics -convert-moe-to-cpu

func.func @on_tensors(%x: tensor<6x8xf32>, %eo: tensor<5xi32>,
                      %w: tensor<4x8x8xf32>, %y: tensor<6x8xf32>)
    -> tensor<6x8xf32> {
  // expected-error @+1 {{must be bufferized before convert-moe-to-cpu; run moe-expand-plan and one-shot-bufferize first}}
  %r = moe.idx.grouped_matmul ins(%x, %eo : tensor<6x8xf32>, tensor<5xi32>)
      weights(%w : tensor<4x8x8xf32>) layout = nk outs(%y : tensor<6x8xf32>)
      -> tensor<6x8xf32> {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return %r : tensor<6x8xf32>
}

// -----

// Upstream's sine is far from rounding; none is better than a bad one.
func.func @sine(%x: memref<6x8xf32>, %eo: memref<5xi32>,
                %w: memref<4x8x8xf32>, %y: memref<6x8xf32>) {
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xf32>, memref<5xi32>)
      weights(%w : memref<4x8x8xf32>) layout = nk outs(%y : memref<6x8xf32>) {
  ^bb0(%acc: f32):
    // expected-error @+1 {{has no form on vectors and cannot stand in the epilogue of a grouped matmul on the CPU; use elementwise arith and math ops on floats and integers}}
    %s = math.sin %acc : f32
    moe.yield %s : f32
  }
  return
}

// -----

#dot = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                     row_block = 120, product = bf16_dot, prefetch = true>
func.func @dot_of_f32(%x: memref<6x8xf32>, %eo: memref<5xi32>,
                      %w: memref<4x8x8xf32>, %y: memref<6x8xf32>) {
  // expected-error @+1 {{has a schedule with product = bf16_dot, which multiplies bf16, but its input is of 'f32'; use product = fma or mul_add}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xf32>, memref<5xi32>)
      weights(%w : memref<4x8x8xf32>) layout = nk {schedule = #dot}
      outs(%y : memref<6x8xf32>) {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}

// -----

#tiled = affine_map<(i, j) -> (i floordiv 2, j, i mod 2)>
func.func @no_strides(%x: memref<6x8xf32, #tiled>, %eo: memref<5xi32>,
                      %w: memref<4x8x8xf32>, %y: memref<6x8xf32>) {
  // expected-error @+1 {{whose layout has no strides; copy it to one that has}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xf32, #tiled>, memref<5xi32>)
      weights(%w : memref<4x8x8xf32>) layout = nk outs(%y : memref<6x8xf32>) {
  ^bb0(%acc: f32):
    moe.yield %acc : f32
  }
  return
}
