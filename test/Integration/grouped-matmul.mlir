// Grouped matmuls against a naive sum, on whole numbers, so that every order
// of additions gives the same f32. Sizes leave tails of rows, columns and k; one
// expert is empty; rows beyond the live ones must stay as they were.

// DEFINE: %{lower} = -convert-moe-to-cpu -convert-linalg-to-loops \
// DEFINE:   -convert-scf-to-cf \
// DEFINE:   -expand-strided-metadata -lower-affine \
// DEFINE:   -convert-vector-to-llvm=enable-x86vector -finalize-memref-to-llvm \
// DEFINE:   -convert-func-to-llvm -convert-arith-to-llvm \
// DEFINE:   -convert-index-to-llvm -convert-cf-to-llvm \
// DEFINE:   -reconcile-unrealized-casts
// DEFINE: %{run} = mlir-runner -e main -entry-point-result=void \
// DEFINE:   -shared-libs=%runner_libs
// RUN: moe-opt %s %{lower} | %{run} | FileCheck %s
// RUN: sed 's/vector = 4, rows = 4, vectors = 2/vector = 8, rows = 2, vectors = 4/; s/memref<3x6x13x8xf32>/memref<3x2x13x32xf32>/' %s \
// RUN:   | moe-opt %{lower} | %{run} | FileCheck %s
// RUN: sed 's/prefetch = true/prefetch = false/; s/row_block = 8/row_block = 4/' %s \
// RUN:   | moe-opt %{lower} | %{run} | FileCheck %s

#s = #moe.schedule<target = cpu, vector = 4, rows = 4, vectors = 2,
                   row_block = 8, product = mul_add, prefetch = true>

memref.global "private" constant @offsets : memref<4xi32> = dense<[0, 11, 11, 14]>
memref.global "private" constant @tokens : memref<15xi32>
    = dense<[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 1, 3, -1]>

memref.global "private" constant @two_experts : memref<3xi32>
    = dense<[0, 2, 3]>
memref.global "private" constant @thirds : memref<3x1xf32>
    = dense<[[0.333333343], [2044.0], [3.0]]>
memref.global "private" constant @ones : memref<2x1x1xf32> = dense<1.0>
memref.global "private" constant @bias : memref<2x1xbf16> = dense<1.0>

// (5·i + 3·j + k) mod 11 - 5
func.func private @value(%i: index, %j: index, %k: index) -> f32 {
  %c5 = arith.constant 5 : index
  %c3 = arith.constant 3 : index
  %c11 = arith.constant 11 : index
  %c5_i32 = arith.constant 5 : i32
  %0 = arith.muli %i, %c5 : index
  %1 = arith.muli %j, %c3 : index
  %2 = arith.addi %0, %1 : index
  %3 = arith.addi %2, %k : index
  %4 = arith.remui %3, %c11 : index
  %5 = arith.index_cast %4 : index to i32
  %6 = arith.subi %5, %c5_i32 : i32
  %7 = arith.sitofp %6 : i32 to f32
  return %7 : f32
}

func.func private @fill(%m: memref<?x?x?xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %d0 = memref.dim %m, %c0 : memref<?x?x?xf32>
  %d1 = memref.dim %m, %c1 : memref<?x?x?xf32>
  %d2 = memref.dim %m, %c2 : memref<?x?x?xf32>
  scf.for %i = %c0 to %d0 step %c1 {
    scf.for %j = %c0 to %d1 step %c1 {
      scf.for %k = %c0 to %d2 step %c1 {
        %v = func.call @value(%i, %j, %k) : (index, index, index) -> f32
        memref.store %v, %m[%i, %j, %k] : memref<?x?x?xf32>
      }
    }
  }
  return
}

