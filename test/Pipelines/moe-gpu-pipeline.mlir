// Executed in test/GPU/test_host.py.
// RUN: moe-opt %s --moe-gpu-pipeline="chip=sm_80" -o %t.all
// RUN: FileCheck %s --input-file=%t.all --check-prefix=HOST --implicit-check-not=memref --implicit-check-not=tensor --implicit-check-not=gpu.launch --implicit-check-not=unrealized
// RUN: FileCheck %s --input-file=%t.all --check-prefix=PTX --implicit-check-not=__nv_ --implicit-check-not=".extern .func"
// RUN: sed "s/TimeInMs = [0-9]*//" %t.all > %t.whole
// RUN: moe-opt %s --moe-gpu-tensor-pipeline | moe-opt --moe-gpu-lowering-pipeline | sed "s/TimeInMs = [0-9]*//" | diff %t.whole -
// RUN: moe-opt %s --moe-gpu-pipeline="chip=sm_120" | FileCheck %s --check-prefix=SM120
// RUN: not moe-opt %s --moe-gpu-pipeline="chip=sm_75" 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not moe-opt %s --moe-gpu-pipeline="format=elf" 2>&1 | FileCheck %s --check-prefix=FORMAT

// An unknown chip is refused before anything else happens.
// CHIP: error: moe-attach-chip: no code is generated for chip 'sm_75'; chips are sm_80, sm_86, sm_89, sm_90, sm_100, sm_120
// FORMAT: for the --format option: Cannot find option named 'elf'!
// SM120: .version 8.7\0A.target sm_120

// HOST: module attributes {gpu.container_module, moe.kernels = ["dispatch", "elementwise", "combine"]}
// HOST: gpu.binary @moe_kernels
// The context comes first; sizes and memory before the launches.
// HOST: llvm.func @main(%arg0: !llvm.ptr, {{.*}}) -> !llvm.struct<(ptr, ptr, i64, array<3 x i64>, array<3 x i64>)> attributes {llvm.emit_c_interface}
// HOST: llvm.call @moe_gpu_result
// HOST: llvm.call @moe_gpu_arena
// HOST-COUNT-3: llvm.call @moe_gpu_launch
// HOST-NOT: llvm.call @moe_gpu_
// HOST: llvm.return
// HOST: llvm.func @_mlir_ciface_main(
// PTX: gpu.binary @moe_kernels [#gpu.object<#nvvm.target<O = 1, chip = "sm_80", features = "+ptx76">
// PTX-SAME: .version 7.6\0A.target sm_80
// PTX-SAME: .visible .entry dispatch(
#id = affine_map<(r, h) -> (r, h)>
func.func @main(%x: tensor<?x?x16xbf16>, %eo: tensor<5xi32>,
                %rt: tensor<?xi32>, %to: tensor<?x?xi32>, %tr: tensor<?xi32>)
    -> tensor<?x?x16xbf16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %s = tensor.dim %x, %c0 : tensor<?x?x16xbf16>
  %t = tensor.dim %x, %c1 : tensor<?x?x16xbf16>
  %r = tensor.dim %rt, %c0 : tensor<?xi32>
  %0 = tensor.empty(%r) : tensor<?x16xbf16>
  %rows = moe.idx.dispatch
      ins(%x, %eo, %rt : tensor<?x?x16xbf16>, tensor<5xi32>, tensor<?xi32>)
      outs(%0 : tensor<?x16xbf16>) -> tensor<?x16xbf16>
  %1 = tensor.empty(%r) : tensor<?x16xbf16>
  %squares = linalg.generic {indexing_maps = [#id, #id],
                             iterator_types = ["parallel", "parallel"]}
      ins(%rows : tensor<?x16xbf16>) outs(%1 : tensor<?x16xbf16>) {
  ^bb0(%in: bf16, %out: bf16):
    %wide = arith.extf %in : bf16 to f32
    %square = arith.mulf %wide, %wide : f32
    %narrow = arith.truncf %square : f32 to bf16
    linalg.yield %narrow : bf16
  } -> tensor<?x16xbf16>
  %2 = tensor.empty(%s, %t) : tensor<?x?x16xbf16>
  %y = moe.idx.combine
      ins(%squares, %to, %tr : tensor<?x16xbf16>, tensor<?x?xi32>, tensor<?xi32>)
      outs(%2 : tensor<?x?x16xbf16>) -> tensor<?x?x16xbf16>
  return %y : tensor<?x?x16xbf16>
}
