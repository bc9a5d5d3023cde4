"""The PTX emulator: speed, what checks and counters cost, threads, parsing, memory.

The kernels are those of test/PTX/cuda, compiled by the installed nvcc for sm_80: a
matrix product in shared memory, a softmax, and a product by mma.sync on bf16.

usage: python benchmarks/bench_ptx.py
"""

import dataclasses
import functools
import multiprocessing
import multiprocessing.connection
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from bars import Bars
from moe_mlir import ptx
from timing import cpu_clock, interleaved, ratio, seconds, undisturbed

TESTS = pathlib.Path(__file__).resolve().parent.parent / "test" / "PTX"
sys.path.insert(0, str(TESTS))
from foreign import nvcc  # noqa: E402 - found by the line above

ROUNDS = 9
CHECKED_ROUNDS = 5
MILLION = 1e6


@dataclasses.dataclass
class Work:
    """A launch that can be repeated."""

    name: str
    source: str
    kernel: str
    grid: tuple[int, int, int]
    block: int
    args: list[Any]
    flop: float = 0.0

    def compile(self, cache: pathlib.Path) -> "Runner":
        text = nvcc.compile_source(self.source, "sm_80", "O3", cache)
        return Runner(self, ptx.Module(text, self.source))


@dataclasses.dataclass
class Runner:
    """A launch with its module."""

    work: Work
    module: ptx.Module

    def run(self, **options: Any) -> ptx.Result:
        settings = {"counters": False, "check": frozenset(), "tensor": "fast"}
        work = self.work
        result = self.module.launch(
            work.kernel, work.grid, work.block, work.args, **(settings | options)
        )
        assert not result.findings, result.findings[0]
        return result


