"""A layer of experts and its pieces as programs of the dialect, with their data."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Result = tuple[np.dtype[Any], int]

DTYPES: dict[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f16": np.dtype(np.float16),
}
PIECES = ("layer", "sequence", "up", "down", "combine", "route")

SILU = """
    %one = arith.constant 1.0 : f32
    %minus = arith.negf %g : f32
    %exp = math.exp %minus : f32
    %divisor = arith.addf %one, %exp : f32
    %silu = arith.divf %g, %divisor : f32
    %v = arith.mulf %silu, %u : f32"""


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of a layer: H, I, E and K; and the type of weights and activations."""

    hidden: int
    inner: int
    experts: int
    k: int
    dtype: str

    def bytes_of_expert(self) -> int:
        return 3 * self.hidden * self.inner * DTYPES[self.dtype].itemsize

    def operations(self, piece: str, tokens: int) -> int:
        """Multiplications and additions of the matmuls of a piece."""
        share = {"layer": 6, "sequence": 6, "up": 4, "down": 2}.get(piece, 0)
        return share * tokens * self.k * self.hidden * self.inner


def _yield(value: str, dtype: str) -> str:
    if dtype == "f32":
        return f"    moe.yield {value} : f32"
    return f"    %r = arith.truncf {value} : f32 to {dtype}\n    moe.yield %r : {dtype}"


def _static(text: str, shape: Shape, tokens: int) -> str:
    """The text with T and R as numbers."""
    rows = str(tokens * shape.k)
    text = text.replace("1x?x", f"1x{tokens}x").replace("rows = ?", f"rows = {rows}")
    return text.replace("<?x", f"<{rows}x")


def program(piece: str, shape: Shape, tokens: int | None = None) -> str:
    """The module of one piece, with T and R dynamic, or for `tokens` tokens."""
    h, i, e, k, t = dataclasses.astuple(shape)
    x, logits = f"tensor<1x?x{h}x{t}>", f"tensor<1x?x{e}x{t}>"
    plan, gates = f"!moe.plan<1x?x{e}, rows = ?>", "tensor<?xf32>"
    up, down = f"tensor<{e}x{2 * i}x{h}x{t}>", f"tensor<{e}x{h}x{i}x{t}>"
    inner, outer = f"tensor<?x{i}x{t}>", f"tensor<?x{h}x{t}>"
    eo, ids, to = f"tensor<{e + 1}xi32>", "tensor<?xi32>", "tensor<1x?xi32>"
    swiglu = f"{{\n  ^bb0(%g: f32, %u: f32):{SILU}\n{_yield('%v', t)}\n  }}"
    plain = f"{{\n  ^bb0(%s: f32):\n{_yield('%s', t)}\n  }}"
    scope = "sequence" if piece == "sequence" else "token"
    route = (
        f"%p, %gates = moe.route %l top {k} scope = {scope} score = softmax "
        f"normalize = none : {logits}"
    )
    text = {
        "layer": f"""
func.func @main(%l: {logits}, %x: {x}, %a: {up} {{moe.param = "up"}},
                %b: {down} {{moe.param = "down"}}) -> {x} {{
  {route}
  %h = moe.grouped_matmul %x by %p weights(%a : {up}) layout = nk
      arrangement = concat : {x}, {plan} -> {inner} {swiglu}
  %r = moe.grouped_matmul %h by %p weights(%b : {down}) layout = nk
      : {inner}, {plan} -> {outer} {plain}
  %y = moe.combine %r by %p gates(%gates : {gates}) : {outer}, {plan}
  return %y : {x}
}}""",
        "up": f"""
func.func @main(%x: {x}, %eo: {eo}, %rt: {ids}, %init: {inner},
                %a: {up} {{moe.param = "up"}}) -> {inner} {{
  %h = moe.idx.grouped_matmul ins(%x, %eo : {x}, {eo}) tokens(%rt : {ids})
      weights(%a : {up}) layout = nk arrangement = concat
      outs(%init : {inner}) -> {inner} {swiglu}
  return %h : {inner}
}}""",
        "down": f"""
func.func @main(%h: {inner}, %eo: {eo}, %init: {outer},
                %b: {down} {{moe.param = "down"}}) -> {outer} {{
  %r = moe.idx.grouped_matmul ins(%h, %eo : {inner}, {eo})
      weights(%b : {down}) layout = nk outs(%init : {outer}) -> {outer} {plain}
  return %r : {outer}
}}""",
        "combine": f"""
func.func @main(%r: {outer}, %to: {to}, %tr: {ids}, %g: {gates}, %init: {x})
    -> {x} {{
  %y = moe.idx.combine ins(%r, %to, %tr : {outer}, {to}, {ids})
      gates(%g : {gates}) outs(%init : {x}) -> {x}
  return %y : {x}
}}""",
        "route": f"""
func.func @main(%l: {logits}) -> ({eo}, {gates}) {{
  {route}
  %eo = moe.plan_field %p expert_offsets : {plan}
  return %eo, %gates : {eo}, {gates}
}}""",
    }["layer" if piece == "sequence" else piece]
    if tokens is None:
        return text
    return _static(text, shape, tokens).replace(
        to.replace("1x?x", f"1x{tokens}x"), f"tensor<1x{tokens + 1}xi32>"
    )


