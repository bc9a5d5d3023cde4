"""Rows of our grouped matmuls by themselves: copies, conflicts, loops, registers."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
from bars import Bars

from gpu.cases import Case
from gpu.code_facts import Loop, assemble, ptx_loop
from gpu.counted import Counted

#: Rows, columns and depth of a matrix product of bf16.
PRODUCT = (16, 8, 16)
#: Rows that a warp skips or multiplies as one.
GRANULE = 16
SECTOR = 32
#: Instructions outside products for each product, by depth: of PTX, of machine code.
OTHERS = {32: (0.50, 0.57), 64: (0.45, 0.50), 128: (0.45, 0.50)}
#: Of machine code where 128 threads copy whole lines.
OTHERS_WHOLE_LINES = 0.70
SPILLS_WHOLE_LINES = 192
#: Cycles of shared memory for each one of the tensor cores, where a tile's sizes
#: allow it: 64x256 by four warps are 13 to 16, whatever the code.
SHARED_CYCLES = 0.81


@dataclasses.dataclass(frozen=True)
class Matmul:
    """A launch of one of our grouped matmuls.

    Attributes:
        columns: Of its weights, gate and up together.
        depth: Of its weights.
    """

    launch: Counted
    columns: int
    depth: int

    @property
    def tile(self) -> tuple[int, int, int]:
        """Rows, columns, depth; the kernel's name has them."""
        found = re.search(r"_(\d+)x(\d+)x(\d+)", self.launch.kernel)
        assert found, self.launch.kernel
        return int(found[1]), int(found[2]), int(found[3])

    @property
    def warp_rows(self) -> int:
        """Of a warp's 64 columns."""
        rows, columns, _ = self.tile
        return rows * columns // (2 * self.launch.threads)

    @property
    def is_square(self) -> bool:
        """64 rows and columns a warp: what the bars of loops are for."""
        return self.warp_rows == 64

    @property
    def shared_cycles(self) -> float:
        """The least for a full tile, of the tensor cores' cycles: 4 for each 16x16
        that a warp reads and that is copied, beside 2 for each product."""
        rows, columns, _ = self.tile
        warps = self.launch.threads / 32
        read = self.warp_rows / 16 + 64 / 16
        copied = (rows + columns) / 16 / warps
        return 4 * (read + copied) / (2 * self.warp_rows / 16 * 64 / 8)

    @property
    def has_narrow_team(self) -> bool:
        """128 threads that copy whole lines hold more addresses than fit."""
        return self.launch.threads == 128 and self.tile[2] >= 64


def matmuls(case: Case, launches: list[Counted]) -> list[Matmul]:
    """The two of a layer, in the order of their launches."""
    shape = case.shape
    found = [one for one in launches if one.kernel.startswith("grouped_matmul")]
    sizes = [(2 * shape.intermediate, shape.hidden), (shape.hidden, shape.intermediate)]
    assert len(found) == len(sizes), [one.kernel for one in launches]
    return [Matmul(one, *size) for one, size in zip(found, sizes, strict=True)]


def _lines(launch: Counted, word: str) -> list[dict[str, float]]:
    """Counters of the PTX lines that hold a word."""
    text = launch.text.splitlines()
    return [line for line in launch.facts["lines"] if word in text[line["line"] - 1]]


