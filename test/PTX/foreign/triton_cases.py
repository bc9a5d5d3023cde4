"""Answers for the Triton kernels, and the sizes they are compiled with."""

import collections.abc
import dataclasses
import functools
from typing import Any

import numpy as np
import triton
from triton.backends.compiler import GPUTarget

from foreign import triton_kernels
from foreign.case import BFLOAT, Case, bits

POINTERS = {
    np.dtype(np.float32): "*fp32",
    np.dtype(np.float16): "*fp16",
    np.dtype(BFLOAT): "*bf16",
    np.dtype(np.int32): "*i32",
    np.dtype(np.uint32): "*u32",
}


@dataclasses.dataclass(frozen=True)
class Compiled:
    """The PTX of a Triton kernel and what its launch needs."""

    ptx: str
    kernel: str
    threads: int
    shared: int
    scratch: int


@dataclasses.dataclass(frozen=True)
class TritonKernel:
    """A Triton kernel at one choice of its constants."""

    name: str
    function: str
    constants: tuple[tuple[str, Any], ...]
    build: collections.abc.Callable[[np.random.Generator], Case]
    warps: int = 4
    stages: int = 3
    sm: int = 80

    def case(self, seed: int = 1) -> Case:
        """A fresh launch; its grid is given, its block is not known yet."""
        return self.build(np.random.default_rng(seed))

    def signature(self, case: Case) -> tuple[dict[str, str], dict[Any, Any]]:
        """The types of the parameters, and which are multiples of 16."""
        constants = dict(self.constants)
        names = getattr(triton_kernels, self.function).arg_names
        given = [name for name in names if name not in constants]
        types, multiples = {}, {}
        for name, argument in zip(given, case.args, strict=True):
            if isinstance(argument, np.ndarray):
                types[name] = POINTERS[argument.dtype]
                whole = True
            elif isinstance(argument, np.integer):
                types[name], whole = "i32", int(argument) % 16 == 0
            else:
                types[name], whole = "fp32", False
            if whole:
                multiples[(names.index(name),)] = [["tt.divisibility", 16]]
        types |= dict.fromkeys(constants, "constexpr")
        return {name: types[name] for name in names}, multiples


@functools.cache
def compile_kernel(kernel: TritonKernel, sm: int) -> Compiled:
    """Compiles for sm_80 or sm_90, without a GPU."""
    types, multiples = kernel.signature(kernel.case())
    function = getattr(triton_kernels, kernel.function)
    source = triton.compiler.ASTSource(
        fn=function,
        signature=types,
        constexprs=dict(kernel.constants),
        attrs=multiples,
    )
    options = {"num_warps": kernel.warps, "num_stages": kernel.stages}
    made = triton.compile(source, target=GPUTarget("cuda", sm, 32), options=options)
    scratch = getattr(made.metadata, "global_scratch_size", 0) or 0
    return Compiled(
        made.asm["ptx"],
        made.metadata.name,
        made.metadata.num_warps * 32,
        made.metadata.shared,
        scratch,
    )


KERNELS: dict[str, TritonKernel] = {}
Builder = collections.abc.Callable[[np.random.Generator], Case]


def register(build: Builder, name: str, **options: Any) -> None:
    fields = {field.name for field in dataclasses.fields(TritonKernel)}
    known = {key: options.pop(key) for key in list(options) if key in fields}
    function = known.pop("function", name)
    constants = tuple(options.items())
    KERNELS[name] = TritonKernel(name, function, constants, build, **known)


def kernel(**options: Any) -> collections.abc.Callable[[Builder], Builder]:
    """Registers the answer of the Triton kernel of the same name."""

    def add(build: Builder) -> Builder:
        register(build, build.__name__, **options)
        return build

    return add


NO_BLOCK = (0, 0, 0)


def launch(blocks: int, args: list[Any], expected: dict[int, Any], **rest: Any) -> Case:
    return Case((blocks, 1, 1), NO_BLOCK, args, expected, **rest)


@kernel(BLOCK=256)
def add_masked(random: np.random.Generator) -> Case:
    n = 1000
    a, b = random.standard_normal((2, n)).astype(np.float32)
    want = np.where(a > b, a - b, a + 2 * b)
    args = [a.copy(), b.copy(), np.zeros(n, np.float32), np.int32(n)]
    return launch(4, args, {2: want}, tolerance=(1e-6, 1e-6))


@kernel(BLOCK=512)
def softmax(random: np.random.Generator) -> Case:
    rows, columns = 9, 300
    x = bits(random.standard_normal((rows, columns)) * 3)
    e = np.exp(x.astype(float) - x.astype(float).max(1, keepdims=True))
    args = [x, np.zeros((rows, columns), np.float32), np.int32(columns)]
    expected = {1: (e / e.sum(1, keepdims=True)).astype(np.float32)}
    return launch(rows, args, expected, tolerance=(1e-5, 1e-9))


