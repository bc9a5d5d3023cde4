"""Compares builds and schedules of the CPU code generator, piece by piece.

usage: python benchmarks/compare_cpu.py NAME=PYTHONPATH[,FIELD=VALUE...] ...
           [--pieces layer,up,down,combine,route] [--tokens 1,16,128,1024]
           [--dtypes f32,bf16] [--shape H,I,E,K] [--cpu NAME] [--seconds N] [--zipf A]

Each variant is a build, by the folder that holds its moe_mlir, and fields of the
schedule that are written over what the build chose, such as rows=8. A variant with
static=1 is compiled for the numbers of tokens one by one; one with pages=small has its
weights in small pages. All are loaded into one
process and called in turns on the same arguments; what is printed is the median time
of the first, and first / other with its 95 % interval: above 1 the other is faster.
Results are compared. Few tokens choose other experts in each call, so that no weight
comes from a cache. One thread; the time is that of the CPU.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from cpu_pieces import DTYPES, PIECES, Data, Shape, program
from timing import Times, cpu_clock, interleaved, median_interval, ratio

#: Of LLVM's optimiser, as for models.
LEVEL = 2
PR_SET_THP_DISABLE = 41


def emit(request: dict[str, Any]) -> None:
    """Writes the object of each text of a request to its file."""
    from moe_mlir import _moe

    for text, file in zip(request["texts"], request["files"], strict=True):
        module = _moe.Module.parse(text, "piece.mlir")
        if request["fields"]:
            module.run(f"moe-choose-schedule{{cpu={request['cpu']}}}")
            text = module.print()
            for name, value in request["fields"].items():
                text = overwrite(text, name, value)
            module = _moe.Module.parse(text, "piece.mlir")
        module.run(f"moe-cpu-pipeline{{cpu={request['cpu']}}}")
        Path(file).write_bytes(module.object(request["cpu"], LEVEL))


def overwrite(text: str, name: str, value: str) -> str:
    """A field of the schedules of the grouped matmuls of a module."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        if "grouped_matmul" not in line:
            continue
        for j in range(i, len(lines)):
            lines[j], found = re.subn(
                rf"\b{name} = [^,>]*", f"{name} = {value}", lines[j]
            )
            if found:
                break
    return "\n".join(lines)


class Variant:
    """A build and what is changed in its schedules."""

    def __init__(self, spec: str, cpu: str) -> None:
        self.name, _, rest = spec.partition("=")
        self.path, *fields = rest.split(",")
        self.fields = dict(field.split("=") for field in fields)
        self.static = bool(self.fields.pop("static", ""))
        self.small_pages = self.fields.pop("pages", "") == "small"
        self.cpu = cpu

    def objects(self, texts: list[str], folder: str) -> list[bytes]:
        files = [f"{folder}/{self.name}.{i}.o" for i in range(len(texts))]
        request = {
            "texts": texts,
            "files": files,
            "fields": self.fields,
            "cpu": self.cpu,
        }
        environment = os.environ | {"PYTHONPATH": self.path}
        command = [sys.executable, __file__, "--emit"]
        subprocess.run(
            command, input=json.dumps(request), text=True, env=environment, check=True
        )
        return [Path(file).read_bytes() for file in files]


@contextlib.contextmanager
def small_pages(wanted: bool) -> Iterator[None]:
    """Memory that is first written within has small pages."""
    call = ctypes.CDLL(None).prctl
    call(PR_SET_THP_DISABLE, int(wanted), 0, 0, 0)
    yield
    call(PR_SET_THP_DISABLE, 0, 0, 0, 0)


class Loaded:
    """A piece of a variant in this process, with its packed weights."""

    def __init__(self, code: bytes, cpu: str, data: Data, piece: str) -> None:
        from moe_mlir import _moe

        self.code = _moe.Executable(code, cpu, 1)
        self.results = data.results(piece)
        packed = [(DTYPES[data.shape.dtype], 4)]
        self.weights = [
            self.code.call(f"main.pack.{i}", [weight], packed)[0]
            for i, weight in enumerate(data.packed(piece))
        ]

    def call(self, arguments: list[Any]) -> list[Any]:
        return self.code.call("main", [*arguments, *self.weights], self.results)


