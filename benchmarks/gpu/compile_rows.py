"""How long the compiler takes for a layer, from text to PTX."""

from __future__ import annotations

import re
import time

from bars import Bars
from moe_mlir import _moe, gpu

from gpu.cases import LAYERS
from gpu.our_layer import layer_text
from gpu.peer import Shape

#: Seconds of a layer with one form of each matmul, and of every further form.
LAYER, FORM = 1.5, 0.7
ROUNDS = 3


def seconds(text: str, chip: str) -> tuple[float, int]:
    """Least seconds of the CPU, and how many matmuls were compiled."""
    times, ptx = [], b""
    for _ in range(ROUNDS):
        start = time.process_time()
        ptx = gpu.lower_gpu(_moe.Module.parse(text), gpu.check_chip(chip)).ptx
        times.append(time.process_time() - start)
    return min(times), len(re.findall(rb"\.entry grouped_matmul", ptx))


def compare(bars: Bars, chip: str) -> None:
    """One row a layer for one number of tokens, and one for any."""
    for layer in LAYERS:
        for tokens in (128, None):
            shape = Shape(tokens or 128, *layer)
            text = layer_text(shape)
            if tokens is None:
                text = any_tokens(text, shape)
            took, kernels = seconds(text, chip)
            bar = LAYER + FORM * (kernels - 2)
            what = f"E{shape.experts} T{tokens or '?'}: to PTX, {kernels} matmuls"
            bars.at_most(what, bar, took, " s")


def any_tokens(text: str, shape: Shape) -> str:
    """The same layer for any number of tokens."""
    text = text.replace(f"rows = {shape.pairs}>", "rows = ?>")
    for name in (f"1x{shape.tokens}x", f"tensor<{shape.pairs}x"):
        text = text.replace(name, "tensor<?x" if "tensor" in name else "1x?x")
    return text
