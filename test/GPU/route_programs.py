"""Routings as kernels: compiles moe.idx.route, runs it, compares with the oracle."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import oracle
from emulated import Kernels, compile_kernels, memref
from moe_mlir import ptx

Array = npt.NDArray[Any]

#: What is in memory before a launch: nobody may read it.
UNWRITTEN = -7


FIELDS = ("expert_offsets", "row_token", "token_offsets", "token_row", "gates")


@dataclasses.dataclass(frozen=True)
class Launch:
    """A gpu.launch_func of constant sizes.

    Attributes:
        arguments: Each a number, or the name of one of the function's memrefs.
        workspace: Words of the routing's workspace.
    """

    grid: int
    threads: int
    shared: int
    cooperative: bool
    workspace: int
    arguments: tuple[int | str, ...]


def constants(module: str) -> dict[str, int]:
    found = re.findall(r"(%\w+) = arith.constant (-?\d+) : (?:index|i32)", module)
    return {name: int(value) for name, value in found}


def read_launch(module: str, kernel: str) -> Launch:
    """The launch of a kernel in a module's host code."""
    number: dict[str, Any] = dict(constants(module))
    for name, source in re.findall(
        r"(%\w+) = memref.extract_aligned_pointer_as_index (%arg\d+)", module
    ):
        number[name] = source
    for name, source in re.findall(
        r"(%\w+) = (?:arith.index_cast|llvm.inttoptr) (%\w+) :", module
    ):
        number[name] = number[source]
    line = re.search(rf"gpu.launch_func +@moe_kernels::@{kernel} .*", module)
    assert line, module
    text = line[0]
    found = re.search(
        r"blocks in \((%\w+), .*threads in \((%\w+), .*size (%\w+) args\((.*)\)", text
    )
    assert found, text
    grid, threads, shared = (number[found[i]] for i in (1, 2, 3))
    arguments = tuple(number[name] for name in re.findall(r"(%\w+) :", found[4]))
    words = re.search(r"moe.workspace = (\d+)", text)
    assert words, text
    return Launch(
        grid, threads, shared, "moe.cooperative" in text, int(words[1]), arguments
    )


@dataclasses.dataclass
class Routing:
    """A compiled routing of logits [S, T, E].

    Attributes:
        shape: S, T, E and K.
        workspace: Zero before the first launch, and kept.
    """

    kernels: Kernels
    launch: Launch
    shape: tuple[int, int, int, int]
    gate_type: np.dtype[Any]
    workspace: Array

    def run(self, logits: Array, **options: Any) -> tuple[oracle.Routing, ptx.Result]:
        """Routes logits once, under all checks of the emulator."""
        s, t, e, k = self.shape
        sizes = {"expert_offsets": (e + 1,), "token_offsets": (s, t + 1)}
        outs = {
            name: np.full(sizes.get(name, (s * t * k,)), UNWRITTEN, np.int32)
            for name in FIELDS
        }
        outs["gates"] = np.full(s * t * k, UNWRITTEN, self.gate_type)
        given = [options.pop(name, None) for name in ("choice_bias", "valid")]
        # In the order of the op's operands.
        memory = [logits, *(array for array in given if array is not None)]
        memory += [*outs.values(), self.workspace]
        arguments = [
            memory[int(value[4:])] if isinstance(value, str) else np.int32(value)
            for value in self.launch.arguments
        ]
        result = self.kernels.run(
            "route",
            self.launch.grid,
            arguments,
            shared=self.launch.shared,
            cooperative=self.launch.cooperative,
            **options,
        )
        return oracle.Routing(**outs), result

    def grid_barriers(self, result: ptx.Result) -> float:
        """Barriers among blocks that each block passed in a counted launch."""
        lines = self.kernels.text.splitlines()
        arrivals = [i for i, line in enumerate(lines, 1) if "red.release" in line]
        passed = sum(
            block["executions"]
            for block in result.blocks
            for line in arrivals
            if block["first_line"] <= line <= block["last_line"]
        )
        return float(passed / self.launch.grid)


