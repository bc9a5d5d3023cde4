"""Runs random layers between guard pages and compares what they compute.

usage: python run_layers.py CPU BEGIN END [STEP]

Layers BEGIN, BEGIN + STEP ... are compiled for CPU. Every buffer of the first run
(one thread) ends where the next access kills the process, and every buffer of the
second (two threads) begins there: inputs, weights, packed weights, results and what
compiled code allocates. Code for any S and T is also run without tokens.
Each layer is named before it runs, so the last line of a run that was killed names its
layer.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import sys
from typing import Literal

import moe_mlir as moe
import numpy as np
from guarded import guarded
from layer_bounds import expected
from matmul_programs import DTYPES
from moe_mlir import _moe
from moe_mlir.cpu import Lowered, lower
from random_layers import Array, Layer, inputs_of, random_layer, weights_of

Side = Literal["start", "end"]


def execute(
    lowered: Lowered,
    code: bytes,
    inputs: list[Array],
    weights: dict[str, Array],
    threads: int,
    side: Side,
) -> Array:
    """The result of @main between guard pages."""
    executable = _moe.Executable(code, lowered.cpu, threads, side)
    given = iter([guarded(value, side) for value in inputs])
    stored = {name: guarded(value, side) for name, value in weights.items()}
    arguments = []
    for argument in lowered.functions["main"].arguments:
        if argument.packed:
            pack = lowered.functions[argument.packed["function"]]
            sources = [stored[str(source.param)] for source in pack.arguments]
            results = [result.result for result in pack.results]
            arguments.append(executable.call(pack.name, sources, results)[0])
        elif argument.param:
            arguments.append(stored[argument.param])
        else:
            arguments.append(next(given))
    results = [result.result for result in lowered.functions["main"].results]
    return executable.call("main", arguments, results)[0].copy()


def check(layer: Layer, cpu: str) -> None:
    """Compiles a layer, runs it twice, and compares the results."""
    inputs, weights = inputs_of(layer), weights_of(layer)
    lowered = lower(_moe.Module.parse(layer.text(), "layer.mlir"), cpu)
    code = lowered.machine_code()
    one = execute(lowered, code, inputs, weights, 1, "end")
    two = execute(lowered, code, inputs, weights, 2, "start")
    assert one.tobytes() == two.tobytes(), "the number of threads changes bits"
    if layer.dynamic:
        empty = dataclasses.replace(
            layer, sizes=layer.sizes | {"ST"[layer.seed % 2]: 0}
        )
        none = execute(lowered, code, inputs_of(empty), weights, 2, "end")
        assert list(none.shape) == empty.shape("STH"), "no token, but a result"
    want, error = expected(layer, inputs, weights)
    got = one.astype(np.float64)
    wrong = ~(abs(got - want) <= error) & (got != want)
    assert not wrong.any(), _describe(got, want, error, wrong)


def _describe(got: Array, want: Array, error: Array, wrong: Array) -> str:
    at = tuple(np.argwhere(wrong)[0])
    return (
        f"{wrong.sum()} of {wrong.size} elements are wrong; at {list(map(int, at))} "
        f"{got[at]} is not within {error[at]} of {want[at]}"
    )


def main() -> None:
    faulthandler.enable()
    cpu, begin, *rest = sys.argv[1:]
    for seed in range(int(begin), *map(int, rest)):
        layer = random_layer(seed, list(DTYPES)[seed % len(DTYPES)])
        print(f"{cpu}: {layer}", flush=True)
        try:
            check(layer, cpu)
        except (AssertionError, moe.MoEError) as error:
            sys.exit(f"{type(error).__name__}: {error}")
    print("passed", flush=True)


if __name__ == "__main__":
    main()
