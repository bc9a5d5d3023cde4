// RUN: moe-opt %s --convert-moe-to-gpu -split-input-file -verify-diagnostics

// What no kernel is made for, each by its name.

func.func @schedule(%x: memref<6x8xbf16>, %eo: memref<5xi32>,
                    %w: memref<4x8x8xbf16>, %y: memref<6x8xf32>) {
  // expected-error @+1 {{needs a #moe.gpu_matmul schedule}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      weights(%w : memref<4x8x8xbf16>) layout = nk
      outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

#cpu = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4,
                     row_block = 120, product = fma, prefetch = true>
func.func @cpu(%x: memref<6x8xbf16>, %eo: memref<5xi32>,
               %w: memref<4x8x8xbf16>, %y: memref<6x8xf32>) {
  // expected-error @+1 {{has a #moe.schedule or packed weights, which are for convert-moe-to-cpu; a GPU takes a #moe.gpu_matmul schedule and weights as they are}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      weights(%w : memref<4x8x8xbf16>) layout = nk {schedule = #cpu}
      outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 32, stages = 3,
   lanes = 8, least = 0>]>
func.func @tiles(%x: memref<6x8xbf16>, %eo: memref<5xi32>,
                 %w: memref<4x8x8xbf16>, %y: memref<6x8xf32>) {
  // expected-error @+1 {{needs its tiles; run moe-add-tiles before bufferization}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      weights(%w : memref<4x8x8xbf16>) layout = nk {schedule = #s}
      outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 32, stages = 3,
   lanes = 8, least = 0>]>
func.func @f32(%x: memref<6x8xf32>, %eo: memref<5xi32>, %t: memref<24xi32>,
               %w: memref<4x8x8xf32>, %y: memref<6x8xf32>) {
  // expected-error @+1 {{multiplies 'f32', and tensor cores of GPUs take bf16 or f16 with sums in f32; convert input and weights to one of these}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xf32>, memref<5xi32>)
      tiles(%t : memref<24xi32>) weights(%w : memref<4x8x8xf32>) layout = nk
      {schedule = #s} outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 32, stages = 3,
   lanes = 8, least = 0>]>
func.func @experts(%x: memref<6x8xbf16>, %eo: memref<65537xi32>,
                   %t: memref<?xi32>, %w: memref<65536x8x8xbf16>,
                   %y: memref<6x8xf32>) {
  // expected-error @+1 {{has 65536 experts, and a kernel for a GPU takes at most 65535}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<65537xi32>)
      tiles(%t : memref<?xi32>) weights(%w : memref<65536x8x8xbf16>)
      layout = nk {schedule = #s} outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 32, stages = 3,
   lanes = 8, least = 0>]>
func.func @empty(%x: memref<6x0xbf16>, %eo: memref<5xi32>, %t: memref<24xi32>,
                 %w: memref<4x8x0xbf16>, %y: memref<6x8xf32>) {
  // expected-error @+1 {{has E, K or N that is dynamic or zero, and a kernel for a GPU is made for given positive sizes; only S, T and R may be dynamic}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x0xbf16>, memref<5xi32>)
      tiles(%t : memref<24xi32>) weights(%w : memref<4x8x0xbf16>) layout = nk
      {schedule = #s} outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 128, columns = 256, depth = 32, warp_rows = 32, stages = 3,
   lanes = 4, least = 0>]>
func.func @warps(%x: memref<6x8xbf16>, %eo: memref<5xi32>, %t: memref<24xi32>,
                 %w: memref<4x8x8xbf16>, %y: memref<6x8xf32>) {
  // expected-error @+1 {{has weights with layout = kn, of which each warp copies at least 4 values of k; a form with depth = 32 has 16 warps: use a greater depth or fewer warps}}
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      tiles(%t : memref<24xi32>) weights(%w : memref<4x8x8xbf16>) layout = kn
      {schedule = #s} outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    moe.yield %a : f32
  }
  return
}

// -----

#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 32, stages = 3,
   lanes = 8, least = 0>]>
func.func @sine(%x: memref<6x8xbf16>, %eo: memref<5xi32>, %t: memref<24xi32>,
                %w: memref<4x8x8xbf16>, %y: memref<6x8xf32>) {
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      tiles(%t : memref<24xi32>) weights(%w : memref<4x8x8xbf16>) layout = nk
      {schedule = #s} outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    // expected-error @+1 {{cannot stand in the epilogue of a matmul on a GPU; use elementwise arith and math ops on f32, bf16, f16 and integers}}
    %b = math.sin %a : f32
    moe.yield %b : f32
  }
  return
}

// -----

#s = #moe.gpu_matmul<chip = sm_80, forms = [
  <rows = 32, columns = 128, depth = 64, warp_rows = 32, stages = 3,
   lanes = 8, least = 0>]>
func.func @double(%x: memref<6x8xbf16>, %eo: memref<5xi32>, %t: memref<24xi32>,
                  %w: memref<4x8x8xbf16>, %y: memref<6x8xf32>) {
  moe.idx.grouped_matmul ins(%x, %eo : memref<6x8xbf16>, memref<5xi32>)
      tiles(%t : memref<24xi32>) weights(%w : memref<4x8x8xbf16>) layout = nk
      {schedule = #s} outs(%y : memref<6x8xf32>) {
  ^bb0(%a: f32):
    // expected-error @+1 {{cannot stand in the epilogue of a matmul on a GPU}}
    %b = arith.extf %a : f32 to f64
    %c = arith.truncf %b : f64 to f32
    moe.yield %c : f32
  }
  return
}