// Counts the elements of %y that differ from the naive result: column n of
// output o is row o·N + n of the weight [E, 2·N, K], gate · up the epilogue;
// rows beyond the live ones must hold 77.
func.func private @count_wrong(%y: memref<15x21xf32>, %x: memref<2x3x13xf32>,
                               %w: memref<3x42x13xf32>) -> i32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %c11 = arith.constant 11 : index
  %c13 = arith.constant 13 : index
  %c14 = arith.constant 14 : index
  %c15 = arith.constant 15 : index
  %c21 = arith.constant 21 : index
  %c2 = arith.constant 2 : index
  %zero = arith.constant 0.0 : f32
  %untouched = arith.constant 77.0 : f32
  %one = arith.constant 1 : i32
  %none = arith.constant 0 : i32
  %tokens = memref.get_global @tokens : memref<15xi32>
  %wrong = scf.for %r = %c0 to %c15 step %c1 iter_args(%w0 = %none) -> (i32) {
    %late = arith.cmpi uge, %r, %c11 : index
    %expert = arith.select %late, %c2, %c0 : index
    %t32 = memref.load %tokens[%r] : memref<15xi32>
    %t = arith.index_cast %t32 : i32 to index
    %live = arith.cmpi ult, %r, %c14 : index
    %w3 = scf.for %n = %c0 to %c21 step %c1 iter_args(%w1 = %w0) -> (i32) {
      %got = memref.load %y[%r, %n] : memref<15x21xf32>
      %want = scf.if %live -> f32 {
        %s = arith.divui %t, %c3 : index
        %u = arith.remui %t, %c3 : index
        %n2 = arith.addi %n, %c21 : index
        %sums:2 = scf.for %k = %c0 to %c13 step %c1
            iter_args(%a = %zero, %b = %zero) -> (f32, f32) {
          %xv = memref.load %x[%s, %u, %k] : memref<2x3x13xf32>
          %wa = memref.load %w[%expert, %n, %k] : memref<3x42x13xf32>
          %wb = memref.load %w[%expert, %n2, %k] : memref<3x42x13xf32>
          %pa = arith.mulf %xv, %wa : f32
          %pb = arith.mulf %xv, %wb : f32
          %sa = arith.addf %a, %pa : f32
          %sb = arith.addf %b, %pb : f32
          scf.yield %sa, %sb : f32, f32
        }
        %p = arith.mulf %sums#0, %sums#1 : f32
        scf.yield %p : f32
      } else {
        scf.yield %untouched : f32
      }
      %differs = arith.cmpf une, %got, %want : f32
      %inc = arith.select %differs, %one, %none : i32
      %w2 = arith.addi %w1, %inc : i32
      scf.yield %w2 : i32
    }
    scf.yield %w3 : i32
  }
  return %wrong : i32
}

func.func private @reset(%y: memref<15x21xf32>) {
  %untouched = arith.constant 77.0 : f32
  linalg.fill ins(%untouched : f32) outs(%y : memref<15x21xf32>)
  return
}

