"""The peer of the GPU benchmarks is a right and fair fused MoE layer."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

# The default will change; the answers allow for fused multiply-adds.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
if not importlib.util.find_spec("triton"):
    pytest.skip("triton is not installed", allow_module_level=True)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))

from gpu import peer_kernels  # noqa: E402
from gpu.peer import BF16, Layer, Shape, Tile  # noqa: E402
from gpu.triton_ptx import compile_kernel  # noqa: E402


def layer(shape: Shape, seed: int = 0, **options: Any) -> Layer:
    random = np.random.default_rng(seed)

    def values(*sizes: int) -> np.ndarray:
        return random.standard_normal(sizes).astype(BF16)

    return Layer(
        shape,
        values(shape.tokens, shape.hidden),
        random.standard_normal((shape.tokens, shape.experts)).astype(np.float32),
        values(shape.experts, 2 * shape.intermediate, shape.hidden),
        values(shape.experts, shape.hidden, shape.intermediate),
        **options,
    )


def reference(made: Layer) -> np.ndarray:
    """The layer in f64, rounded to bf16 where the kernels store it."""
    shape = made.shape
    score = np.exp(made.logits.astype(float))
    score /= score.sum(1, keepdims=True)
    order = np.argsort(-score, axis=1, kind="stable")[:, : shape.chosen]
    gates = np.take_along_axis(score, order, 1)
    if made.normalize:
        gates /= gates.sum(1, keepdims=True)
    out = np.zeros((shape.tokens, shape.hidden))
    for token in range(shape.tokens):
        for expert, gate in zip(order[token], gates[token], strict=True):
            wide = made.x[token].astype(float) @ made.gate_up[expert].astype(float).T
            wide = wide.astype(BF16).astype(float)
            gate_half, up = np.split(wide, 2)
            narrow = gate_half / (1 + np.exp(-gate_half)) * up
            narrow = narrow.astype(BF16).astype(float)
            row = narrow @ made.down[expert].astype(float).T * gate
            out[token] += row.astype(BF16).astype(float)
    return out


@pytest.mark.parametrize(
    ("shape", "rows", "sm"),
    [
        (Shape(20, 6, 2, 64, 48), 16, 80),
        (Shape(70, 3, 1, 96, 64), 64, 80),
        (Shape(33, 8, 3, 64, 32), 64, 90),
    ],
    ids=["tails", "full-blocks", "wgmma"],
)
def test_the_layer_is_right(shape: Shape, rows: int, sm: int) -> None:
    tile = Tile(rows=rows, columns=64, depth=32)
    made = layer(shape, tiles=(tile, tile), sm=sm)
    for result in made.run():
        assert not result.findings, result.findings[0]
    want = reference(made)
    error = np.abs(made.out.astype(float) - want).max()
    assert error <= 2**-6 * np.abs(want).max()


def dense(tile: Tile, size: int, grouped: bool) -> dict[str, float]:
    """Counters of a dense matmul of `size` rows, columns and depth."""
    random = np.random.default_rng(1)
    rows, weight = random.standard_normal((2, size, size)).astype(BF16)
    out = np.zeros((size, size), ml_dtypes.bfloat16)
    constants = {
        "N": size,
        "DEPTH": size,
        "BLOCK_M": tile.rows,
        "BLOCK_N": tile.columns,
        "BLOCK_K": tile.depth,
        "GROUP_M": tile.group,
    }
    if grouped:
        pairs = np.arange(size, dtype=np.int32)
        blocks = size // tile.rows
        args: list[Any] = [rows, weight[None], out, pairs, np.zeros(blocks, np.int32)]
        args += [np.array([size], np.int32), np.ones(size, np.float32), np.int32(size)]
        constants |= {"PAIRS_PER_ROW": 1, "GATED": False}
        function = peer_kernels.grouped_matmul
    else:
        args, function = [rows, weight, out, np.int32(size)], peer_kernels.dense_matmul
    kernel = compile_kernel(function, args, constants, 80, tile.warps, tile.stages)
    grid = (size // tile.rows * (size // tile.columns),)
    result = kernel.launch(grid, args, check=set())
    want = rows.astype(float) @ weight.astype(float).T
    assert np.abs(out.astype(float) - want).max() <= 2**-6 * np.abs(want).max()
    return dict(result.counters)


#: What a fused layer must not need more of when it is a plain matmul.
COMPARED = (
    "warp_inst",
    "ld_sectors",
    "st_sectors",
    "mma_issued",
    "op_ldsm",
    "op_ldgsts_cache_bypass",
    "sh_wave_ld",
    "sh_wave_st",
)


def test_one_expert_costs_what_a_plain_matmul_costs() -> None:
    tile, size = Tile(64, 128, 64), 512
    grouped, plain = dense(tile, size, True), dense(tile, size, False)
    for name in COMPARED:
        assert grouped[name] <= 1.05 * plain[name], name
