// RUN: moe-opt %s -split-input-file -verify-diagnostics

// Schedules that no lowering can follow.

// expected-error @+1 {{vector must be 4, 8 or 16 f32 lanes, got 3}}
#s = #moe.schedule<target = cpu, vector = 3, rows = 6, vectors = 4, row_block = 120, product = fma, prefetch = true>

// -----

// expected-error @+1 {{rows must be in [1, 32], got 0}}
#s = #moe.schedule<target = cpu, vector = 16, rows = 0, vectors = 4, row_block = 120, product = fma, prefetch = true>

// -----

// expected-error @+1 {{vectors must be even and in [2, 16], got 3}}
#s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 3, row_block = 120, product = fma, prefetch = true>

// -----

// expected-error @+1 {{row_block must be a multiple of rows = 6, got 100}}
#s = #moe.schedule<target = cpu, vector = 16, rows = 6, vectors = 4, row_block = 100, product = fma, prefetch = true>

// -----

// expected-error @+1 {{product = bf16_dot needs vector = 16}}
#s = #moe.schedule<target = cpu, vector = 8, rows = 6, vectors = 4, row_block = 120, product = bf16_dot, prefetch = true>
