"""Grouped matmuls as kernels: their forms, their MLIR, and how they are launched."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Any

import numpy as np
import numpy.typing as npt
from emulated import Kernels, compile_kernels
from matmul_programs import DTYPES, Operands, Program

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Form:
    """One shape of tiles; see #moe.gpu_matmul_form."""

    rows: int
    columns: int
    depth: int
    warp_rows: int
    stages: int
    lanes: int
    least: int = 0

    @property
    def warps(self) -> int:
        return self.rows // self.warp_rows * (self.columns // 64)

    @property
    def shared(self) -> int:
        return self.stages * (self.rows + self.columns) * self.depth * 2

    @property
    def kernel(self) -> str:
        return f"grouped_matmul_{self.rows}x{self.columns}x{self.depth}"

    @property
    def text(self) -> str:
        values = dataclasses.asdict(self).items()
        return f"<{', '.join(f'{name} = {value}' for name, value in values)}>"


#: The candidates of moe-choose-schedule, forms that were measured on hardware, and
#: small ones.
FORMS = {
    "16x64x64": Form(16, 64, 64, 16, 2, 8),
    "16x128x64": Form(16, 128, 64, 16, 4, 8),
    "32x128x64": Form(32, 128, 64, 16, 4, 8),
    "32x128x128": Form(32, 128, 128, 16, 3, 8),
    "32x256x64": Form(32, 256, 64, 32, 3, 8),
    "64x128x64": Form(64, 128, 64, 32, 3, 4),
    "64x128x64-lines": Form(64, 128, 64, 32, 4, 8),
    "64x256x32": Form(64, 256, 32, 64, 4, 4),
    "64x256x64": Form(64, 256, 64, 64, 4, 8),
    "128x128x32": Form(128, 128, 32, 64, 4, 4),
    "128x128x64": Form(128, 128, 64, 64, 3, 8),
    "128x256x64": Form(128, 256, 64, 64, 3, 8),
    "128x256x32": Form(128, 256, 32, 64, 4, 4),
}


def schedule(forms: list[Form], chip: str = "sm_80") -> str:
    """The schedule of forms."""
    listed = ", ".join(form.text for form in forms)
    return f"#moe.gpu_matmul<chip = {chip}, forms = [{listed}]>"


def tile_words(rows: int, experts: int, tile_rows: int) -> int:
    """The i32 words of a list of tiles."""
    return 4 * (1 + -(-rows // tile_rows) + experts)


def module_of(program: Program, forms: list[Form], chip: str = "sm_80") -> str:
    """A function on memrefs that lists the tiles and multiplies."""
    sizes = program.sizes

    def type_of(letters: str, dtype: str) -> str:
        dims = [
            "?" if program.dynamic and letter in "STR" else str(sizes[letter])
            for letter in letters
        ]
        return f"memref<{'x'.join([*dims, dtype])}>"

    out = type_of("RN", program.out)
    x = type_of("STK" if program.gather else "RK", program.dtype)
    offsets, tokens = f"memref<{sizes['E'] + 1}xi32>", type_of("R", "i32")
    weight = "x".join(map(str, program.weight_shape()))
    count = 2 if program.weights == "two" else 1
    weights = [f"memref<{weight}x{program.dtype}>"] * count
    kinds = {"row": "R", "column": "EN", "element": "RN"}
    extras = [type_of(kinds[kind], "f32") for kind in program.extras]
    heights = list(dict.fromkeys(form.rows for form in forms))
    lists = [
        "memref<?xi32>"
        if program.dynamic
        else f"memref<{tile_words(sizes['R'], sizes['E'], rows)}xi32>"
        for rows in heights
    ]
    arguments = [f"%x: {x}", f"%eo: {offsets}", f"%y: {out}"]
    arguments += [f"%rt: {tokens}"] * program.gather
    for name, types in (("w", weights), ("e", extras), ("t", lists)):
        arguments += [f"%{name}{i}: {type_}" for i, type_ in enumerate(types)]

    def group(name: str, types: list[str]) -> str:
        values = (f"%{name}{i}" for i in range(len(types)))
        return f"({', '.join(values)} : {', '.join(types)})"

    tiles = "\n  ".join(
        f"moe.idx.tiles ins(%eo : {offsets}) rows = {rows} outs(%t{i} : {lists[i]})"
        for i, rows in enumerate(heights)
    )
    arrangement = f"arrangement = {program.weights}"
    names = ", ".join(f"#moe<extra {kind}>" for kind in program.extras)
    return f"""
func.func @main({", ".join(arguments)}) {{
  {tiles}
  moe.idx.grouped_matmul ins(%x, %eo : {x}, {offsets})
      {f"tokens(%rt : {tokens})" if program.gather else ""}
      tiles{group("t", lists)}
      weights{group("w", weights)} layout = {program.layout}
      {arrangement if program.weights in ("concat", "interleaved") else ""}
      {f"extras [{names}]{group('e', extras)}" if extras else ""}
      {{schedule = {schedule(forms, chip)}}}
      outs(%y : {out}) {{{program.epilogue()}
  }}
  return
}}"""


def compile_program(
    moe_opt: pathlib.Path, program: Program, forms: list[Form], chip: str = "sm_80"
) -> Kernels:
    """The kernels of a program."""
    return compile_kernels(moe_opt, module_of(program, forms, chip), chip)


def list_tiles(
    kernels: Kernels,
    offsets: Array,
    rows: int,
    tile_rows: int,
    name: str = "tiles",
    **options: Any,
) -> Array:
    """The list that the kernel of moe.idx.tiles makes."""
    experts = offsets.size - 1
    tiles = np.full(tile_words(rows, experts, tile_rows), -1, np.int32)
    kernel = kernels.module.kernels[name]
    threads = (kernel.reqntid or kernel.maxntid)[0]
    kernels.run(
        name,
        1,
        [offsets, tiles, np.int32(experts), np.int32(tiles.size // 4)],
        shared=4 * (threads + 1 + threads // 32),
        **options,
    )
    return tiles


def multiply(
    kernels: Kernels,
    program: Program,
    form: Form,
    operands: Operands,
    tiles_kernel: str = "tiles",
    **options: Any,
) -> tuple[Array, Any]:
    """The result in [R, N], and what the launch of the matmul counted."""
    sizes = program.sizes
    tiles = list_tiles(
        kernels, operands.expert_offsets, sizes["R"], form.rows, tiles_kernel
    )
    result = operands.init.copy()
    last = sizes["S"] * sizes["T"] if program.gather else sizes["R"]
    arguments = [operands.x, tiles, result, np.int32(sizes["R"]), np.int32(last - 1)]
    arguments += [operands.row_token] * program.gather
    arguments += [*operands.weights, *operands.extras]
    across = -(-sizes["N"] // (form.columns // program.outputs))
    grid = across * (-(-sizes["R"] // form.rows) + sizes["E"])
    ran = kernels.run(form.kernel, grid, arguments, shared=form.shared, **options)
    return result, ran


def launches(host: str) -> list[str]:
    """The kernels that a host's code launches, in order; it has no branch."""
    assert "scf.if" not in host
    return re.findall(r"gpu\.launch_func +@\w+::@(\w+)", host)


def rounded(program: Program, values: Array) -> Array:
    """Values as elements of the result."""
    return values.astype(DTYPES[program.out])
