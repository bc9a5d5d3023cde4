// RUN: moe-opt %s -split-input-file -verify-diagnostics -convert-moe-to-cpu

module {
  module @inner {
    func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>,
                 %rt: memref<6xi32>, %rows: memref<6x8xf32>) {
      // expected-error @+1 {{'moe.idx.dispatch' op stands in a symbol table within the module; run convert-moe-to-cpu on the module that holds it}}
      moe.idx.dispatch
          ins(%x, %eo, %rt : memref<2x3x8xf32>, memref<5xi32>, memref<6xi32>)
          outs(%rows : memref<6x8xf32>)
      return
    }
  }
}

// -----

func.func @f(%x: memref<2x3x8xf32>, %eo: memref<5xi32>, %rt: memref<6xi32>,
             %rows: memref<6x8xf32, 1>) {
  // expected-error @+1 {{'moe.idx.dispatch' op has an operand of type 'memref<6x8xf32, 1>' in a memory space of its own}}
  moe.idx.dispatch
      ins(%x, %eo, %rt : memref<2x3x8xf32>, memref<5xi32>, memref<6xi32>)
      outs(%rows : memref<6x8xf32, 1>)
  return
}
