// RUN: moe-opt %s -moe-lower-expand-shape -split-input-file | FileCheck %s
// RUN: moe-opt %s -moe-lower-expand-shape -expand-strided-metadata -split-input-file | FileCheck %s --check-prefix=META

// META-NOT: expand_shape

// CHECK-LABEL: func.func @sequences
//  CHECK-SAME: (%[[A:.*]]: memref<?x8xf32>, %[[S:.*]]: index, %[[T:.*]]: index)
//       CHECK:   %{{.*}}, %{{.*}}, %{{.*}}:2, %[[STRIDE:.*]]:2 = memref.extract_strided_metadata %[[A]]
//       CHECK:   %[[OUTER:.*]] = arith.muli %[[STRIDE]]#0, %[[T]] : index
//       CHECK:   %[[R:.*]] = memref.reinterpret_cast %[[A]] to offset: [0], sizes: [%[[S]], %[[T]], 8], strides: [%[[OUTER]], 8, 1]
//       CHECK:   return %[[R]]
func.func @sequences(%a: memref<?x8xf32>, %s: index, %t: index) -> memref<?x?x8xf32> {
  %0 = memref.expand_shape %a [[0, 1], [2]] output_shape [%s, %t, 8]
      : memref<?x8xf32> into memref<?x?x8xf32>
  return %0 : memref<?x?x8xf32>
}

// -----

// Offset and strides of a view are kept.
// CHECK-LABEL: func.func @view
//  CHECK-SAME: (%[[A:.*]]: memref<?x?xf32, strided<[?, ?], offset: ?>>, %[[S:.*]]: index, %[[T:.*]]: index, %[[E:.*]]: index)
//       CHECK:   %{{.*}}, %[[OFFSET:.*]], %{{.*}}:2, %[[STRIDE:.*]]:2 = memref.extract_strided_metadata %[[A]]
//       CHECK:   %[[OUTER:.*]] = arith.muli %[[STRIDE]]#0, %[[T]] : index
//       CHECK:   memref.reinterpret_cast %[[A]] to offset: [%[[OFFSET]]], sizes: [%[[S]], %[[T]], %[[E]]], strides: [%[[OUTER]], %[[STRIDE]]#0, %[[STRIDE]]#1]
func.func @view(%a: memref<?x?xf32, strided<[?, ?], offset: ?>>, %s: index,
                %t: index, %e: index)
    -> memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>> {
  %0 = memref.expand_shape %a [[0, 1], [2]] output_shape [%s, %t, %e]
      : memref<?x?xf32, strided<[?, ?], offset: ?>>
      into memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>>
  return %0 : memref<?x?x?xf32, strided<[?, ?, ?], offset: ?>>
}

// -----

// One dynamic size per dimension is left to expand-strided-metadata.
// CHECK-LABEL: func.func @one
//       CHECK:   memref.expand_shape
func.func @one(%a: memref<?x8xf32>, %s: index) -> memref<?x4x8xf32> {
  %0 = memref.expand_shape %a [[0, 1], [2]] output_shape [%s, 4, 8]
      : memref<?x8xf32> into memref<?x4x8xf32>
  return %0 : memref<?x4x8xf32>
}
