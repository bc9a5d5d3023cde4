// RUN: moe-opt %s -split-input-file -verify-diagnostics

// Schedules of grouped matmuls on a GPU that no kernel can follow.

// expected-error @+1 {{FORM-1: rows must be a power of two in [16, 256], got 48}}
#f = #moe.gpu_matmul_form<rows = 48, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-1: columns must be a power of two in [64, 512], got 32}}
#f = #moe.gpu_matmul_form<rows = 32, columns = 32, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-1: warp_rows must be a power of two in [16, 32], got 64}}
#f = #moe.gpu_matmul_form<rows = 32, columns = 128, depth = 64, warp_rows = 64, stages = 4, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-1: a block has at most 16 warps, and tiles of 256 x 256 by warps of 16 x 64 make 64}}
#f = #moe.gpu_matmul_form<rows = 256, columns = 256, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-2: depth must be 32, 64 or 128, got 16}}
#f = #moe.gpu_matmul_form<rows = 32, columns = 128, depth = 16, warp_rows = 16, stages = 4, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-2: lanes must be 4 or 8 for a depth of 64, got 16}}
#f = #moe.gpu_matmul_form<rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 16, least = 0>

// -----

// expected-error @+1 {{FORM-2: lanes must be 4 for a depth of 32, got 8}}
#f = #moe.gpu_matmul_form<rows = 32, columns = 128, depth = 32, warp_rows = 16, stages = 4, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-2: lanes must be 8 for a depth of 128, got 4}}
#f = #moe.gpu_matmul_form<rows = 32, columns = 128, depth = 128, warp_rows = 16, stages = 4, lanes = 4, least = 0>

// -----

// expected-error @+1 {{FORM-3: 8 warps with lanes = 8 copy 32 to 256 rows, got rows = 16}}
#f = #moe.gpu_matmul_form<rows = 16, columns = 512, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-3: 16 warps copy at least 128 columns, got columns = 64}}
#f = #moe.gpu_matmul_form<rows = 256, columns = 64, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-4: stages must be in [2, 8], got 1}}
#f = #moe.gpu_matmul_form<rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 1, lanes = 8, least = 0>

// -----

// expected-error @+1 {{FORM-4: least must not be negative, got -1}}
#f = #moe.gpu_matmul_form<rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = -1>

// -----

// expected-error @+1 {{GPU-MATMUL-1: the first form must have least = 0, got 3}}
#s = #moe.gpu_matmul<chip = sm_80, forms = [<rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 3>]>

// -----

// expected-error @+1 {{GPU-MATMUL-1: least must grow from form to form, got 4 after 4}}
#s = #moe.gpu_matmul<chip = sm_80, forms = [<rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>, <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 4>, <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 4>]>

// -----

// expected-error @+1 {{GPU-MATMUL-2: a form takes 196608 bytes of shared memory, and a block of sm_80 has 166912; use smaller tiles or fewer stages}}
#s = #moe.gpu_matmul<chip = sm_80, forms = [<rows = 128, columns = 256, depth = 64, warp_rows = 64, stages = 4, lanes = 8, least = 0>]>

// -----

// The same form fits this one.
#s = #moe.gpu_matmul<chip = sm_90, forms = [<rows = 128, columns = 256, depth = 64, warp_rows = 64, stages = 4, lanes = 8, least = 0>]>

// -----

// expected-error @+1 {{GPU-MATMUL-2: a form takes 131072 bytes of shared memory, and a block of sm_120 has 101376}}
#s = #moe.gpu_matmul<chip = sm_120, forms = [<rows = 128, columns = 128, depth = 64, warp_rows = 64, stages = 4, lanes = 8, least = 0>]>

// -----

// expected-error @+2 {{failed to parse MoE_GPUMatmulAttr parameter 'chip'}}
// expected-error @+1 {{expected ::mlir::moe::Chip to be one of: sm_80, sm_86, sm_89, sm_90, sm_100, sm_120}}
#s = #moe.gpu_matmul<chip = sm_75, forms = [<rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 4, lanes = 8, least = 0>]>

// -----

// Schedules of routings.

// expected-error @+1 {{GPU-ROUTE-1: threads must be 128, 256 or 512, got 1024}}
#s = #moe.gpu_route<chip = sm_80, form = grid, threads = 1024, blocks = 108, tokens = 8>

// -----

// expected-error @+1 {{GPU-ROUTE-1: threads must be 128, 256 or 512, got 192}}
#s = #moe.gpu_route<chip = sm_80, form = grid, threads = 192, blocks = 108, tokens = 8>

// -----

// expected-error @+1 {{GPU-ROUTE-2: blocks must be in [1, 256], got 0}}
#s = #moe.gpu_route<chip = sm_80, form = block, threads = 256, blocks = 0, tokens = 8>

// -----

// expected-error @+1 {{GPU-ROUTE-2: blocks must be in [1, 256], got 257}}
#s = #moe.gpu_route<chip = sm_80, form = block, threads = 256, blocks = 257, tokens = 8>

// -----

// expected-error @+1 {{GPU-ROUTE-2: tokens must be positive, got 0}}
#s = #moe.gpu_route<chip = sm_80, form = grid, threads = 512, blocks = 108, tokens = 0>

// -----

// expected-error @+1 {{GPU-ROUTE-3: cluster must be 1 without form = cluster, got 4}}
#s = #moe.gpu_route<chip = sm_90, form = grid, threads = 512, blocks = 108, tokens = 8, cluster = 4>

// -----

// expected-error @+1 {{GPU-ROUTE-3: sm_89 has no clusters; sm_90 and later chips have}}
#s = #moe.gpu_route<chip = sm_89, form = cluster, threads = 512, blocks = 108, tokens = 8, cluster = 4>

// -----

// expected-error @+1 {{GPU-ROUTE-3: cluster must be a power of two in [2, 16] on sm_90, got 1}}
#s = #moe.gpu_route<chip = sm_90, form = cluster, threads = 512, blocks = 108, tokens = 8>

// -----

// expected-error @+1 {{GPU-ROUTE-3: cluster must be a power of two in [2, 16] on sm_100, got 12}}
#s = #moe.gpu_route<chip = sm_100, form = cluster, threads = 512, blocks = 108, tokens = 8, cluster = 12>

// -----

// expected-error @+1 {{GPU-ROUTE-3: cluster must be a power of two in [2, 8] on sm_120, got 16}}
#s = #moe.gpu_route<chip = sm_120, form = cluster, threads = 512, blocks = 108, tokens = 8, cluster = 16>

// -----

// expected-error @+1 {{GPU-ROUTE-3: a cluster of 16 blocks needs as many `blocks`, got 15}}
#s = #moe.gpu_route<chip = sm_90, form = cluster, threads = 512, blocks = 15, tokens = 8, cluster = 16>
