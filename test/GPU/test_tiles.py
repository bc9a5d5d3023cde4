"""moe.idx.tiles as a kernel: the list that NumPy makes, record by record."""

from __future__ import annotations

import pathlib

import numpy as np
import numpy.typing as npt
import pytest
from emulated import compile_kernels
from matmul_kernels import list_tiles, tile_words
from route_programs import expected_tiles

Array = npt.NDArray[np.int32]


def module_of(experts: int, rows: int, words: int) -> str:
    offsets, tiles = f"memref<{experts + 1}xi32>", f"memref<{words}xi32>"
    return f"""
func.func @main(%eo: {offsets}, %tiles: {tiles}) {{
  moe.idx.tiles ins(%eo : {offsets}) rows = {rows} outs(%tiles : {tiles})
  return
}}"""


@pytest.mark.parametrize("experts", [1, 3, 60, 128, 288, 1024, 1025, 3000])
def test_lists(moe_opt: pathlib.Path, experts: int) -> None:
    """Random counts, one expert with all rows, and none; what is behind stays."""
    draw = np.random.default_rng(experts)
    counts = [
        draw.multinomial(2 * experts, draw.dirichlet(np.full(experts, 0.3))),
        np.eye(1, experts, draw.integers(experts), dtype=np.int64)[0] * 5000,
        np.zeros(experts, np.int64),
    ]
    for rows in (16, 128):
        room = max(5000, 2 * experts)
        words = tile_words(room, experts, rows)
        kernels = compile_kernels(moe_opt, module_of(experts, rows, words))
        for seed, count in enumerate([*counts, *counts]):
            offsets = np.append(0, np.cumsum(count)).astype(np.int32)
            got = list_tiles(kernels, offsets, room, rows, order="random", seed=seed)
            want = expected_tiles(offsets, rows)
            np.testing.assert_array_equal(got[: want.size], want)
            assert (got[want.size :] == -1).all()


def test_wrong_offsets_stay_in_bounds(moe_opt: pathlib.Path) -> None:
    """Offsets that fall or are too large: no access outside the list."""
    kernels = compile_kernels(moe_opt, module_of(4, 16, tile_words(64, 4, 16)))
    for offsets in ([0, 100, 0, 100, 0], [0, 0, 2**31 - 1, 0, 5], [9, 7, 5, 3, 1]):
        tiles = list_tiles(kernels, np.array(offsets, np.int32), 64, 16)
        assert tiles[0] <= tiles.size // 4 - 1
