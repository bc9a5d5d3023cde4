"""Our GPU kernels beside the peer's, by the emulator's counters: `make bench-gpu`.

usage: python benchmarks/compare_gpu.py [--case TEXT]... [--no-wgmma] [--jobs N]
                                        [--keep FOLDER] [--quick]

For each layer, number of tokens and routing: our layer as the compiler makes it for
sm_80, and a fused MoE layer in Triton with the tiles of gpu/peer_tiles.json (written by
sweep_gpu.py) and those that were the best on hardware. Prints a row for each promise;
exits with 1 if one was missed. Times are modelled: nothing here runs on a GPU.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import pathlib
import sys

from bars import Bars

# Triton's default is about to change; a peer without fused products would be unfair.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

from gpu import (  # noqa: E402
    compile_rows,
    layer_rows,
    matmul_rows,
    route_rows,
    time_rows,
)
from gpu.cases import Case, all_cases, zeros  # noqa: E402
from gpu.counted import Counted, microseconds  # noqa: E402
from gpu.layer_rows import Measured  # noqa: E402
from gpu.our_layer import compile_text, layer_text, route_text  # noqa: E402
from gpu.peer import BF16, Shape, Tile  # noqa: E402
from gpu.peer_runs import WGMMA, WINNERS, Peer, tile_name, tiles_name  # noqa: E402
from gpu.peer_table import Table  # noqa: E402

CHIP = "sm_80"
#: The layer whose routing is compared with its time, at this many tokens.
LONG = Case(Shape(4096, 64, 8, 2048, 1024), "uniform")


def run_ours(case: Case) -> list[Counted]:
    """Our launches; inputs and weights are zero, which no counter sees."""
    shape = case.shape
    layer = compile_text(layer_text(shape), CHIP)
    x = zeros((1, shape.tokens, shape.hidden), BF16)
    return layer.run(x, case.logits()[None])[1]


def measure(
    case: Case, keep: pathlib.Path | None, wgmma: bool, winners: tuple[Tile, ...]
) -> Measured:
    """Runs both sides of a case.

    Args:
        keep: Keeps the peer's counters from run to run.
        wgmma: Whether the peer's build for sm_90 is run, too.
        winners: Tiles of the peer beside those of the table.
    """
    ours = run_ours(case)
    peer = Peer(case, keep)
    choices = [choice.tiles for choice in Table.read().of(case)]
    compared = [*choices[:1], *((tile, tile) for tile in winners)]
    peers = {tiles_name(tiles): peer.run(tiles) for tiles in compared}
    others = {tiles_name(tiles): peer.run(tiles) for tiles in choices[1:]}
    others = {name: runs for name, runs in others.items() if name not in peers}
    measured = Measured(case, ours, peers, others)
    if wgmma:
        tile = WGMMA[case.shape.tokens]
        measured.wgmma = tile_name(tile), peer.run((tile, tile), sm=90)
    return measured


#: A layer of a second, and the only tiles for it: to see that all rows are made.
SMALL = Case(Shape(40, 8, 2, 1024, 1024), "zipf")
SMALL_TILES = (Tile(32, 64, 64, 8, 4, 3),)


def run_routes() -> list[route_rows.Routed]:
    """Our routing alone, in both scopes."""
    routed = []
    for tokens, experts, kind in route_rows.programs():
        values = route_rows.logits(tokens, experts, kind)
        for scope in route_rows.SCOPES:
            chosen = route_rows.CHOSEN
            text = route_text(tokens, experts, chosen, scope, len(values))
            _, launches = compile_text(text, CHIP).run(values)
            (launch,) = (one for one in launches if one.kernel == "route")
            routed.append(route_rows.Routed(tokens, experts, kind, scope, launch))
    return routed


def print_case(bars: Bars, measured: Measured, seen: set[str]) -> None:
    """All rows of a case; those of code once for each kernel."""
    case = measured.case
    layer_rows.compare(bars, measured)
    matmul_rows.compare(bars, case, measured.ours)
    for matmul in matmul_rows.matmuls(case, measured.ours):
        name = f"{case.layer} {matmul.launch.kernel}"
        if name not in seen:
            seen.add(name)
            matmul_rows.compare_code(bars, f"E{case.shape.experts}", matmul, CHIP)
    if time_rows.measured(case):
        winner = time_rows.WINNER[case.shape.tokens]
        peer = measured.peers[tiles_name((winner, winner))]
        time_rows.compare(bars, case, measured.ours, peer)
    layer_rows.describe(bars, measured, CHIP)


def arguments() -> tuple[argparse.Namespace, list[Case], bool]:
    """What was asked for, the cases, and whether the routing by itself is one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--case",
        action="append",
        help='only cases whose name holds it: "E64", "T16 u", "route and compile"',
    )
    parser.add_argument(
        "--no-wgmma", action="store_true", help="leave out the peer's build for sm_90"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one tiny layer, to try the program out"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument(
        "--keep", type=pathlib.Path, help="a folder that keeps the peer's counters"
    )
    given = parser.parse_args()
    if given.quick:
        return given, [SMALL], False
    wanted = given.case or [""]
    cases = [c for c in all_cases() if any(text in c.name for text in wanted)]
    route = any(text in "route and compile" for text in wanted)
    if not cases and not route:
        parser.error(f"no case's name holds {' or '.join(wanted)}")
    return given, cases, route


def main() -> None:
    given, cases, route = arguments()
    bars = Bars("our GPU kernels beside the peer's, by counters of the emulator")
    table = Table.read()
    bars.note(f"tiles of the peer: {table.command or 'no sweep was run'}")
    winners, wgmma = WINNERS, not given.no_wgmma
    if given.quick:
        winners, wgmma = SMALL_TILES, False
    pool = concurrent.futures.ProcessPoolExecutor(
        given.jobs, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    )
    with pool:
        runs = [pool.submit(measure, c, given.keep, wgmma, winners) for c in cases]
        routes = pool.submit(run_routes) if route else None
        long = pool.submit(run_ours, LONG) if route else None
        seen: set[str] = set()
        layers: dict[int, float] = {}
        for run in runs:
            measured = run.result()
            print_case(bars, measured, seen)
            case = measured.case
            if case.layer == LONG.layer and case.routing == LONG.routing:
                layers[case.shape.tokens] = microseconds(measured.ours)
        if routes and long:
            layers[LONG.shape.tokens] = microseconds(long.result())
            route_rows.compare(bars, routes.result(), layers)
    if route:
        compile_rows.compare(bars, CHIP)
    bars.note("times and DRAM bytes are modelled; time on a device was not measured")
    if bars.missed:
        print(f"{bars.missed} rows failed", file=sys.stderr)
    bars.exit()


if __name__ == "__main__":
    main()
