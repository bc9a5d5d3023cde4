"""Small modules that run kernels, for the tests of the host's side."""

from __future__ import annotations

import numpy as np

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def chain_module(dtype: str, columns: int, links: int, batch: str = "?x?") -> str:
    """``@main(rows, token_offsets, token_row, gates)``: so many combines in a row.

    Each adds up rows of the one before; all but the last are temporaries of
    [S, T, columns].
    """
    element = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}[dtype]
    out = f"tensor<{batch}x{columns}x{element}>"
    flat = f"tensor<?x{columns}x{element}>"
    body = []
    rows = "%rows"
    for i in range(links):
        body.append(f"""
    %e{i} = tensor.empty(%s, %t) : {out}
    %y{i} = moe.idx.combine ins({rows}, %to, %tr : {flat}, tensor<?x?xi32>,
        tensor<?xi32>) gates(%g : tensor<?xf32>) outs(%e{i} : {out}) -> {out}
    %f{i} = tensor.collapse_shape %y{i} [[0, 1], [2]] : {out} into {flat}""")
        rows = f"%f{i}"
    return f"""
  func.func @main(%rows: {flat}, %to: tensor<?x?xi32>, %tr: tensor<?xi32>,
                  %g: tensor<?xf32>) -> {out} {{
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %s = tensor.dim %to, %c0 : tensor<?x?xi32>
    %t1 = tensor.dim %to, %c1 : tensor<?x?xi32>
    %t = arith.subi %t1, %c1 : index
    {"".join(body)}
    return %y{links - 1} : {out}
  }}"""


def chain_inputs(
    random: np.random.Generator, dtype: str, sequences: int, tokens: int, columns: int
) -> tuple[np.ndarray, ...]:
    """Inputs of `chain_module`: as many rows as tokens, each one's pairs at random."""
    room = sequences * tokens
    rows = random.standard_normal((room, columns)).astype(dtype)
    cuts = np.sort(random.integers(0, room + 1, room - 1)) if room else []
    starts = np.concatenate([[0], cuts, [room]]).astype(np.int32)
    offsets = np.stack(
        [starts[s * tokens : (s + 1) * tokens + 1] for s in range(sequences)]
    )
    token_row = random.permutation(room).astype(np.int32)
    gates = random.random(room).astype(np.float32)
    return rows, offsets, token_row, gates


def chain(inputs: tuple[np.ndarray, ...], links: int) -> np.ndarray:
    """What `chain_module` computes, in NumPy."""
    rows, offsets, token_row, gates = inputs
    sequences, tokens = offsets.shape[0], offsets.shape[1] - 1
    for _ in range(links):
        out = np.zeros((sequences, tokens, rows.shape[1]), np.float32)
        for s, t in np.ndindex(sequences, tokens):
            for pair in range(*offsets[s, t : t + 2]):
                row = token_row[pair]
                out[s, t] += gates[row] * rows[row].astype(np.float32)
        rows = out.astype(rows.dtype).reshape(-1, rows.shape[1])
    return rows.reshape(sequences, tokens, rows.shape[1])
