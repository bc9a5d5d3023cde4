"""Everything that is timed, and its bars."""

from __future__ import annotations

from device import data
from device.driver import Driver
from device.execute import Loaded, Memory, Modules, Unsupported
from device.launch import Call
from device.layer_rows import LayerRows
from device.manifest import Kit, Program
from device.table import Table
from device.timed import Timed, read_timed
from device.timing import Timer, emitting

#: The capability of the chip that the bars were set on.
_JUDGED = 90
#: Microseconds of a routing in a graph, by the end of its name.
_ROUTE_BARS = {"T4096-E256-sequence": 18.0, "T4096-E256-token": 14.0}
#: Of the reading kernel: threads of a block, bytes that a block reads in one step,
#: bytes in all, and the steps of a block that are tried.
_THREADS, _STEP_BYTES, _READ_BYTES = 256, 32768, 512 * 2**20
_STEPS = (2, 4, 16, 64)
_READER = "read_memory"


def read_rate(
    driver: Driver, modules: Modules, timer: Timer, module: str, size: int
) -> float:
    """The rate at which a plain kernel reads memory, in TB/s: the best of some
    grids."""
    function = modules.function(module, _READER)
    with Memory(driver) as memory:
        piece = data.words(31, 2**20)
        source = memory.repeat(piece, size // 8)
        sink = memory.allocate(16)
        calls = {}
        for steps in _STEPS:
            blocks = size // (_STEP_BYTES * steps)
            if blocks:
                arguments = [(8, source), (8, sink), (4, steps)]
                call = Call(driver, function, (blocks, 1, 1), _THREADS, 0, arguments)
                calls[f"{steps}"] = blocks * steps * _STEP_BYTES, call
        times = timer.measure({n: emitting([c]) for n, (_, c) in calls.items()})
        rates = [moved / times[n].median / 1e6 for n, (moved, _) in calls.items()]
    return max(rates)


def _time_route(
    program: Program, driver: Driver, modules: Modules, timer: Timer, table: Table
) -> None:
    with Memory(driver) as memory:
        calls = Loaded(program, modules, driver, memory).calls
        times = timer.measure({"": emitting(calls)})[""]
    bar = next((b for n, b in _ROUTE_BARS.items() if program.name.endswith(n)), None)
    if bar is None:
        table.show(program.name, f"{times.median:.2f} us")
    else:
        table.at_most(program.name, times.median, bar, " us")


def run_rows(kit: Kit, driver: Driver, modules: Modules, graphs: bool) -> bool:
    """Times everything; whether no bar is missed."""
    timed: Timed = read_timed(kit.timed)
    timer = Timer(driver, graphs)
    table = Table(graphs and driver.capability == _JUDGED)
    size = min(_READ_BYTES, max(4 * driver.l2_bytes, 2**20) if graphs else 2**20)
    rate = read_rate(driver, modules, timer, timed.reader, size)
    table.show("reading memory", f"{rate:.3f} TB/s")
    for program in timed.routes:
        try:
            _time_route(program, driver, modules, timer, table)
        except Unsupported as reason:
            table.show(program.name, f"skipped: {reason}")
    for layer in timed.layers:
        try:
            LayerRows(layer, driver, modules, timer, table, rate).run()
        except Unsupported as reason:
            table.show(layer.shape.name, f"skipped: {reason}")
    return table.close()
