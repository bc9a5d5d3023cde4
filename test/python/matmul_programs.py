"""Random grouped matmuls: their MLIR, their operands, and their results in float64."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from guarded import guarded

Array = npt.NDArray[Any]

DTYPES: dict[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f16": np.dtype(np.float16),
}
#: Unit roundoff of each type.
ROUNDOFF = {"f32": 2.0**-24, "bf16": 2.0**-8, "f16": 2.0**-11}
#: Smallest error of rounding to a type, near zero.
TINY = {"f32": 2.0**-149, "bf16": 2.0**-133, "f16": 2.0**-25}
EXTRA_SHAPES = {"row": "R", "column": "EN", "element": "RN"}
#: exp of the generated code, its reciprocal, and the products around them.
SILU_ULPS = 8

SILU = """
    %one = arith.constant 1.0 : f32
    %minus = arith.negf %o0 : f32
    %exp = math.exp %minus : f32
    %divisor = arith.addf %one, %exp : f32
    %silu = arith.divf %o0, %divisor : f32
    %v0 = arith.mulf %silu, %o1 : f32"""


@dataclasses.dataclass(frozen=True)
class Program:
    """One grouped matmul.

    Attributes:
        sizes: S, T, K, N, E, R, and the live rows L.
        dtype: Of input and weights.
        out: Of the result.
        weights: "one", "two", "concat" or "interleaved".
        layout: "nk" or "kn".
        gather: Whether the input is tokens, not rows.
        packed: Whether weights are packed by a function of their own.
        dynamic: Whether sizes but E are unknown to the compiler.
        silu: Whether the epilogue is silu(o0) * o1; else the sum of outputs.
        extras: Kinds of extra operands; row factors multiply, others are added.
        whole: Whether data are small whole numbers, so that results are exact.
        seed: Of the data.
        schedule: Of the op; none: as the compiler chooses.
    """

    sizes: dict[str, int]
    dtype: str
    out: str
    weights: str
    layout: str
    gather: bool
    packed: bool
    dynamic: bool
    silu: bool
    extras: tuple[str, ...]
    whole: bool
    seed: int
    schedule: str = ""

    @property
    def outputs(self) -> int:
        return 1 if self.weights == "one" else 2

    def shape(self, letters: str) -> list[int]:
        return [self.sizes[letter] for letter in letters]

    def type_of(self, letters: str, dtype: str) -> str:
        """The tensor type of a shape; E is always static."""
        unknown = self.dynamic and not self.packed
        dims = [
            "?" if unknown and letter != "E" else str(self.sizes[letter])
            for letter in letters
        ]
        return f"tensor<{'x'.join([*dims, dtype])}>"

    def weight_type(self) -> str:
        return f"tensor<{'x'.join(map(str, self.weight_shape()))}x{self.dtype}>"

    def weight_shape(self) -> list[int]:
        columns = self.sizes["N"] * (1 if self.weights in ("one", "two") else 2)
        shape = [self.sizes["E"], columns, self.sizes["K"]]
        return shape if self.layout == "nk" else [shape[0], shape[2], shape[1]]

    def text(self) -> str:
        """The module: @main(input, expert_offsets, [row_token], weights, extras)."""
        count = 2 if self.weights == "two" else 1
        offsets = f"tensor<{self.sizes['E'] + 1}xi32>"
        tokens = self.type_of("R", "i32")
        x = self.type_of("STK" if self.gather else "RK", self.dtype)
        w, out = self.weight_type(), self.type_of("RN", self.out)
        kinds = [self.type_of(EXTRA_SHAPES[kind], "f32") for kind in self.extras]
        arguments = [f"%x: {x}", f"%eo: {offsets}"]
        arguments += [f"%rt: {tokens}"] * self.gather
        param = ' {{moe.param = "w{0}"}}' if self.packed else ""
        arguments += [f"%w{i}: {w}{param.format(i)}" for i in range(count)]
        arguments += [f"%e{i}: {kind}" for i, kind in enumerate(kinds)]
        arguments.append(f"%init: {out}")
        weights = ", ".join(f"%w{i}" for i in range(count))
        arrangement = f"arrangement = {self.weights}"
        gather = f"tokens(%rt : {tokens})" if self.gather else ""
        extras = ""
        if self.extras:
            names = ", ".join(f"#moe<extra {kind}>" for kind in self.extras)
            values = ", ".join(f"%e{i}" for i in range(len(kinds)))
            extras = f"extras [{names}]({values} : {', '.join(kinds)})"
        schedule = f"{{schedule = {self.schedule}}}" if self.schedule else ""
        return f"""
