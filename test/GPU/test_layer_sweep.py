"""Whole layers of many sizes and rules on the emulator, under all its checks, agree
with the CPU but for rounding."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import moe_mlir as moe
import numpy as np
import pytest
from route_programs import clause
from routing_cases import random_logits

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Layer:
    """Sizes of a gated layer, and how it routes."""

    E: int
    K: int
    H: int
    I: int  # noqa: E741
    scope: str = "sequence"
    score: str = "softmax"
    normalize: str = "none"
    dtype: str = "bfloat16"
    layout: str = "nk"
    padded: bool = False
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        words = [f"E{self.E}-K{self.K}-H{self.H}-I{self.I}", self.scope, self.score]
        return "-".join([*words, self.layout, *(name for name, _ in self.options)])

    def weights(self) -> dict[str, Array]:
        random = np.random.default_rng(self.E)
        gate_up, down = (self.E, 2 * self.I, self.H), (self.E, self.H, self.I)
        if self.layout == "kn":
            gate_up, down = (
                (experts, depth, columns) for experts, columns, depth in (gate_up, down)
            )
        return {
            name: (random.standard_normal(shape) / shape[-1] ** 0.5).astype(self.dtype)
            for name, shape in (("gate_up", gate_up), ("down", down))
        }

    def text(self) -> str:
        """``@main(x, logits[, valid], gate_up, down)``."""
        element = {"bfloat16": "bf16", "float16": "f16"}[self.dtype]
        kind = "max ?" if self.padded else "= ?"
        plan = f"!moe.plan<?x?x{self.E}, rows {kind}>"
        x, logits = f"tensor<?x?x{self.H}x{element}>", f"tensor<?x?x{self.E}xf32>"
        types = {
            name: f"tensor<{'x'.join(map(str, value.shape))}x{element}>"
            for name, value in self.weights().items()
        }
        rows, hidden = (f"tensor<?x{n}x{element}>" for n in (self.H, self.I))
        argument = ", %valid: tensor<?x?xi1>" if self.padded else ""
        valid = " valid(%valid : tensor<?x?xi1>)" if self.padded else ""
        return f"""
  func.func @main(%x: {x}, %logits: {logits}{argument},
                  %gu: {types["gate_up"]} {{moe.param = "gate_up"}},
                  %d: {types["down"]} {{moe.param = "down"}}) -> {x} {{
    %p, %g = moe.route %logits{valid} top {self.K} scope = {self.scope}
        score = {self.score} normalize = {self.normalize}
        {clause(dict(self.options))} : {logits}
    %h = moe.grouped_matmul %x by %p weights(%gu : {types["gate_up"]})
        layout = {self.layout} arrangement = concat : {x}, {plan} -> {hidden} {{
    ^bb0(%gate: f32, %up: f32):
      %one = arith.constant 1.0 : f32
      %n = arith.negf %gate : f32
      %e = math.exp %n : f32
      %s = arith.addf %e, %one : f32
      %q = arith.divf %gate, %s : f32
      %v = arith.mulf %q, %up : f32
      %t = arith.truncf %v : f32 to {element}
      moe.yield %t : {element}
    }}
    %o = moe.grouped_matmul %h by %p weights(%d : {types["down"]})
        layout = {self.layout} : {hidden}, {plan} -> {rows} {{
    ^bb0(%sum: f32):
      %t = arith.truncf %sum : f32 to {element}
      moe.yield %t : {element}
    }}
    %y = moe.combine %o by %p gates(%g : tensor<?xf32>) : {rows}, {plan}
    return %y : {x}
  }}"""


BOUNDS = (("floor", 1), ("cap", 4))
GROUPS = (("groups", (8, 3, "top2_sum")), ("scale", 2.5))
LAYERS = [
    Layer(3, 1, 24, 8),
    Layer(60, 4, 37, 21, score="sigmoid", normalize="sum", dtype="float16"),
    Layer(96, 8, 40, 100, scope="token", layout="kn"),
    Layer(16, 3, 130, 50, options=BOUNDS, padded=True),
    Layer(64, 8, 64, 33, score="sigmoid", options=GROUPS, layout="kn"),
    Layer(128, 22, 16, 16, normalize="softmax", dtype="float16"),
    Layer(288, 6, 33, 24, scope="token", score="sqrtsoftplus", normalize="sum"),
    Layer(384, 8, 24, 16, padded=True),
]


def compare(layer: Layer, models: tuple[Any, Any], kind: str, s: int, t: int) -> None:
    random = np.random.default_rng(s * 1000 + t)
    x = random.standard_normal((s, t, layer.H)).astype(layer.dtype)
    logits = random_logits(kind, random, s, t, layer.E)
    inputs = [x, logits]
    if layer.padded:
        inputs.append(random.random((s, t)) < 0.7)
    got, want = (model(*inputs).astype(float) for model in models)
    # Rounded three times: after each matmul, and at the end.
    scale = np.nanmax(np.abs(want), initial=0.0, where=np.isfinite(want))
    bound = 3 * float(ml_dtypes.finfo(layer.dtype).eps) * scale
    np.testing.assert_allclose(got, want, rtol=0, atol=bound, equal_nan=True)


def compiled(layer: Layer) -> tuple[Any, Any]:
    model = moe.Model.from_text(layer.text(), layer.weights())
    return model.compile(target="emulator"), model.compile()


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_layers(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """From no token to more than a tile of rows; ties, one expert, rows of NaN."""
    monkeypatch.setenv("PTX_CHECK", "all")
    monkeypatch.setenv("PTX_FINDINGS", "error")
    models = compiled(layer)
    sizes = [
        ("normal", 1, 1),
        ("normal", 2, 17),
        ("equal", 1, 2),
        ("one_expert", 1, 40),
        ("specials", 2, 9),
        ("normal", 1, 0),
    ]
    for seed, (kind, s, t) in enumerate(sizes):
        if seed:
            monkeypatch.setenv("PTX_SEED", str(seed))
        compare(layer, models, kind, s, t)


def test_checks_are_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables above reach the emulator, launch by launch."""
    models = compiled(LAYERS[0])
    compare(LAYERS[0], models, "normal", 1, 3)
    monkeypatch.setenv("PTX_CHECK", "everything")
    with pytest.raises(moe.MoEError, match="cuLaunchKernel.*CUDA_ERROR_INVALID_VALUE"):
        compare(LAYERS[0], models, "normal", 1, 3)


@pytest.mark.long
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_long_layers(layer: Layer) -> None:
    """As many tokens as models are given at once."""
    models = compiled(layer)
    for kind, s, t in [("normal", 1, 128), ("two", 3, 1000), ("normal", 1, 4096)]:
        compare(layer, models, kind, s, t)
