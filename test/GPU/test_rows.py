"""Kernels that copy and add rows: moe.idx.dispatch and moe.idx.combine."""

from __future__ import annotations

import pathlib

import ml_dtypes
import numpy as np
import pytest
from emulated import compile_kernels, memref

BF16 = np.dtype(ml_dtypes.bfloat16)


def random_plan(
    random: np.random.Generator, tokens: int, room: int, live: int
) -> tuple[np.ndarray, np.ndarray]:
    """(first row entry of each token, rows by token) of `live` random pairs."""
    cuts = np.sort(random.integers(0, live + 1, tokens - 1))
    offsets = np.concatenate([[0], cuts, [live]]).astype(np.int32)
    rows = np.full(room, -1, np.int32)
    rows[:live] = random.permutation(live)
    return offsets, rows


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize(
    ("sequences", "tokens", "columns", "room", "live"),
    [(1, 5, 96, 40, 40), (2, 3, 100, 50, 37), (1, 1, 7, 3, 0), (1, 2, 2056, 30, 30)],
    ids=["aligned", "padded", "no-pair", "wide"],
)
@pytest.mark.parametrize("gated", [True, False], ids=["gates", "plain"])
def test_combine_adds_in_order(
    moe_opt: pathlib.Path,
    dtype: str,
    sequences: int,
    tokens: int,
    columns: int,
    room: int,
    live: int,
    gated: bool,
) -> None:
    random = np.random.default_rng(columns)
    rows = random.standard_normal((room, columns)).astype(dtype)
    gates = random.random(room).astype(np.float32)
    starts, token_row = random_plan(random, sequences * tokens, room, live)
    # A sequence ends where the next begins.
    offsets = np.stack(
        [starts[s * tokens : (s + 1) * tokens + 1] for s in range(sequences)]
    )
    out = np.zeros((sequences, tokens, columns), dtype)
    gates_text = f" gates(%g : {memref(gates)})" if gated else ""
    text = f"""
    func.func @f(%r: {memref(rows)}, %o: {memref(offsets)}, %t: {memref(token_row)},
                 %g: {memref(gates)}, %y: {memref(out)}) {{
      moe.idx.combine ins(%r, %o, %t : {memref(rows)}, {memref(offsets)},
        {memref(token_row)}){gates_text} outs(%y : {memref(out)})
      return
    }}"""
    kernels = compile_kernels(moe_opt, text)
    args = [rows, offsets, token_row, out, np.int32(tokens), np.int32(room - 1)]
    args += [gates] * gated

    want = np.zeros(out.shape, np.float32)
    for sequence, token in np.ndindex(sequences, tokens):
        for pair in range(*offsets[sequence, token : token + 2]):
            row = token_row[pair]
            term = rows[row].astype(np.float32)
            want[sequence, token] += gates[row] * term if gated else term
    for seed in range(5):
        out[...] = 7
        kernels.run("combine", sequences * tokens, args, order="random", seed=seed)
        assert np.array_equal(out, want.astype(dtype))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("columns", [96, 7])
def test_addends_are_added_one_by_one(
    moe_opt: pathlib.Path, dtype: str, columns: int
) -> None:
    """To the rounded sum, in their order, each sum rounded again."""
    random = np.random.default_rng(columns)
    tokens, live = 9, 20
    rows = random.standard_normal((live, columns)).astype(dtype)
    starts, token_row = random_plan(random, tokens, live, live)
    offsets = starts[None]
    scales = (3.0, 700.0)
    addends = [
        (scale * random.standard_normal((1, tokens, columns))).astype(dtype)
        for scale in scales
    ]
    out = np.zeros((1, tokens, columns), dtype)
    types = ", ".join(memref(addend) for addend in addends)
    text = f"""
    func.func @f(%r: {memref(rows)}, %o: {memref(offsets)}, %t: {memref(token_row)},
                 %a: {memref(out)}, %b: {memref(out)}, %y: {memref(out)}) {{
      moe.idx.combine ins(%r, %o, %t : {memref(rows)}, {memref(offsets)},
        {memref(token_row)}) addends(%a, %b : {types}) outs(%y : {memref(out)})
      return
    }}"""
    args = [rows, offsets, token_row, out, np.int32(tokens), np.int32(live - 1)]
    args += addends
    kernels = compile_kernels(moe_opt, text)

    want = np.zeros(out.shape, np.float32)
    for token in range(tokens):
        for pair in range(*offsets[0, token : token + 2]):
            want[0, token] += rows[token_row[pair]].astype(np.float32)
    want = want.astype(dtype)
    for addend in addends:
        want = (want.astype(np.float32) + addend.astype(np.float32)).astype(dtype)
    for seed in range(5):
        out[...] = 7
        kernels.run("combine", tokens, args, order="random", seed=seed)
        assert np.array_equal(out, want)


@pytest.mark.parametrize(
    ("dtype", "columns", "live"),
    [("bfloat16", 96, 20), ("bfloat16", 7, 13), ("float32", 2050, 0)],
)
def test_dispatch_copies_live_rows(
    moe_opt: pathlib.Path, dtype: str, columns: int, live: int
) -> None:
    random = np.random.default_rng(live)
    room, experts = 20, 3
    x = random.standard_normal((2, 5, columns)).astype(dtype)
    offsets = np.sort(random.integers(0, live + 1, experts + 1)).astype(np.int32)
    offsets[-1] = live
    row_token = np.full(room, -1, np.int32)
    row_token[:live] = random.integers(0, 10, live)
    out = np.zeros((room, columns), dtype)
    types = [memref(array) for array in (x, offsets, row_token, out)]
    text = f"""
    func.func @f(%x: {types[0]}, %e: {types[1]}, %r: {types[2]}, %y: {types[3]}) {{
      moe.idx.dispatch ins(%x, %e, %r : {types[0]}, {types[1]}, {types[2]})
        outs(%y : {types[3]})
      return
    }}"""
    kernels = compile_kernels(moe_opt, text)
    args = [x, offsets, row_token, out, np.int32(experts), np.int32(9)]
    for seed in range(5):
        out[...] = 7
        kernels.run("dispatch", room, args, order="random", seed=seed)
        assert np.array_equal(out[:live], x.reshape(10, columns)[row_token[:live]])
        assert (out[live:] == 7).all()
