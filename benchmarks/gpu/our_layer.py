"""Our layer from logits to output, compiled and counted launch by launch.

The emulator's driver runs the host program as it is and writes down what every launch
counted, so that the launches are those of the product.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np
from moe_mlir import _moe, gpu
from moe_mlir.device_array import DeviceArray
from moe_mlir.gpu_model import CompiledGPUModel
from moe_mlir.limits import Limits

from gpu.counted import Counted
from gpu.peer import BF16, Shape

# The driver reads the environment at its first launch.
_FOLDER = tempfile.TemporaryDirectory(prefix="counters-")
_COUNTERS = Path(_FOLDER.name, "launches.jsonl")
os.environ["PTX_COUNTERS"] = str(_COUNTERS)
os.environ["PTX_TENSOR"] = "fast"


def layer_text(shape: Shape, scope: str = "token") -> str:
    """``@main(x, logits, gate_up, down)``: a gated layer with SiLU in bf16.

    One sequence; `shape` is that of the peer's layer.
    """
    t, e, h, i = shape.tokens, shape.experts, shape.hidden, shape.intermediate
    x, logits = f"tensor<1x{t}x{h}xbf16>", f"tensor<1x{t}x{e}xf32>"
    pairs = shape.pairs
    plan = f"!moe.plan<1x{t}x{e}, rows = {pairs}>"
    gate_up, down = f"tensor<{e}x{2 * i}x{h}xbf16>", f"tensor<{e}x{h}x{i}xbf16>"
    narrow, rows = f"tensor<{pairs}x{i}xbf16>", f"tensor<{pairs}x{h}xbf16>"
    return f"""
  func.func @main(%x: {x}, %logits: {logits},
                  %gu: {gate_up} {{moe.param = "gate_up"}},
                  %d: {down} {{moe.param = "down"}}) -> {x} {{
    %p, %g = moe.route %logits top {shape.chosen} scope = {scope} score = softmax
        normalize = sum : {logits}
    %r = moe.dispatch %x by %p : {x}, {plan}
    %h = moe.grouped_matmul %r by %p weights(%gu : {gate_up}) layout = nk
        arrangement = concat : {rows}, {plan} -> {narrow} {{
    ^bb0(%gate: f32, %up: f32):
      %one = arith.constant 1.0 : f32
      %n = arith.negf %gate : f32
      %e = math.exp %n : f32
      %s = arith.addf %e, %one : f32
      %q = arith.divf %gate, %s : f32
      %v = arith.mulf %q, %up : f32
      %t = arith.truncf %v : f32 to bf16
      moe.yield %t : bf16
    }}
    %o = moe.grouped_matmul %h by %p weights(%d : {down}) layout = nk
        : {narrow}, {plan} -> {rows} {{
    ^bb0(%sum: f32):
      %t = arith.truncf %sum : f32 to bf16
      moe.yield %t : bf16
    }}
    %y = moe.combine %o by %p gates(%g : tensor<{pairs}xf32>) : {rows}, {plan}
    return %y : {x}
  }}"""


def route_text(
    tokens: int, experts: int, chosen: int, scope: str, sequences: int = 1
) -> str:
    """``@main(logits)``: a routing alone."""
    logits = f"tensor<{sequences}x{tokens}x{experts}xf32>"
    pairs = sequences * tokens * chosen
    # Token offsets are a constant in token scope, and so no result of a kernel.
    fields = {
        "expert_offsets": f"tensor<{experts + 1}xi32>",
        "row_token": f"tensor<{pairs}xi32>",
        "token_row": f"tensor<{pairs}xi32>",
    }
    plan = f"!moe.plan<{sequences}x{tokens}x{experts}, rows = {pairs}>"
    taken = "\n    ".join(
        f"%{name} = moe.plan_field %p {name} : {plan}" for name in fields
    )
    results = ", ".join([*fields.values(), f"tensor<{pairs}xf32>"])
    values = ", ".join([*(f"%{name}" for name in fields), "%g"])
    return f"""
  func.func @main(%logits: {logits}) -> ({results}) {{
    %p, %g = moe.route %logits top {chosen} scope = {scope} score = softmax
        normalize = sum : {logits}
    {taken}
    return {values} : {results}
  }}"""


@dataclasses.dataclass
class OurLayer:
    """A compiled program on the emulator.

    Attributes:
        model: It, with weights on the device.
    """

    model: CompiledGPUModel

    def run(self, *inputs: np.ndarray) -> tuple[np.ndarray, list[Counted]]:
        """The first result, and what each launch counted."""
        _COUNTERS.write_text("")
        made = self.model(*inputs)
        lines = _COUNTERS.read_text().splitlines()
        counted = [Counted.from_line(line, self.model.ptx) for line in lines]
        return made[0] if isinstance(made, tuple) else made, counted


def compile_text(
    text: str, chip: str = "sm_80", weights: dict[str, np.ndarray] | None = None
) -> OurLayer:
    """Compiles a module for the emulator.

    Args:
        weights: By name; a missing one is device memory that nothing was written to,
            which reads as zero and takes no memory of the host.
    """
    device = gpu.open_device("emulator")
    lowered = gpu.lower_gpu(_moe.Module.parse(text), gpu.check_chip(chip))
    placed: dict[str, DeviceArray | np.ndarray] = dict(weights or {})
    for spec in lowered.functions["main"].arguments:
        if spec.param and spec.param not in placed:
            sizes = tuple(int(size) for size in spec.shape)
            placed[spec.param] = DeviceArray.empty(device, sizes, BF16)
    return OurLayer(CompiledGPUModel(lowered, placed, Limits(1, ()), device))