func.func @main() {
  %x = memref.alloc() : memref<2x3x13xf32>
  %nk = memref.alloc() : memref<3x42x13xf32>
  %y = memref.alloc() : memref<15x21xf32>
  %xd = memref.cast %x : memref<2x3x13xf32> to memref<?x?x?xf32>
  %wd = memref.cast %nk : memref<3x42x13xf32> to memref<?x?x?xf32>
  call @fill(%xd) : (memref<?x?x?xf32>) -> ()
  call @fill(%wd) : (memref<?x?x?xf32>) -> ()
  %eo = memref.get_global @offsets : memref<4xi32>
  %rt = memref.get_global @tokens : memref<15xi32>

  // Tokens gathered in the load, a weight [E, 2·N, K] as it came.
  call @reset(%y) : (memref<15x21xf32>) -> ()
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x13xf32>, memref<4xi32>)
      tokens(%rt : memref<15xi32>) weights(%nk : memref<3x42x13xf32>)
      layout = nk arrangement = concat {schedule = #s}
      outs(%y : memref<15x21xf32>) {
  ^bb0(%g: f32, %u: f32):
    %p = arith.mulf %g, %u : f32
    moe.yield %p : f32
  }
  %wrong0 = call @count_wrong(%y, %x, %nk)
      : (memref<15x21xf32>, memref<2x3x13xf32>, memref<3x42x13xf32>) -> i32
  // CHECK: 0
  vector.print %wrong0 : i32

  // The same without a schedule.
  call @reset(%y) : (memref<15x21xf32>) -> ()
  moe.idx.grouped_matmul ins(%x, %eo : memref<2x3x13xf32>, memref<4xi32>)
      tokens(%rt : memref<15xi32>) weights(%nk : memref<3x42x13xf32>)
      layout = nk arrangement = concat outs(%y : memref<15x21xf32>) {
  ^bb0(%g: f32, %u: f32):
    %p = arith.mulf %g, %u : f32
    moe.yield %p : f32
  }
  %wrong1 = call @count_wrong(%y, %x, %nk)
      : (memref<15x21xf32>, memref<2x3x13xf32>, memref<3x42x13xf32>) -> i32
  // CHECK-NEXT: 0
  vector.print %wrong1 : i32

  // Rows made by dispatch, two weights [E, K, N] that are strided views.
  %rows = memref.alloc() : memref<15x13xf32>
  moe.idx.dispatch
      ins(%x, %eo, %rt : memref<2x3x13xf32>, memref<4xi32>, memref<15xi32>)
      outs(%rows : memref<15x13xf32>)
  %kn = memref.transpose %nk (e, n, k) -> (e, k, n)
      : memref<3x42x13xf32> to memref<3x13x42xf32, strided<[546, 1, 13]>>
  %first = memref.subview %kn[0, 0, 0] [3, 13, 21] [1, 1, 1]
      : memref<3x13x42xf32, strided<[546, 1, 13]>>
      to memref<3x13x21xf32, strided<[546, 1, 13]>>
  %second = memref.subview %kn[0, 0, 21] [3, 13, 21] [1, 1, 1]
      : memref<3x13x42xf32, strided<[546, 1, 13]>>
      to memref<3x13x21xf32, strided<[546, 1, 13], offset: 273>>
  %gate = memref.cast %first : memref<3x13x21xf32, strided<[546, 1, 13]>>
      to memref<3x13x21xf32, strided<[546, 1, 13], offset: ?>>
  %up = memref.cast %second
      : memref<3x13x21xf32, strided<[546, 1, 13], offset: 273>>
      to memref<3x13x21xf32, strided<[546, 1, 13], offset: ?>>
  call @reset(%y) : (memref<15x21xf32>) -> ()
  moe.idx.grouped_matmul ins(%rows, %eo : memref<15x13xf32>, memref<4xi32>)
      weights(%gate, %up : memref<3x13x21xf32, strided<[546, 1, 13], offset: ?>>,
              memref<3x13x21xf32, strided<[546, 1, 13], offset: ?>>)
      layout = kn {schedule = #s} outs(%y : memref<15x21xf32>) {
  ^bb0(%g: f32, %u: f32):
    %p = arith.mulf %g, %u : f32
    moe.yield %p : f32
  }
  %wrong2 = call @count_wrong(%y, %x, %nk)
      : (memref<15x21xf32>, memref<2x3x13xf32>, memref<3x42x13xf32>) -> i32
  // CHECK-NEXT: 0
  vector.print %wrong2 : i32

  // Packed once, then rows in place.
  %packed = memref.alloc() : memref<3x6x13x8xf32>
  moe.idx.pack ins(%nk : memref<3x42x13xf32>) layout = nk
      arrangement = concat schedule = #s outs(%packed : memref<3x6x13x8xf32>)
  call @reset(%y) : (memref<15x21xf32>) -> ()
  moe.idx.grouped_matmul ins(%rows, %eo : memref<15x13xf32>, memref<4xi32>)
      packed weights(%packed : memref<3x6x13x8xf32>)
      layout = nk {schedule = #s} outs(%y : memref<15x21xf32>) {
  ^bb0(%g: f32, %u: f32):
    %p = arith.mulf %g, %u : f32
    moe.yield %p : f32
  }
  %wrong3 = call @count_wrong(%y, %x, %nk)
      : (memref<15x21xf32>, memref<2x3x13xf32>, memref<3x42x13xf32>) -> i32
  // CHECK-NEXT: 0
  vector.print %wrong3 : i32

  // Epilogues on 16-bit floats: each op is rounded to its type.
  %f16 = memref.alloc() : memref<3x1xf16>
  %eo16 = memref.get_global @two_experts : memref<3xi32>
  %x16 = memref.get_global @thirds : memref<3x1xf32>
  %w16 = memref.get_global @ones : memref<2x1x1xf32>
  %bias = memref.get_global @bias : memref<2x1xbf16>
  moe.idx.grouped_matmul ins(%x16, %eo16 : memref<3x1xf32>, memref<3xi32>)
      weights(%w16 : memref<2x1x1xf32>) layout = nk
      extras [#moe<extra column>](%bias : memref<2x1xbf16>)
      outs(%f16 : memref<3x1xf16>) {
  ^bb0(%s: f32, %b: bf16):
    // bf16(1/3) + 1 in bf16, as f16.
    %low = arith.truncf %s : f32 to bf16
    %sum = arith.addf %low, %b : bf16
    %wide = arith.extf %sum : bf16 to f32
    %r = arith.truncf %wide : f32 to f16
    moe.yield %r : f16
  }
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %h0 = memref.load %f16[%c0, %c0] : memref<3x1xf16>
  %h1 = memref.load %f16[%c1, %c0] : memref<3x1xf16>
  %f0 = arith.extf %h0 : f16 to f32
  %f1 = arith.extf %h1 : f16 to f32
  // 0.333984 + 1 is 1.33398 in f32 and 1.33594 in bf16; 2044 is 2048 in bf16.
  // CHECK-NEXT: 1.33594
  vector.print %f0 : f32
  // CHECK-NEXT: 2048
  vector.print %f1 : f32
  return
}