func.func @main({", ".join(arguments)}) -> {out} {{
  %y = moe.idx.grouped_matmul ins(%x, %eo : {x}, {offsets}) {gather}
      weights({weights} : {", ".join([w] * count)}) layout = {self.layout}
      {arrangement if self.weights in ("concat", "interleaved") else ""} {extras}
      {schedule} outs(%init : {out}) -> {out} {{{self.epilogue()}
  }}
  return %y : {out}
}}"""

    def epilogue(self) -> str:
        outputs = [f"%o{i}: f32" for i in range(self.outputs)]
        extras = [f"%a{i}: f32" for i in range(len(self.extras))]
        lines = [f"\n  ^bb0({', '.join(outputs + extras)}):"]
        value = "%o0"
        if self.outputs == 2:
            lines.append(SILU if self.silu else "    %v0 = arith.addf %o0, %o1 : f32")
            value = "%v0"
        for i, kind in enumerate(self.extras):
            op = "mulf" if kind == "row" else "addf"
            lines.append(f"    %s{i} = arith.{op} {value}, %a{i} : f32")
            value = f"%s{i}"
        if self.out != "f32":
            lines.append(f"    %r = arith.truncf {value} : f32 to {self.out}")
            value = "%r"
        return "\n".join([*lines, f"    moe.yield {value} : {self.out}"])


def random_program(seed: int) -> Program:
    """The program of a seed; sizes around those of tiles, panels and lines."""
    draw = random.Random(seed)

    def size(most: int) -> int:
        return draw.choice([1, 2, draw.randint(1, most), draw.randint(1, most)])

    rows = size(300)
    sizes = {"S": draw.randint(1, 3), "T": size(40), "K": size(200)}
    sizes |= {"N": size(200), "E": size(9), "R": rows}
    sizes["L"] = draw.choice([0, rows, rows, draw.randint(0, rows)])
    dtype = draw.choice(list(DTYPES))
    weights = draw.choice(["one", "two", "concat", "interleaved"])
    silu = weights != "one" and draw.random() < 0.5
    extras = tuple(kind for kind in EXTRA_SHAPES if draw.random() < 0.3)
    return Program(
        sizes=sizes,
        dtype=dtype,
        out=draw.choice([dtype, *DTYPES]),
        weights=weights,
        layout=draw.choice(["nk", "kn"]),
        gather=draw.random() < 0.5,
        packed=draw.random() < 0.5,
        dynamic=draw.random() < 0.5,
        silu=silu,
        extras=extras,
        whole=not silu and draw.random() < 0.5,
        seed=seed,
    )


@dataclasses.dataclass
class Operands:
    """The operands of a program, each ending before an inaccessible page."""

    x: Array
    expert_offsets: Array
    row_token: Array
    weights: list[Array]
    extras: list[Array]
    init: Array

    @property
    def experts(self) -> Array:
        """The expert of each live row."""
        counts = np.diff(self.expert_offsets)
        return np.repeat(np.arange(counts.size), counts)


def operands_of(program: Program) -> Operands:
    draw = np.random.default_rng(program.seed)
    sizes = program.sizes

    def values(shape: list[int], dtype: str) -> Array:
        numbers = draw.standard_normal(shape)
        if program.whole:
            numbers = draw.integers(-3, 4, shape).astype(np.float64)
        return guarded(numbers.astype(DTYPES[dtype]))

    counts = draw.multinomial(sizes["L"], draw.dirichlet(np.full(sizes["E"], 0.5)))
    tokens = np.full(sizes["R"], -1, np.int32)
    tokens[: sizes["L"]] = draw.integers(0, sizes["S"] * sizes["T"], sizes["L"])
    return Operands(
        x=values(program.shape("STK" if program.gather else "RK"), program.dtype),
        expert_offsets=guarded(np.append(0, np.cumsum(counts)).astype(np.int32)),
        row_token=guarded(tokens),
        weights=[
            values(program.weight_shape(), program.dtype)
            for _ in range(2 if program.weights == "two" else 1)
        ],
        extras=[values(program.shape(EXTRA_SHAPES[k]), "f32") for k in program.extras],
        init=values(program.shape("RN"), program.out),
    )


def expected(program: Program, operands: Operands) -> tuple[Array, Array]:
    """The live rows of the result, and the error that each element may have."""
    live, k, n = (program.sizes[letter] for letter in "LKN")
    x = operands.x.astype(np.float64).reshape(-1, k)
    rows = x[operands.row_token[:live]] if program.gather else x[:live]
    experts, unit = operands.experts, 2.0**-24
    sums, errors = [], []
    for weight in logical_weights(program, operands.weights, n):
        chosen = weight[experts]
        sums.append(np.einsum("rk,rnk->rn", rows, chosen))
        magnitude = np.einsum("rk,rnk->rn", abs(rows), abs(chosen))
        errors.append((k + 1) * unit * magnitude)
    value, error = sums[0], errors[0]
    if program.silu:
        value = sums[0] / (1 + np.exp(-sums[0])) * sums[1]
        # |silu'| < 1.1 and |silu(x)| <= |x|.
        error = 1.1 * errors[0] * (abs(sums[1]) + errors[1]) + abs(sums[0]) * errors[1]
        error = error + SILU_ULPS * unit * abs(value)
    elif len(sums) == 2:
        value, error = sum(sums), sum(errors) + unit * abs(sum(sums))
    for kind, extra in zip(program.extras, operands.extras, strict=True):
        operand = extra.astype(np.float64)
        operand = {
            "row": lambda a=operand: a[:live, None],
            "column": lambda a=operand: a[experts],
            "element": lambda a=operand: a[:live],
        }[kind]()
        if kind == "row":
            value, error = value * operand, error * abs(operand)
        else:
            value = value + operand
        error = error + unit * abs(value)
    rounding = ROUNDOFF[program.out] * (abs(value) + error) + TINY[program.out]
    return value, error + rounding


def logical_weights(program: Program, weights: list[Array], n: int) -> list[Array]:
    """The weight of each logical output, [E, N, K], in float64."""
    turned = [w.astype(np.float64) for w in weights]
    if program.layout == "kn":
        turned = [w.transpose(0, 2, 1) for w in turned]
    if program.weights == "concat":
        return [turned[0][:, :n], turned[0][:, n:]]
    if program.weights == "interleaved":
        return [turned[0][:, 0::2], turned[0][:, 1::2]]
    return turned
