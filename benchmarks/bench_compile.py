"""How long a layer takes to compile, and to come from the compile cache.

usage: python benchmarks/bench_compile.py

The OLMoE block of transformers, imported, in a process that has compiled nothing: until
the code is loaded, and in brackets until its first token has come out. Packing weights
is not compiling and is left out. Median of several processes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import moe_mlir as moe
import torch
from bars import Bars
from olmoe import HIDDEN, make_block

COLD, CACHED = 0.3, 0.010
PROCESSES = 5

PROGRAM = """
import sys, time
import numpy as np
from moe_mlir import _moe
from moe_mlir.cpu import load_module
from moe_mlir.arrays import numpy_dtype

module = _moe.Module.parse(open(sys.argv[1]).read())
start = time.perf_counter()
loaded = load_module(module, "host", sys.argv[2])
done = time.perf_counter()
main = loaded.machine_code.functions()["main"]
zeros = [
    np.zeros([size or 1 for size in spec.shape], numpy_dtype(spec.dtype, spec.name))
    for spec in main.arguments
]
before = time.perf_counter()
loaded.code.call("main", zeros, [spec.result for spec in main.results])
print(done - start, done - start + time.perf_counter() - before)
"""


def seconds(module: Path, cache: str) -> tuple[float, float]:
    """Until the code is loaded, and until it has run."""
    taken = []
    for _ in range(PROCESSES):
        command = [sys.executable, "-c", PROGRAM, str(module), cache]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        taken.append([float(word) for word in done.stdout.split()])
    loaded, ran = (statistics.median(column) for column in zip(*taken, strict=True))
    return loaded, ran


def main() -> None:
    bars = Bars("Compiling the OLMoE block for this CPU")
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        example = torch.zeros(1, 128, HIDDEN, dtype=dtype)
        model = moe.from_torch(make_block(dtype), (example,))
        for scope in ("token", "sequence"):
            with tempfile.TemporaryDirectory() as folder:
                module = Path(folder, "model.mlir")
                module.write_text(model.with_scope(scope).mlir)
                cold, cold_ran = seconds(module, "off")
                seconds(module, folder)
                cached, cached_ran = seconds(module, folder)
            what = f"{name}, {scope}"
            bars.below(f"compile, {what} ({cold_ran:.2f})", COLD, cold, " s")
            bars.below(
                f"from the cache, {what} ({1e3 * cached_ran:.1f})",
                1e3 * CACHED,
                1e3 * cached,
                " ms",
            )
    bars.exit()


if __name__ == "__main__":
    main()