@kernel(BLOCK=256)
def layer_norm(random: np.random.Generator) -> Case:
    rows, columns, epsilon = 6, 700, 1e-5
    x = random.standard_normal((rows, columns)).astype(np.float32)
    gain, bias = random.standard_normal((2, columns)).astype(np.float32)
    wide = x.astype(float)
    mean, variance = wide.mean(1, keepdims=True), wide.var(1, keepdims=True)
    want = (wide - mean) / np.sqrt(variance + epsilon) * gain + bias
    args = [x, gain.copy(), bias.copy(), np.zeros_like(x)]
    args += [np.int32(columns), np.float32(epsilon)]
    expected = {3: want.astype(np.float32)}
    return launch(rows, args, expected, tolerance=(1e-4, 1e-5))


def matmul_case(
    random: np.random.Generator,
    sizes: tuple[int, int, int],
    tile: tuple[int, int],
    dtype: Any,
    result: Any,
    transposed: bool,
) -> Case:
    m, n, k = sizes
    a, b = random.integers(-4, 5, (m, k)), random.integers(-4, 5, (k, n))
    c = a @ b
    b = np.ascontiguousarray(b.T) if transposed else b
    args = [a.astype(dtype), b.astype(dtype), np.zeros((m, n), result)]
    args += [np.int32(size) for size in sizes]
    programs = -(-m // tile[0]) * -(-n // tile[1])
    return launch(programs, args, {2: c.astype(result)})


# name: dtype, result, BM, BN, BK, warps, stages, B by columns, sizes
MATMULS = {
    "f16_64x64x32": (np.float16, np.float32, 64, 64, 32, 4, 3, False, (128, 96, 160)),
    "f16_128x64x64": (np.float16, np.float16, 128, 64, 64, 4, 2, True, (128, 64, 192)),
    "bf16_128x128x32": (BFLOAT, np.float32, 128, 128, 32, 8, 4, True, (128, 128, 256)),
    "bf16_64x128x64": (BFLOAT, BFLOAT, 64, 128, 64, 4, 3, False, (64, 256, 128)),
    "bf16_32x32x32": (BFLOAT, np.float32, 32, 32, 32, 2, 1, False, (50, 70, 90)),
    "tf32_64x64x32": (np.float32, np.float32, 64, 64, 32, 4, 3, False, (64, 128, 96)),
    "tf32_128x32x16": (np.float32, np.float32, 128, 32, 16, 4, 4, True, (128, 64, 80)),
}


def register_matmuls() -> None:
    for name, (
        dtype,
        result,
        bm,
        bn,
        bk,
        warps,
        stages,
        by_columns,
        sizes,
    ) in MATMULS.items():

        def build(
            random: np.random.Generator,
            sizes: tuple[int, int, int] = sizes,
            tile: tuple[int, int] = (bm, bn),
            dtype: Any = dtype,
            result: Any = result,
            by_columns: bool = by_columns,
        ) -> Case:
            return matmul_case(random, sizes, tile, dtype, result, by_columns)

        register(
            build,
            f"matmul_{name}",
            function="matmul",
            warps=warps,
            stages=stages,
            BM=bm,
            BN=bn,
            BK=bk,
            SHARE=2,
            PRECISION="tf32",
            TRANSPOSED=by_columns,
        )


register_matmuls()


@kernel(sm=90, BM=64, BN=64, BK=64)
def matmul_described(random: np.random.Generator) -> Case:
    m, n, k = 64, 128, 192
    a, b = random.integers(-4, 5, (m, k)), random.integers(-4, 5, (n, k))
    args = [bits(a), bits(b), np.zeros((m, n), BFLOAT), *map(np.int32, (m, n, k))]
    case = launch(0, args, {2: bits(a @ b.T)})
    case.grid = (1, 2, 1)
    return case


@kernel(M=32, N=32, BK=32)
def split_matmul(random: np.random.Generator) -> Case:
    k = 512
    a, b = random.integers(-4, 5, (32, k)), random.integers(-4, 5, (k, 32))
    args = [a.astype(np.float16), b.astype(np.float16)]
    args += [np.zeros((32, 32), np.float32), np.int32(k)]
    return launch(4, args, {2: (a @ b).astype(np.float32)})


@kernel(BM=64, BN=32, D=64, stages=2)
def attention(random: np.random.Generator) -> Case:
    length, scale = 128, 0.18
    q, k, v = random.standard_normal((3, length, 64)).astype(np.float16)
    scores = q.astype(float) @ k.T.astype(float) * scale
    scores[np.triu_indices(length, 1)] = -np.inf
    e = np.exp2(scores - scores.max(1, keepdims=True))
    want = e / e.sum(1, keepdims=True) @ v.astype(float)
    out = np.zeros((length, 64), np.float32)
    args = [q.copy(), k.copy(), v.copy(), out, np.int32(length), np.float32(scale)]
    expected = {3: want.astype(np.float32)}
    return launch(2, args, expected, tolerance=(1e-2, 2e-3))


@kernel(BLOCK=128, K=6, WIDTH=8)
def top_k(random: np.random.Generator) -> Case:
    rows, columns, k = 10, 100, 6
    x = random.integers(0, 50, (rows, columns)).astype(np.float32)
    order = np.argsort(-x, 1, kind="stable")[:, :k].astype(np.int32)
    args = [x, np.zeros((rows, k), np.float32), np.zeros((rows, k), np.int32)]
    args.append(np.int32(columns))
    expected = {1: np.take_along_axis(x, order, 1), 2: order}
    return launch(rows, args, expected)


@kernel(BLOCK=256)
def recurrence(random: np.random.Generator) -> Case:
    rows, n = 5, 200
    factors = random.choice([0.5, 1.0, -1.0, 2.0], (rows, n), p=[0.3, 0.3, 0.2, 0.2])
    terms = random.integers(-5, 6, (rows, n)).astype(np.float32)
    want, h = np.zeros((rows, n)), np.zeros(rows)
    for i in range(n):
        h = factors[:, i] * h + terms[:, i]
        want[:, i] = h
    args = [factors.astype(np.float32), terms, np.zeros((rows, n), np.float32)]
    expected = {2: want.astype(np.float32)}
    largest = float(np.abs(want).max())
    tolerance = (1e-4, 1e-6 * largest)
    return launch(rows, [*args, np.int32(n)], expected, tolerance=tolerance)


@kernel(ROWS=4, BLOCK=128)
def prefix_sums(random: np.random.Generator) -> Case:
    rows, n = 12, 100
    x = random.integers(-99, 99, (rows, n), dtype=np.int32)
    args = [x, np.zeros_like(x), np.int32(n)]
    return launch(3, args, {1: np.cumsum(x, 1, dtype=np.int32)})


@kernel(BLOCK=256)
def count(random: np.random.Generator) -> Case:
    n, keys = 900, 17
    x = random.integers(0, keys, n, dtype=np.int32)
    counts = np.bincount(x, minlength=keys).astype(np.int32)

    def verify(args: list[Any]) -> None:
        for key in range(keys):
            tickets = np.sort(args[2][x == key])
            np.testing.assert_array_equal(tickets, np.arange(counts[key]))

    args = [x, np.zeros(keys, np.int32), np.zeros(n, np.int32), np.int32(n)]
    return launch(4, args, {1: counts}, verify=verify)


@kernel(BLOCK=512, BINS=64)
def histogram(random: np.random.Generator) -> Case:
    n = 1300
    x = random.integers(0, 64, n, dtype=np.int32)
    args = [x, np.zeros(64, np.int32), np.int32(n)]
    return launch(3, args, {1: np.bincount(x, minlength=64).astype(np.int32)})


@kernel(BLOCK=128, ROWS=4)
def gather_rows(random: np.random.Generator) -> Case:
    rows, tokens, width = 32, 20, 100
    x = bits(random.standard_normal((tokens, width)))
    index = random.integers(-1, tokens, rows, dtype=np.int32)
    want = np.where(index[:, None] >= 0, x[index], 0).astype(BFLOAT)
    args = [x, index, np.zeros((rows, width), BFLOAT), np.int32(width)]
    return launch(rows // 4, args, {2: want})


@kernel(BLOCK=128)
def scatter_rows(random: np.random.Generator) -> Case:
    rows, tokens, width = 30, 12, 100
    x = random.integers(-8, 9, (rows, width)).astype(np.float16)
    index = random.integers(0, tokens, rows, dtype=np.int32)
    gates = random.choice([0.25, 0.5, 1.0, 2.0], rows).astype(np.float32)
    want = np.zeros((tokens, width), np.float32)
    np.add.at(want, index, x.astype(np.float32) * gates[:, None])
    args = [x, index, gates, np.zeros_like(want), np.int32(width)]
    return launch(rows, args, {3: want})


@kernel(BLOCK=256)
def sort_rows(random: np.random.Generator) -> Case:
    x = random.integers(-(1 << 31), 1 << 31, (4, 256), dtype=np.int32)
    return launch(4, [x, np.zeros_like(x)], {1: np.sort(x, 1)})
