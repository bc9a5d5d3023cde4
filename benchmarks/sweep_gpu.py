"""Chooses the tiles of the peer's matmuls by modelled time: `make sweep-gpu`.

usage: python benchmarks/sweep_gpu.py [--quick] [--case TEXT]... [--keep FILE]

For each layer and number of tokens, with uniform routing: every tile's two matmuls are
compiled for sm_80 and run on some of the experts, and their time on an H100 modelled.
Writes gpu/peer_tiles.json, the best tiles of each case and three runners-up. Takes
hours; what was run is kept in FILE, and a sweep that is started again goes on. Tiles
that do not fit are left out: too much shared memory, or more spilled registers, which
no counter sees, than a kernel of ours may have. --quick takes groups of 8, 4 warps (8
for the largest tile), 3 stages (4 as well at a depth of 64), a depth of 64 and 128, and
rows near those of an expert.
"""

import argparse
import hashlib
import itertools
import json
import os
import pathlib
import shlex
import sys
from collections.abc import Iterator

os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

from gpu import peer_kernels, peer_sample  # noqa: E402 - the setting above comes first
from gpu.cases import Case, all_cases  # noqa: E402
from gpu.code_facts import assemble  # noqa: E402
from gpu.counted import Counted, microseconds  # noqa: E402
from gpu.matmul_rows import SPILLS_WHOLE_LINES  # noqa: E402
from gpu.peer import Layer, Tile  # noqa: E402
from gpu.peer_runs import SHARED, Peer, count, tile_name, tiles_name  # noqa: E402
from gpu.peer_table import KEPT, Choice, Table, key  # noqa: E402
from moe_mlir import _ptx  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS, COLUMNS, DEPTHS = (16, 32, 64, 128), (64, 128, 256), (32, 64, 128)
GROUPS, WARPS, STAGES = (1, 8), (4, 8), (2, 3, 4, 5)
#: Depths and stages of --quick, and the elements of a tile for 4 warps.
QUICK, QUICK_ELEMENTS = ((64, 3), (64, 4), (128, 3)), 128 * 128
#: Sums that a thread can hold without a thought of spilling.
FEW_SUMS = 64
#: Times of the two matmuls and of the sort; None: the tile does not fit.
Times = tuple[float, float, float] | None


def tiles(case: Case, quick: bool) -> Iterator[Tile]:
    """What is tried for a case."""
    mean = case.shape.pairs / case.shape.experts
    for rows, columns, depth, group, warps, stages in itertools.product(
        ROWS, COLUMNS, DEPTHS, GROUPS, WARPS, STAGES
    ):
        near = mean / 4 <= rows <= max(32, 4 * mean)
        few = 8 if rows * columns > QUICK_ELEMENTS else 4
        usual = group == 8 and warps == few and (depth, stages) in QUICK
        if not quick or (near and usual):
            yield Tile(rows, columns, depth, group, warps, stages)


def version() -> str:
    """Of the emulator and the peer's kernels: what is kept holds for one."""
    parts = pathlib.Path(_ptx.__file__), pathlib.Path(peer_kernels.__file__)
    return hashlib.sha256(b"".join(p.read_bytes() for p in parts)).hexdigest()[:12]


class Sweep:
    """Times of tiles, kept in a file of lines of JSON."""

    def __init__(self, keep: pathlib.Path) -> None:
        self._keep, self._version = keep, version()
        self._known: dict[str, Times] = {}
        if keep.exists():
            for line in keep.read_text().splitlines():
                name, times = json.loads(line)
                self._known[name] = tuple(times) if times else None

    def times(self, case: Case, peer: Peer, tile: Tile) -> Times:
        """Of a tile for both matmuls."""
        name = f"{self._version} {key(case)} {tile_name(tile)}"
        if name not in self._known:
            self._known[name] = measure(case, peer, tile)
            self._keep.parent.mkdir(parents=True, exist_ok=True)
            with self._keep.open("a") as stream:
                stream.write(json.dumps([name, self._known[name]]) + "\n")
        return self._known[name]


def spills(layer: Layer) -> bool:
    """Whether a matmul of a layer keeps many registers in memory."""
    return any(
        made.spill_stores > SPILLS_WHOLE_LINES
        for text in {launch.kernel.text for launch in layer.launches}
        for made in assemble(text, "sm_80").values()
    )


def measure(case: Case, peer: Peer, tile: Tile) -> Times:
    layer = peer.layer((tile, tile))
    if any(launch.kernel.shared > SHARED[80] for launch in layer.launches):
        return None
    if tile.rows * tile.columns > FEW_SUMS * 32 * tile.warps and spills(layer):
        return None
    sort = [
        Counted.from_result(count(launch), launch.kernel.text)
        for launch in layer.launches[:3]
    ]
    first, second = (
        peer_sample.microseconds(case, layer, launch)
        for launch in layer.launches
        if launch.kernel.name == "grouped_matmul"
    )
    return first, second, microseconds(sort)


def choose(found: dict[Tile, Times]) -> list[Choice]:
    """The best pairs of tiles; both of a pair share the sort, and so the rows."""
    fitting = {tile: times for tile, times in found.items() if times}
    choices = []
    for rows in {tile.rows for tile in fitting}:
        same = [tile for tile in fitting if tile.rows == rows]
        firsts, seconds = (
            sorted(same, key=lambda tile, i=i: fitting[tile][i])[:KEPT] for i in (0, 1)
        )
        for first, second in itertools.product(firsts, seconds):
            time = fitting[first][0] + fitting[second][1] + fitting[first][2]
            choices.append(Choice((first, second), time))
    return sorted(choices, key=lambda choice: choice.microseconds)[:KEPT]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a part of the tiles")
    parser.add_argument("--case", action="append", help="cases whose name holds it")
    parser.add_argument(
        "--keep", type=pathlib.Path, default=ROOT / "build" / "sweep-gpu.jsonl"
    )
    given = parser.parse_args()
    sweep, table = Sweep(given.keep), Table.read()
    options = [arg for arg in sys.argv[1:] if arg == "--quick"]
    table.command = shlex.join(["python", "benchmarks/sweep_gpu.py", *options])
    for case in all_cases():
        if case.routing != "uniform":
            continue
        if given.case and not any(text in case.name for text in given.case):
            continue
        peer = Peer(case)
        found = {}
        for tile in tiles(case, given.quick):
            found[tile] = sweep.times(case, peer, tile)
            times = found[tile]
            said = " + ".join(f"{us:.1f}" for us in times) + " us" if times else "large"
            print(f"{key(case)}: {tile_name(tile)}: {said}", flush=True)
        table.choices[key(case)] = choose(found)
        table.write()
        for choice in table.choices[key(case)]:
            print(
                f"{key(case)}: {choice.microseconds:.1f} us, {tiles_name(choice.tiles)}"
            )


if __name__ == "__main__":
    main()