def product(n: int = 256) -> Work:
    a, b = np.random.default_rng(1).standard_normal((2, n, n)).astype(np.float32)
    args = [a.copy(), b.copy(), np.zeros((n, n), np.float32), *[np.int32(n)] * 3]
    grid = (n // 32, n // 32, 1)
    return Work("shared-memory product", "tiles.cu", "sgemm", grid, 256, args)


def softmax(rows: int = 8192, columns: int = 256) -> Work:
    x = np.random.default_rng(1).standard_normal((rows, columns)).astype(np.float32)
    args = [x, np.zeros_like(x), np.int32(rows), np.int32(columns)]
    return Work("softmax", "rows.cu", "softmax_warp", (rows // 4, 1, 1), 128, args)


def tensor_product(m: int = 512, n: int = 512, k: int = 512) -> Work:
    random = np.random.default_rng(1)
    a = random.standard_normal((m, k)).astype(ml_dtypes.bfloat16)
    b = random.standard_normal((k, n)).astype(ml_dtypes.bfloat16)
    args = [a, b, np.zeros((m, n), np.float32), *map(np.int32, (m, n, k))]
    grid = (n // 64, m // 64, 1)
    flop = 2.0 * m * n * k
    return Work("bf16 mma.sync product", "mma.cu", "gemm_bf16", grid, 128, args, flop)


def rate_of(bars: Bars, amount: float, run: Callable[[], object]) -> float:
    """Amount a second, by the median of the runs that had the core alone."""
    times = undisturbed(run, ROUNDS)
    if len(times) < ROUNDS:
        bars.note(f"another user of the core left {len(times)} of {ROUNDS} runs")
    return amount / float(np.median(times)) if len(times) else float("nan")


def speed(bars: Bars, runners: dict[str, Runner]) -> None:
    """Lane-instructions and floating-point operations a second, on one core."""
    for name, bar in (("product", 500), ("softmax", 1500)):
        runner = runners[name]
        lanes = runner.run(counters=True).counters["lane_inst"]
        rate = rate_of(bars, lanes / MILLION, runner.run)
        bars.at_least(f"{runner.work.name}, lane-instructions", bar, rate, " M/s")
    runner = runners["tensor"]
    for mode, bar in MODES.items():
        run = functools.partial(runner.run, tensor=mode)
        rate = rate_of(bars, runner.work.flop / 1e9, run)
        bars.at_least(f"{runner.work.name}, {mode}", bar, rate, " GFLOP/s")


MODES = {"fast": 20, "exact": 3}
COSTS: dict[str, tuple[float, dict[str, Any]]] = {
    "counters": (1.5, {"counters": True}),
    "counters and caches": (5, {"cache_model": True}),
    "bounds and poison checks": (2.5, {"check": {"bounds", "poison"}}),
    "race check": (8, {"check": {"race"}}),
}


def costs(bars: Bars, runners: dict[str, Runner]) -> None:
    """What counting and checking cost: ratios within rounds."""
    for runner in runners.values():
        functions: dict[str, Any] = {"plain": runner.run}
        for name, (_, options) in COSTS.items():
            functions[name] = lambda o=options, r=runner: r.run(**o)
        times = interleaved(functions, CHECKED_ROUNDS, cpu_clock)
        for name, (bar, _) in COSTS.items():
            value = ratio(times, name, "plain")[0]
            bars.at_most(f"{runner.work.name}, {name}", bar, value, " x")


def serve(connection: multiprocessing.connection.Connection, folder: str) -> None:
    """A process that runs half of the work whenever it is asked."""
    half = softmax(rows=4096).compile(pathlib.Path(folder))
    while connection.recv():
        half.run()
        connection.send(True)


def threads(bars: Bars, folder: pathlib.Path) -> None:
    """Two threads on one grid, beside two processes on half of it each."""
    whole = softmax(rows=8192).compile(folder)
    context = multiprocessing.get_context("spawn")
    pipes = []
    for _ in range(2):
        mine, other = context.Pipe()
        process = context.Process(target=serve, args=(other, str(folder)), daemon=True)
        process.start()
        pipes.append(mine)

    def processes() -> None:
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()

    functions = {"threads": lambda: whole.run(threads=2), "processes": processes}
    times = interleaved(functions, 2 * ROUNDS)
    value = ratio(times, "processes", "threads")[0]
    bars.at_least("two threads, of what two processes reach", 0.85, value, " x")
    for pipe in pipes:
        pipe.send(False)


def parsing(bars: Bars, folder: pathlib.Path) -> None:
    """Text to a module that can be launched."""
    sources = ("grouped_matmul.cu", "calls.cu", "mma.cu", "floats.cu", "wmma.cu")
    texts = [nvcc.compile_source(name, "sm_90a", "O3", folder) for name in sources]
    size = sum(map(len, texts))

    def parse() -> None:
        for text in texts:
            ptx.Module(text)

    rate = rate_of(bars, size / MILLION, parse)
    bars.at_least(f"parse {size / MILLION:.1f} MB of nvcc", 20, rate, " MB/s")


MEMORY_BUFFERS = 256 << 20
# Its own process, so that the largest size is that of one launch.
MEMORY_PROGRAM = """
import pathlib, resource, sys
sys.path[:0] = {path!r}
import numpy, bench_ptx
work = bench_ptx.softmax(rows=32)
x = numpy.ones(({bytes} // 2048, 256), numpy.float32)
work.args[:3] = [x, numpy.zeros_like(x), numpy.int32(len(x))]
work.grid = (len(x) // 4, 1, 1)
work.compile(pathlib.Path({folder!r})).run(check={check!r})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(bars: Bars, folder: pathlib.Path) -> None:
    """The largest resident size of a process that launches on large buffers."""
    size = MEMORY_BUFFERS >> 20
    allowed = {"none": size + 200, "all": 3 * size}
    checks = {"none": set(), "all": {"bounds", "poison", "race", "async"}}
    for name, check in checks.items():
        program = MEMORY_PROGRAM.format(
            path=[str(pathlib.Path(__file__).parent), *sys.path],
            bytes=MEMORY_BUFFERS,
            folder=str(folder),
            check=check,
        )
        command = [sys.executable, "-c", program]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        what = f"memory, {size} MB of buffers, checks: {name}"
        bars.at_most(what, allowed[name], int(run.stdout) / 1024, " MB")


def main() -> None:
    bars = Bars("PTX emulator")
    if not nvcc.compiler():
        sys.exit("bench_ptx needs nvcc: its kernels are CUDA sources")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        works = {"product": product(), "softmax": softmax(), "tensor": tensor_product()}
        runners = {key: work.compile(folder) for key, work in works.items()}
        bars.note(f"first launch {seconds(runners['product'].run) * 1e3:.0f} ms")
        speed(bars, runners)
        costs(bars, runners)
        threads(bars, folder)
        parsing(bars, folder)
        memory(bars, folder)
    bars.exit()


if __name__ == "__main__":
    main()