class Data:
    """Weights and inputs of a shape. Values repeat; places in memory do not."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        self.shape, self.rng = shape, np.random.default_rng(seed)
        h, i, e = shape.hidden, shape.inner, shape.experts
        self.up = self._weights((e, 2 * i, h))
        self.down = self._weights((e, h, i))

    def _weights(self, sizes: tuple[int, int, int]) -> Array:
        part = self.rng.standard_normal((1, *sizes[1:]), np.float32) / sizes[2] ** 0.5
        return np.tile(part.astype(DTYPES[self.shape.dtype]), (sizes[0], 1, 1))

    def values(self, *sizes: int) -> Array:
        numbers = self.rng.standard_normal(sizes, np.float32)
        return numbers.astype(DTYPES[self.shape.dtype])

    def choice(self, tokens: int, call: int, zipf: float = 0) -> Array:
        """K experts for each token, [T, K]; few tokens take others in each call."""
        experts, k = self.shape.experts, self.shape.k
        if tokens * k <= experts:
            first = call * tokens * k
            flat = (np.arange(first, first + tokens * k)) % experts
            return flat.reshape(tokens, k)
        scores = self.rng.gumbel(size=(tokens, experts))
        if zipf:
            scores -= zipf * np.log1p(np.arange(experts))
        return np.argsort(-scores, axis=1)[:, :k]

    def logits(self, choice: Array) -> Array:
        """Logits [1, T, E] that choose these experts."""
        tokens, experts = choice.shape[0], self.shape.experts
        values = self.rng.uniform(-1, 0, (tokens, experts)).astype(np.float32)
        rows = np.arange(tokens)[:, None]
        values[rows, choice] += 2
        return values[None].astype(DTYPES[self.shape.dtype])

    def arguments(self, piece: str, choice: Array) -> list[Array]:
        """What @main of a piece takes before the packed weight."""
        tokens, k = choice.shape
        h, i, rows = self.shape.hidden, self.shape.inner, tokens * k
        order = np.argsort(choice.reshape(-1), kind="stable")
        counts = np.bincount(choice.reshape(-1), minlength=self.shape.experts)
        offsets = np.append(0, np.cumsum(counts)).astype(np.int32)
        place = np.empty(rows, np.int32)
        place[order] = np.arange(rows, dtype=np.int32)
        token_offsets = np.arange(0, rows + 1, k, dtype=np.int32)[None]
        if piece in ("layer", "sequence"):
            return [self.logits(choice), self.values(1, tokens, h)]
        if piece == "route":
            return [self.logits(choice)]
        if piece == "up":
            tokens_of_rows = (order // k).astype(np.int32)
            x, out = self.values(1, tokens, h), self.values(rows, i)
            return [x, offsets, tokens_of_rows, out]
        if piece == "down":
            return [self.values(rows, i), offsets, self.values(rows, h)]
        token_row = np.sort(place.reshape(tokens, k), axis=1).reshape(-1)
        gates = self.rng.uniform(0, 1, rows).astype(np.float32)
        out = self.values(1, tokens, h)
        return [self.values(rows, h), token_offsets, token_row, gates, out]

    def packed(self, piece: str) -> list[Array]:
        """The weights of a piece, in the order in which they are packed."""
        return {
            "layer": [self.up, self.down],
            "sequence": [self.up, self.down],
            "up": [self.up],
            "down": [self.down],
        }.get(piece, [])

    def results(self, piece: str) -> list[Result]:
        dtype = DTYPES[self.shape.dtype]
        if piece == "route":
            return [(np.dtype(np.int32), 1), (np.dtype(np.float32), 1)]
        return [(dtype, 2 if piece in ("up", "down") else 3)]