def ideal_copies(case: Case, matmul: Matmul) -> float:
    """Sectors if each tile reads its weights once, and its rows once a column tile."""
    rows, columns, _ = matmul.tile
    held = case.expert_rows()
    tiles = -(-held // rows)
    across = -(-matmul.columns // columns)
    elements = tiles.sum() * matmul.columns + held.sum() * across
    return float(elements * matmul.depth * 2 / SECTOR)


def ideal_products(case: Case, matmul: Matmul, granule: int = GRANULE) -> float:
    """Products if each expert's rows are rounded up to a granule."""
    rows = -(-case.expert_rows() // granule) * granule
    return float(rows.sum() * matmul.columns * matmul.depth / np.prod(PRODUCT))


def compare(bars: Bars, case: Case, launches: list[Counted]) -> None:
    """The rows that depend on the routing."""
    for number, matmul in enumerate(matmuls(case, launches), 1):
        # Of each copying line; all weights once a tile; 16-row granules are ideal.
        what = f"{case.name} matmul {number}"
        launch = matmul.launch
        copies = _lines(launch, ".shared.global")
        worst = min(line["ideal_sectors"] / line["sectors"] for line in copies)
        bars.at_least(f"{what}: copies, ideal / sectors", 0.99, worst)
        copied = sum(line["sectors"] for line in copies)
        once = copied / ideal_copies(case, matmul)
        bars.at_most(f"{what}: sectors, of weights once", 1 / 0.99, once)
        if matmul.tile[2] >= 64:
            bars.at_most(f"{what}: 128-byte lines of a copy", 4, _lines_of_copy(launch))
        matrices = _lines(launch, "ldmatrix")
        conflicts = sum(
            line["wavefronts"] - line["ideal_wavefronts"] for line in matrices
        )
        bars.at_most(f"{what}: ldmatrix conflicts", 0, conflicts)
        ideal = ideal_products(case, matmul)
        issued = launch["mma_issued"]
        bars.at_least(f"{what}: useful / issued mma, of ideal", 0.99, ideal / issued)
        useful = ideal_products(case, matmul, 1) / issued
        cycles = _shared_cycles(
            launch["op_ldsm"], launch["op_ldgsts_cache_bypass"], issued
        )
        others = (launch["warp_inst"] - issued) / issued
        bars.note(
            f"  {launch.kernel}: useful / issued mma {useful:.3f}; whole kernel: "
            f"{others:.2f} machine instructions outside mma a mma, "
            f"ldmatrix / mma {launch['op_ldsm'] / issued:.3f}, shared / tensor "
            f"cycles {cycles:.2f}"
        )


def _lines_of_copy(launch: Counted) -> float:
    """At most so many lines on average: other loads touch one at least."""
    copies = launch["op_ldgsts_cache_bypass"] + launch["op_ldgsts_cache_access"]
    return (launch["ld_lines"] - (launch["ld_req"] - copies)) / copies


def _shared_cycles(loads: float, copies: float, products: float) -> float:
    return (4 * loads + 4 * copies) / (2 * products)


def compare_code(bars: Bars, layer: str, matmul: Matmul, chip: str) -> None:
    """The rows of a kernel's text and machine code: once for each kernel."""
    launch = matmul.launch
    what = f"{layer}: {launch.kernel}"
    loop = ptx_loop(launch.text, launch.kernel)
    if loop is None:
        # So few steps of the depth that they are all written out.
        bars.note(f"{what}: products are in no loop")
    else:
        _compare_ptx(bars, what, matmul, loop)
    made = assemble(launch.text, chip).get(launch.kernel)
    if made is None:
        bars.note(f"{what}: no ptxas, no machine code")
        return
    spills = SPILLS_WHOLE_LINES if matmul.is_square and matmul.has_narrow_team else 0
    bars.at_most(f"{what}: bytes of spilled stores", spills, made.spill_stores)
    bars.at_most(f"{what}: bytes of spilled loads", spills, made.spill_loads)
    bars.note(f"  {made.registers} registers")
    if made.loop is None:
        return
    if matmul.is_square:
        most = OTHERS[matmul.tile[2]][1]
        if matmul.has_narrow_team:
            most = OTHERS_WHOLE_LINES
        others = made.loop.others_per_product
        bars.at_most(f"{what}: SASS outside mma a mma", most, others)
    else:
        bars.note(f"  {_loop(made.loop)} (SASS)")


def _compare_ptx(bars: Bars, what: str, matmul: Matmul, loop: Loop) -> None:
    if matmul.is_square:
        most = OTHERS[matmul.tile[2]][0]
        bars.at_most(f"{what}: PTX outside mma a mma", most, loop.others_per_product)
        bars.at_most(f"{what}: ldmatrix / mma", 0.25, loop.loads / loop.products)
        cycles = _shared_cycles(loop.loads, loop.copies, loop.products)
        most = max(SHARED_CYCLES, matmul.shared_cycles)
        bars.at_most(f"{what}: shared / tensor cycles", most, cycles)
    else:
        bars.note(f"{what}: {matmul.warp_rows}x64 a warp; {_loop(loop)} (PTX)")
    bars.at_most(f"{what}: barriers a step", 1, loop.barriers / loop.waits)


def _loop(loop: Loop) -> str:
    return (
        f"{loop.others_per_product:.2f} outside mma a mma, ldmatrix / mma "
        f"{loop.loads / loop.products:.2f}"
    )
