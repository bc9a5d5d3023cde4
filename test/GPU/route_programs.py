"""Routings as kernels: compiles moe.idx.route, runs it, compares with the oracle."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pathlib
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import oracle
from emulated import Kernels, compile_kernels, memref
from host_code import Launch, launches_of
from matmul_kernels import tile_words
from moe_mlir import ptx

Array = npt.NDArray[Any]

#: What is in memory before a launch: nobody may read it.
UNWRITTEN = -7


FIELDS = ("expert_offsets", "row_token", "token_offsets", "token_row", "gates")


@dataclasses.dataclass
class Routing:
    """A compiled routing of logits [S, T, E].

    Attributes:
        experts: E.
        k: K.
        tile_rows: Of each list of tiles.
        multiprocessors: How many the device is said to have.
        workspace: Zero before the first launch, and kept.
    """

    kernels: Kernels
    experts: int
    k: int
    gate_type: np.dtype[Any]
    tile_rows: tuple[int, ...]
    multiprocessors: int
    workspace: Array
    last: Launch | None = None

    def outs(self, s: int, t: int) -> dict[str, Array]:
        """Unwritten results for S sequences of T tokens, by name."""
        rows = s * t * self.k
        sizes = {"expert_offsets": (self.experts + 1,), "token_offsets": (s, t + 1)}
        outs = {
            name: np.full(sizes.get(name, (rows,)), UNWRITTEN, np.int32)
            for name in FIELDS
        }
        outs["gates"] = np.full(rows, UNWRITTEN, self.gate_type)
        return outs

    def launch(self, logits: Array, *memory: list[Array]) -> Launch:
        """The launch for logits; `memory` is the valid tokens and the like, results,
        and lists of tiles."""
        s, t, _ = logits.shape
        given, outs, lists = memory or (
            [],
            [*self.outs(s, t).values()],
            self.lists(s, t),
        )
        while True:
            arrays = [logits, *given, *outs, self.workspace, *lists]
            (launch,) = launches_of(self.kernels.host, arrays, self.multiprocessors)
            words = launch.workspace or 0
            if words <= self.workspace.size:
                return launch
            self.workspace = np.zeros(words, np.int32)

    def lists(self, s: int, t: int) -> list[Array]:
        """Unwritten lists of tiles."""
        return [
            np.full(tile_words(s * t * self.k, self.experts, rows), UNWRITTEN, np.int32)
            for rows in self.tile_rows
        ]

    def run(self, logits: Array, **options: Any) -> tuple[oracle.Routing, ptx.Result]:
        """Routes logits once, under all checks of the emulator."""
        s, t, _ = logits.shape
        outs, lists = self.outs(s, t), self.lists(s, t)
        given = [options.pop(name, None) for name in ("choice_bias", "valid")]
        given = [array for array in given if array is not None]
        given += options.pop("router", [])
        launch = self.launch(logits, given, [*outs.values()], lists)
        result = self.kernels.run(
            launch.kernel,
            launch.grid,
            list(launch.arguments),
            shared=launch.shared,
            cooperative=launch.cooperative,
            cluster=launch.cluster,
            **options,
        )
        self.last = launch
        for rows, found in zip(self.tile_rows, lists, strict=True):
            check_tiles(outs["expert_offsets"], rows, found)
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
        assert self.last is not None
        return float(passed / self.last.grid)


def expected_tiles(offsets: Array, rows: int) -> Array:
    """The number of tiles and their records: as equal as blocks of 16 rows allow."""
    records: list[tuple[int, int, int, int]] = []
    for expert, (begin, end) in enumerate(zip(offsets, offsets[1:], strict=False)):
        tiles = -(-(end - begin) // rows)
        blocks = np.array_split(np.arange(begin, end, math.gcd(rows, 16)), tiles or 1)
        bounds = [int(block[0]) for block in blocks if block.size] + [int(end)]
        records += [
            (expert, first, after - first, 0)
            for first, after in itertools.pairwise(bounds)
        ]
    return np.array([(len(records), 0, 0, 0), *records], np.int32).ravel()


def check_tiles(offsets: Array, rows: int, found: Array) -> None:
    """A list is the expected one, and nothing is written behind it."""
    want = expected_tiles(offsets, rows)
    np.testing.assert_array_equal(found[: want.size], want)
    assert (found[want.size :] == UNWRITTEN).all()


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
    if options.get("schedule"):
        parts.append(f"schedule = {options['schedule']}")
    if options.get("tile_rows"):
        rows = ", ".join(map(str, options["tile_rows"]))
        parts.append(f"tile_rows = array<i64: {rows}>")
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
    sizes: str | None = None,
    **options: Any,
) -> str:
    """A function that routes logits [S, T, E] on memrefs.

    Args:
        sizes: S and T in types, such as `1x?`; those of the logits if not given.
    """
    s, t, e = logits.shape
    rows, ends = f"{s * t * k}", f"{s}x{t + 1}"
    batch = sizes or f"{s}x{t}"
    if "?" in batch:
        rows, ends = "?", f"{batch.split('x')[0]}x?"
    kind = f"memref<{batch}x{e}x{memref(logits).rsplit('x', 1)[1]}"
    optional, names = "", ""
    if options.get("choice_bias") is not None:
        optional += f" bias(%bias : memref<{e}xf32>)"
        names += f", %bias: memref<{e}xf32>"
    if options.get("valid") is not None:
        optional += f" valid(%valid : memref<{batch}xi1>)"
        names += f", %valid: memref<{batch}xi1>"
    router = options.get("router")
    if router:
        tokens = "?" if "?" in batch else str(s * t)
        types = router.types(tokens, e)
        names += "".join(f", %router{i}: {type_}" for i, type_ in enumerate(types))
        router = router.clause(types)
    outs = (
        f"memref<{e + 1}xi32>, memref<{rows}xi32>, memref<{ends}xi32>, "
        f"memref<{rows}xi32>, memref<{rows}x{gate_type}>, memref<?xi32>"
    )
    out_names = ["%eo", "%rt", "%to", "%tr", "%gates", "%work"]
    for number in options.get("tile_rows") or ():
        out_names.append(f"%tiles{number}")
        words = "?" if rows == "?" else tile_words(s * t * k, e, number)
        outs += f", memref<{words}xi32>"
    arguments = ", ".join(
        f"{name}: {type_}"
        for name, type_ in zip(out_names, outs.split(", "), strict=True)
    )
    return f"""
    func.func @f(%logits: {kind}, {arguments}{names}) {{
      moe.idx.route top {k} scope = {scope} score = {score} normalize = {normalize}
        {router or ""} ins(%logits : {kind}){optional}
        outs({", ".join(out_names)} : {outs}){clause(options)}
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
    """Compiles a routing of logits like these.

    Args:
        options: The oracle's, and: `router`, a Router; `schedule`, an attribute;
            `tile_rows`, of the lists of tiles; `sizes` of `program`;
            `multiprocessors` of the device.
    """
    multiprocessors = options.pop("multiprocessors", 108)
    text = program(logits, k, scope, score, normalize, gate_type, **options)
    kernels = compile_kernels(moe_opt, text, chip)
    types = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16}
    return Routing(
        kernels,
        logits.shape[2],
        k,
        np.dtype(types[gate_type]),
        tuple(options.get("tile_rows") or ()),
        multiprocessors,
        np.zeros(0, np.int32),
    )


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
    router = options.pop("router", [])
    got, result = routing.run(logits, **given, router=router, **launch)
    # Of a router, those that the launch wrote.
    want = oracle.route(logits, routing.k, **options)
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
