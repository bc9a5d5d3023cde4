// RUN: not moe-reduce %s --moe-cut-uses=test=%S/Inputs/has-combine.sh 2>&1 \
// RUN:   | FileCheck %s

// Without an interesting module to begin with, any result would be wrong.
// CHECK: error: the test program '{{.*}}has-combine.sh' does not find the module interesting before any change
func.func @nothing() {
  return
}
