"""Gated layers of any size and rule, for the emulator and for the CPU."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import moe_mlir as moe
import numpy as np
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

    def text(self, batch: str = "?x?", pairs: str = "?", schedule: str = "") -> str:
        """``@main(x, logits[, valid], gate_up, down)``.

        Args:
            batch: S and T.
            pairs: R.
            schedule: Of both matmuls; none: as the compiler chooses.
        """
        element = {"bfloat16": "bf16", "float16": "f16"}[self.dtype]
        kind = f"max {pairs}" if self.padded else f"= {pairs}"
        plan = f"!moe.plan<{batch}x{self.E}, rows {kind}>"
        x = f"tensor<{batch}x{self.H}x{element}>"
        logits = f"tensor<{batch}x{self.E}xf32>"
        chosen = f"{{schedule = {schedule}}}" if schedule else ""
        types = {
            name: f"tensor<{'x'.join(map(str, value.shape))}x{element}>"
            for name, value in self.weights().items()
        }
        rows, hidden = (f"tensor<{pairs}x{n}x{element}>" for n in (self.H, self.I))
        argument = f", %valid: tensor<{batch}xi1>" if self.padded else ""
        valid = f" valid(%valid : tensor<{batch}xi1>)" if self.padded else ""
        return f"""
  func.func @main(%x: {x}, %logits: {logits}{argument},
                  %gu: {types["gate_up"]} {{moe.param = "gate_up"}},
                  %d: {types["down"]} {{moe.param = "down"}}) -> {x} {{
    %p, %g = moe.route %logits{valid} top {self.K} scope = {self.scope}
        score = {self.score} normalize = {self.normalize}
        {clause(dict(self.options))} : {logits}
    %h = moe.grouped_matmul %x by %p weights(%gu : {types["gate_up"]})
        layout = {self.layout} arrangement = concat {chosen}
        : {x}, {plan} -> {hidden} {{
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
        layout = {self.layout} {chosen} : {hidden}, {plan} -> {rows} {{
    ^bb0(%sum: f32):
      %t = arith.truncf %sum : f32 to {element}
      moe.yield %t : {element}
    }}
    %y = moe.combine %o by %p gates(%g : tensor<{pairs}xf32>) : {rows}, {plan}
    return %y : {x}
  }}"""


def compare(layer: Layer, models: tuple[Any, Any], kind: str, s: int, t: int) -> None:
    """Runs both with random rows, and logits of a kind."""
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


def compiled(
    layer: Layer, batch: str = "?x?", pairs: str = "?", schedule: str = ""
) -> tuple[Any, Any]:
    """The layer for the emulator, with `schedule`, and for the CPU."""
    weights = layer.weights()
    on_gpu = moe.Model.from_text(layer.text(batch, pairs, schedule), weights)
    on_cpu = moe.Model.from_text(layer.text(batch, pairs), weights)
    return on_gpu.compile(target="emulator"), on_cpu.compile()