def clause(options: dict[str, Any]) -> str:
    """The attributes of a routing, as text."""
    words = {
        "floor": "{} : i64",
        "cap": "{} : i64",
        "scale": "{:e} : f32",
        "eps": "{:e} : f32",
        "norm_min": "{:e} : f32",
    }
    parts = [
        f"{name} = {text.format(options[name])}"
        for name, text in words.items()
        if options.get(name) is not None
    ]
    if options.get("rank_logits"):
        parts.append("rank_logits")
    if options.get("groups"):
        n_group, topk_group, kind = options["groups"]
        parts += [f"n_group = {n_group} : i64", f"topk_group = {topk_group} : i64"]
        parts.append(f"group_score = #moe<group_score {kind}>")
    return " {" + ", ".join(parts) + "}" if parts else ""


def program(
    logits: Array,
    k: int,
    scope: str,
    score: str,
    normalize: str,
    gate_type: str,
    schedule: str = "",
    **options: Any,
) -> str:
    """A function that routes logits [S, T, E] on memrefs."""
    s, t, e = logits.shape
    rows = s * t * k
    optional, names = "", ""
    if options.get("choice_bias") is not None:
        optional += f" bias(%bias : memref<{e}xf32>)"
        names += f", %bias: memref<{e}xf32>"
    if options.get("valid") is not None:
        optional += f" valid(%valid : memref<{s}x{t}xi1>)"
        names += f", %valid: memref<{s}x{t}xi1>"
    outs = (
        f"memref<{e + 1}xi32>, memref<{rows}xi32>, memref<{s}x{t + 1}xi32>, "
        f"memref<{rows}xi32>, memref<{rows}x{gate_type}>, memref<?xi32>"
    )
    arguments = ", ".join(
        f"%{name}: {kind}"
        for name, kind in zip(
            ("eo", "rt", "to", "tr", "gates", "work"), outs.split(", "), strict=True
        )
    )
    return f"""
    func.func @f(%logits: {memref(logits)}, {arguments}{names}) {{
      moe.idx.route top {k} scope = {scope} score = {score} normalize = {normalize}
        ins(%logits : {memref(logits)}){optional}
        outs(%eo, %rt, %to, %tr, %gates, %work : {outs}){clause(options)}
      return
    }}"""


def compile_route(
    moe_opt: pathlib.Path,
    logits: Array,
    k: int,
    scope: str = "token",
    score: str = "softmax",
    normalize: str = "none",
    gate_type: str = "f32",
    chip: str = "sm_80",
    **options: Any,
) -> Routing:
    """Compiles a routing of logits like these; `options` are the oracle's."""
    text = program(logits, k, scope, score, normalize, gate_type, **options)
    kernels = compile_kernels(moe_opt, text, chip)
    launch = read_launch(kernels.host, "route")
    s, t, e = logits.shape
    types = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16}
    work = np.zeros(launch.workspace, np.int32)
    return Routing(kernels, launch, (s, t, e, k), np.dtype(types[gate_type]), work)


def bits(values: Array) -> Array:
    """Floats as integers: NaNs compare, too."""
    if values.dtype == np.int32:
        return values
    return values.view({2: np.uint16, 4: np.uint32}[values.dtype.itemsize])


def check(
    routing: Routing, logits: Array, where: object = "", **options: Any
) -> ptx.Result:
    """Runs a routing; every index and every bit of every gate is the oracle's."""
    launch = {
        name: options.pop(name)
        for name in ("order", "seed", "resident", "counters")
        if name in options
    }
    given = {name: options.get(name) for name in ("choice_bias", "valid")}
    want = oracle.route(logits, routing.shape[3], **options)
    got, result = routing.run(logits, **given, **launch)
    for name in FIELDS:
        wanted, found = getattr(want, name), getattr(got, name)
        if name == "gates":
            with np.errstate(all="ignore"):
                wanted = wanted.astype(routing.gate_type)
        assert wanted.shape == found.shape
        if not np.array_equal(bits(wanted), bits(found)):
            at = tuple(np.argwhere(bits(wanted) != bits(found))[0])
            raise AssertionError(
                f"{name}{at} is {found[at]}, not {wanted[at]}; {options} {where}"
            )
    return result
