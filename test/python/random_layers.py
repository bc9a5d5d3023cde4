"""Random MoE layers of any shape: their MLIR, their data, and what they compute."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
import numpy.typing as npt
from matmul_programs import DTYPES

Array = npt.NDArray[Any]
F64 = npt.NDArray[np.float64]

MOST = 300
#: Around the sizes of vectors, tiles, panels and cache lines, and their multiples.
EDGES = (
    *(3, 4, 5, 7, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 127),
    *(128, 129, 191, 192, 193, 255, 256, 257, 299, 300),
)
#: What a shape may cost: rows, elements of logits and of the weights, and products.
LIMITS = {"rows": 20_000, "logits": 300_000, "weights": 4_000_000, "work": 3e8}
UNIT = 2.0**-24

ROUTERS = (
    "score = softmax normalize = none",
    "score = softmax normalize = sum",
    "score = softmax normalize = softmax",
    "score = sigmoid normalize = sum",
    "score = sqrtsoftplus normalize = none",
)
SILU = """
      %one = arith.constant 1.0 : f32
      %minus = arith.negf %gate : f32
      %exp = math.exp %minus : f32
      %divisor = arith.addf %one, %exp : f32
      %act = arith.divf %gate, %divisor : f32"""
RELU = """
      %zero = arith.constant 0.0 : f32
      %act = arith.maximumf %gate, %zero : f32"""


@dataclasses.dataclass(frozen=True)
class Layer:
    """A gated layer, ``@main(x, logits, [valid], weights...)``.

    Attributes:
        sizes: S, T, E, K, H, I.
        dtype: Of x, of the weights and of the result.
        layout: "nk" or "kn".
        arrangement: Of gate and up: "two" weights, "concat" or "interleaved".
        scope: "token" or "sequence".
        router: Score and normalization.
        padded: Whether there is a mask of valid tokens.
        dynamic: Whether S and T are unknown to the compiler.
        whole: Whether data are small whole numbers and the activation is relu, so
            that all sums are exact.
        seed: Of the data.
    """

    sizes: dict[str, int]
    dtype: str
    layout: str
    arrangement: str
    scope: str
    router: str
    padded: bool
    dynamic: bool
    whole: bool
    seed: int

    def shape(self, letters: str) -> list[int]:
        return [self.sizes[letter] for letter in letters]

    @property
    def weight_shapes(self) -> dict[str, list[int]]:
        """The weights by name, in the order of the arguments."""
        e, h, i = self.shape("EHI")
        up = ("gate", "up") if self.arrangement == "two" else ("gate_up",)
        columns = i if self.arrangement == "two" else 2 * i
        shapes = {name: [e, columns, h] for name in up} | {"down": [e, h, i]}
        if self.layout == "kn":
            shapes = {name: [e, k, n] for name, (_, n, k) in shapes.items()}
        return shapes

    def text(self) -> str:
        e, k, h, i = self.shape("EKHI")
        s, t = self.shape("ST")
        batch = "?x?" if self.dynamic else f"{s}x{t}"
        pairs = "?" if self.dynamic else str(s * t * k)
        plan = f"!moe.plan<{batch}x{e}, rows {'max' if self.padded else '='} {pairs}>"
        x, logits = f"tensor<{batch}x{h}x{self.dtype}>", f"tensor<{batch}x{e}xf32>"
        hidden, rows = (f"tensor<{pairs}x{n}x{self.dtype}>" for n in (i, h))
        types = {
            name: f"tensor<{'x'.join(map(str, shape))}x{self.dtype}>"
            for name, shape in self.weight_shapes.items()
        }
        valid = f"%valid: tensor<{batch}xi1>" if self.padded else ""
        mask = f"valid({valid.replace(':', ' :')})" if self.padded else ""
        arguments = [f"%x: {x}", f"%logits: {logits}", *filter(None, [valid])]
        arguments += [
            f'%w_{name}: {kind} {{moe.param = "{name}"}}'
            for name, kind in types.items()
        ]
        up = [name for name in types if name != "down"]
        arrangement = "" if len(up) == 2 else f"arrangement = {self.arrangement}"
        rank = "{rank_logits}" if self.whole and self.scope == "sequence" else ""
        end, last = "", "f32"
        if self.dtype != "f32":
            end, last = (
                f"      %t = arith.truncf %r : f32 to {self.dtype}\n",
                self.dtype,
            )
        value = "%r" if self.dtype == "f32" else "%t"
        return f"""
  func.func @main({", ".join(arguments)}) -> {x} {{
    %plan, %gates = moe.route %logits {mask}
        top {k} scope = {self.scope} {self.router} {rank} : {logits}
    %h = moe.grouped_matmul %x by %plan
        weights({", ".join("%w_" + name for name in up)} :
                {", ".join(types[name] for name in up)})
        layout = {self.layout} {arrangement} : {x}, {plan} -> {hidden} {{
    ^bb0(%gate: f32, %up: f32):{RELU if self.whole else SILU}
      %r = arith.mulf %act, %up : f32
{end}      moe.yield {value} : {last}
    }}
    %o = moe.grouped_matmul %h by %plan weights(%w_down : {types["down"]})
        layout = {self.layout} : {hidden}, {plan} -> {rows} {{
    ^bb0(%r: f32):
{end}      moe.yield {value} : {last}
    }}
    %y = moe.combine %o by %plan gates(%gates : tensor<{pairs}xf32>) : {rows}, {plan}
    return %y : {x}
  }}"""


def random_layer(seed: int, dtype: str) -> Layer:
    """The layer of a seed: sizes from 1 to 300, most of them small or at edges."""
    draw = random.Random(seed)
    sizes = {letter: random_size(draw) for letter in "STEKHI"}
    sizes["E"], sizes["K"] = sorted((sizes["E"], sizes["K"]), reverse=True)
    while not _affordable(sizes):
        letter = draw.choice([name for name, size in sizes.items() if size > 1])
        sizes[letter] = draw.randint(1, sizes[letter] - 1)
        sizes["K"] = min(sizes["K"], sizes["E"])
    whole = draw.random() < 0.5
    return Layer(
        sizes=sizes,
        dtype=dtype,
        layout=draw.choice(["nk", "kn"]),
        arrangement=draw.choice(["two", "concat", "interleaved"]),
        scope=draw.choice(["token", "sequence"]),
        router="score = identity normalize = none" if whole else draw.choice(ROUTERS),
        padded=draw.random() < 0.3,
        dynamic=draw.random() < 0.5,
        whole=whole,
        seed=seed,
    )


def random_size(draw: random.Random) -> int:
    kinds = [draw.randint(1, 2), draw.choice(EDGES), draw.randint(1, 20)]
    return draw.choice([*kinds, draw.randint(1, MOST)])


def _affordable(sizes: dict[str, int]) -> bool:
    rows = sizes["S"] * sizes["T"] * sizes["K"]
    work = 3 * sizes["H"] * sizes["I"]
    costs = {
        "rows": rows,
        "logits": sizes["S"] * sizes["T"] * sizes["E"],
        "weights": sizes["E"] * work,
        "work": rows * work,
    }
    return all(cost <= LIMITS[name] for name, cost in costs.items())


def inputs_of(layer: Layer) -> list[Array]:
    """x, logits and, of a padded layer, which tokens are valid."""
    rng = np.random.default_rng(layer.seed)
    x, logits = layer.shape("STH"), layer.shape("STE")
    values: list[Array] = [rng.standard_normal(x), 2 * rng.standard_normal(logits)]
    if layer.whole:
        values = [rng.integers(-1, 2, x), rng.integers(-2, 3, logits)]
    inputs = [values[0].astype(DTYPES[layer.dtype]), values[1].astype(np.float32)]
    return inputs + [rng.random(layer.shape("ST")) < 0.7] * layer.padded


def weights_of(layer: Layer) -> dict[str, Array]:
    rng = np.random.default_rng([layer.seed, 1])
    weights = {}
    for name, shape in layer.weight_shapes.items():
        depth = shape[2 if layer.layout == "nk" else 1]
        values = rng.standard_normal(shape) / depth**0.5
        if layer.whole:
            values = rng.integers(-1, 2, shape) * rng.integers(0, 2, shape)
        weights[name] = values.astype(DTYPES[layer.dtype])
    return weights