class Rotating:
    """Calls a piece with the next of some sets of arguments in each call."""

    def __init__(self, loaded: Loaded, sets: list[list[Any]]) -> None:
        self.loaded, self.sets, self.at = loaded, sets, 0

    def __call__(self) -> None:
        self.loaded.call(self.sets[self.at % len(self.sets)])
        self.at += 1


def argument_sets(data: Data, piece: str, tokens: int, zipf: float) -> list[list[Any]]:
    """As many as there are before an expert comes back, at least two."""
    count = max(data.shape.experts // (tokens * data.shape.k), 2)
    return [data.arguments(piece, data.choice(tokens, i, zipf)) for i in range(count)]


def check_equal(variants: dict[str, Loaded], arguments: list[Any], what: str) -> None:
    (first, expected), *others = (
        (name, one.call(arguments)[-1].astype(np.float64))
        for name, one in variants.items()
    )
    scale = abs(expected).max() or 1
    for name, value in others:
        error = abs(value - expected).max() / scale
        if not error < 1e-2:
            raise SystemExit(f"{what}: {name} differs from {first} by {error:.1e}")


def rounds_for(runs: dict[str, Callable[[], object]], seconds: float) -> int:
    """Rounds that take about so many seconds, at least nine."""
    once = sum(interleaved(runs, 1, cpu_clock)[name][0] for name in runs)
    return int(np.clip(seconds / once, 9, 2000))


def report(what: str, times: Times, shape: Shape, piece: str, tokens: int) -> None:
    first, *others = times
    median, _, _ = median_interval(times[first])
    rate = shape.operations(piece, tokens) / median / 1e9
    line = f"{what:<26}{first} {median * 1e3:9.3f} ms {rate:7.1f} GFLOP/s"
    for other in others:
        value, low, high = ratio(times, first, other)
        line += f"   {first}/{other} {value:.3f} ({low:.3f} to {high:.3f})"
    print(line, flush=True)


def compare(
    variants: list[Variant], data: Data, piece: str, options: argparse.Namespace
) -> None:
    tokens = [int(t) for t in options.tokens.split(",")]
    loaded: dict[int, dict[str, Loaded]] = {t: {} for t in tokens}
    with tempfile.TemporaryDirectory() as folder:
        for variant in variants:
            sizes = tokens if variant.static else [None]
            texts = [program(piece, data.shape, size) for size in sizes]
            codes = variant.objects(texts, folder)
            with small_pages(variant.small_pages):
                made = [Loaded(code, options.cpu, data, piece) for code in codes]
            for i, t in enumerate(tokens):
                loaded[t][variant.name] = made[i if variant.static else 0]
    for t in tokens:
        sets = argument_sets(data, piece, t, options.zipf)
        what = f"{data.shape.dtype} {piece} T = {t}"
        check_equal(loaded[t], sets[0], what)
        runs: dict[str, Callable[[], object]]
        runs = {name: Rotating(one, sets) for name, one in loaded[t].items()}
        times = interleaved(runs, rounds_for(runs, options.seconds), cpu_clock)
        report(what, times, data.shape, piece, t)


def main() -> None:
    if sys.argv[1:] == ["--emit"]:
        return emit(json.loads(sys.stdin.read()))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("variants", nargs="+", metavar="NAME=PYTHONPATH[,FIELD=VALUE]")
    parser.add_argument("--pieces", default="layer")
    parser.add_argument("--tokens", default="1,4,16,64,128,512,1024,4096")
    parser.add_argument("--dtypes", default="f32,bf16")
    parser.add_argument("--shape", default="1024,512,64,8", help="H,I,E,K")
    parser.add_argument("--cpu", default="host")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--zipf", type=float, default=0)
    options = parser.parse_args()
    for piece in options.pieces.split(","):
        if piece not in PIECES:
            parser.error(f"unknown piece {piece}; there are {', '.join(PIECES)}")
    variants = [Variant(spec, options.cpu) for spec in options.variants]
    sys.path.insert(0, variants[0].path)
    with contextlib.suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for dtype in options.dtypes.split(","):
        hidden, inner, experts, k = map(int, options.shape.split(","))
        data = Data(Shape(hidden, inner, experts, k, dtype))
        for piece in options.pieces.split(","):
            compare(variants, data, piece, options)


if __name__ == "__main__":
    main()
