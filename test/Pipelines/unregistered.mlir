// Operations of dialects that are not registered pass by every pass untouched,
// and the pipeline names what it cannot lower.

// RUN: moe-opt %s -allow-unregistered-dialect -moe-raise-matmul -moe-fuse \
// RUN:   -moe-choose-schedule -moe-expand-plan -moe-pack-weights \
// RUN:   -moe-keep-arguments -moe-own-results -moe-verify-stage=stage=index \
// RUN:   -moe-copy-to-linalg -moe-lower-linalg -convert-moe-to-cpu \
// RUN:   -moe-expand-math -moe-lower-expand-shape -moe-lower-alloca-scope \
// RUN:   -moe-emit-c-interface | FileCheck %s
// RUN: not moe-opt %s -allow-unregistered-dialect -moe-cpu-pipeline 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REFUSED

// CHECK-LABEL: func.func @main
// CHECK: "other.op"(%{{.*}}) ({
// CHECK:   "other.inner"() : () -> ()
// REFUSED: error: 'other.op' op cannot be left after stage 'import'
func.func @main(%x: memref<4xf32>) {
  "other.op"(%x) ({
    "other.inner"() : () -> ()
  }) : (memref<4xf32>) -> ()
  return
}
