// RUN: moe-opt %s -moe-emit-c-interface | FileCheck %s

// CHECK: func.func @public() attributes {llvm.emit_c_interface}
func.func @public() {
  return
}
// CHECK: func.func private @private() {
func.func private @private() {
  return
}
// CHECK: func.func private @declaration(){{$}}
func.func private @declaration()
