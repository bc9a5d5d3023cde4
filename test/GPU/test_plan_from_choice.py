"""moe.idx.plan_from_choice as a kernel: the plan that NumPy makes."""

from __future__ import annotations

import pathlib

import ml_dtypes
import numpy as np
import pytest
from emulated import Kernels, compile_kernels

Array = np.ndarray
DTYPES = {"bf16": ml_dtypes.bfloat16, "f16": np.float16, "f32": np.float32}


def expected(ids: Array, weights: Array, experts: int) -> list[Array]:
    """The four fields and the gates of a choice, by sorting."""
    sequences, tokens, chosen = ids.shape
    flat = ids.reshape(-1)
    real = np.flatnonzero((flat >= 0) & (flat < experts))
    token = np.arange(flat.size) // chosen
    rows = real[np.argsort(flat[real], kind="stable")]
    row_token = np.full(flat.size, -1, np.int32)
    row_token[: rows.size] = token[rows]
    counts = np.bincount(flat[real].astype(np.int64), minlength=experts)
    expert_offsets = np.append(0, np.cumsum(counts)).astype(np.int32)
    # The view of tokens: a token's rows in the order of their experts.
    row_of_pair = np.full(flat.size, -1, np.int32)
    row_of_pair[rows] = np.arange(rows.size)
    by_token = real[np.lexsort((row_of_pair[real], token[real]))]
    token_row = np.full(flat.size, -1, np.int32)
    token_row[: rows.size] = row_of_pair[by_token]
    per_token = np.bincount(token[real], minlength=sequences * tokens)
    starts = np.append(0, np.cumsum(per_token)).astype(np.int32)
    token_offsets = np.array(
        [starts[s * tokens : (s + 1) * tokens + 1] for s in range(sequences)],
        np.int32,
    ).reshape(sequences, tokens + 1)
    gates = np.zeros(flat.size, weights.dtype)
    gates[: rows.size] = weights.reshape(-1)[rows]
    return [expert_offsets, row_token, token_offsets, token_row, gates]


def module_of(chosen: int, experts: int, ids: str, weights: str) -> str:
    ids_type, weights_type = (f"memref<?x?x{chosen}x{t}>" for t in (ids, weights))
    fields = f"memref<{experts + 1}xi32>, memref<?xi32>, memref<?x?xi32>, memref<?xi32>"
    return f"""
func.func @main(%i: {ids_type}, %w: {weights_type}, %eo: memref<{experts + 1}xi32>,
                %rt: memref<?xi32>, %to: memref<?x?xi32>, %tr: memref<?xi32>,
                %g: memref<?x{weights}>) {{
  moe.idx.plan_from_choice experts {experts}
      ins(%i, %w : {ids_type}, {weights_type})
      outs(%eo, %rt, %to, %tr, %g : {fields}, memref<?x{weights}>)
  return
}}"""


def run(
    kernels: Kernels, ids: Array, weights: Array, experts: int, seed: int
) -> list[Array]:
    sequences, tokens, _ = ids.shape
    outs = [
        np.full(experts + 1, 7, np.int32),
        np.full(ids.size, 7, np.int32),
        np.full((sequences, tokens + 1), 7, np.int32),
        np.full(ids.size, 7, np.int32),
        np.full(ids.size, 7, weights.dtype),
    ]
    sizes = [np.int32(size) for size in (ids.size, tokens, sequences)]
    order = "random" if seed else "round-robin"
    args = [ids, weights, *outs, *sizes]
    grid = -(-(experts + 1) // 8)
    kernels.run("plan_from_choice", grid, args, order=order, seed=seed)
    return outs


@pytest.mark.parametrize(
    ("chosen", "experts", "ids_type", "dtype"),
    [
        (1, 1, "int32", "f32"),
        (2, 3, "int64", "bf16"),
        (8, 60, "int32", "f16"),
        (6, 288, "int64", "f32"),
        (22, 3000, "int32", "bf16"),
    ],
)
def test_plans(
    moe_opt: pathlib.Path, chosen: int, experts: int, ids_type: str, dtype: str
) -> None:
    """Random choices, ids that are no expert, twice the same, all one, and none."""
    element = "i64" if ids_type == "int64" else "i32"
    module = module_of(chosen, experts, element, dtype)
    kernels = compile_kernels(moe_opt, module)
    draw = np.random.default_rng(experts)
    for seed, (sequences, tokens) in enumerate(
        [(1, 1), (1, 67), (3, 40), (2, 0), (0, 3), (1, 4)]
    ):
        shape = (sequences, tokens, chosen)
        ids = draw.integers(-2, experts + 2, shape).astype(ids_type)
        if seed == 1:
            ids = np.where(draw.random(shape) < 0.5, experts - 1, ids)
        if seed == 5:
            ids[...] = -1
        weights = draw.standard_normal(shape).astype(DTYPES[dtype])
        got = run(kernels, ids.astype(ids_type), weights, experts, seed)
        for have, want in zip(got, expected(ids, weights, experts), strict=True):
            np.testing.assert_array_equal(have, want)


def test_wide_ids_are_compared_in_their_width(moe_opt: pathlib.Path) -> None:
    """2^32 + 1 is no expert, though its low word is one."""
    kernels = compile_kernels(moe_opt, module_of(2, 4, "i64", "f32"))
    ids = np.array([[[2**32 + 1, 1], [3, -(2**32)]]], np.int64)
    weights = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    for have, want in zip(
        run(kernels, ids, weights, 4, 0), expected(ids, weights, 4), strict=True
    ):
        np.testing.assert_array_equal(have, want)
