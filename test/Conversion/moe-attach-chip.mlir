// RUN: moe-opt %s --moe-attach-chip | FileCheck %s --check-prefix=SM80
// RUN: moe-opt %s --moe-attach-chip=chip=sm_86 | FileCheck %s --check-prefix=SM86
// RUN: moe-opt %s --moe-attach-chip=chip=sm_89 | FileCheck %s --check-prefix=SM89
// RUN: moe-opt %s --moe-attach-chip=chip=sm_90 | FileCheck %s --check-prefix=SM90
// RUN: moe-opt %s --moe-attach-chip=chip=sm_100 | FileCheck %s --check-prefix=SM100
// RUN: moe-opt %s --moe-attach-chip=chip=sm_120 | FileCheck %s --check-prefix=SM120
// RUN: not moe-opt %s --moe-attach-chip=chip=sm_75 2>&1 \
// RUN:   | FileCheck %s --check-prefix=OTHER

// SM80: gpu.module @moe_kernels [#nvvm.target<O = 1, chip = "sm_80", features = "+ptx76">]
// SM86: chip = "sm_86", features = "+ptx76"
// SM89: chip = "sm_89", features = "+ptx78"
// SM90: chip = "sm_90", features = "+ptx80"
// SM100: chip = "sm_100", features = "+ptx86"
// SM120: chip = "sm_120", features = "+ptx87"
// OTHER: error: moe-attach-chip: no code is generated for chip 'sm_75'; chips are sm_80, sm_86, sm_89, sm_90, sm_100, sm_120{{$}}
gpu.module @moe_kernels [#nvvm.target<chip = "sm_70">] {
}
