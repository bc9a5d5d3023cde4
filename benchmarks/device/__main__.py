"""Executes the kernels of a kit on a device, compares, and times.

usage: python3 -m device [--kit DIR] [--driver LIBRARY] [--only TEXT] [--no-timing]
           [--without-graphs] [--minutes N]

The exit status is 0 if everything passes, or where there is no device: it then says
that nothing was tested. 1: a result is wrong, or a bar is missed. 2: the kit cannot
be read, or the driver fails.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import threading
import time

from device.checks import run_checks
from device.driver import (
    EVENT_FUNCTIONS,
    GRAPH_FUNCTIONS,
    LIBRARY,
    Driver,
    DriverError,
    NoDevice,
)
from device.execute import Modules
from device.manifest import Kit, KitError, read
from device.rows import run_rows

#: A kit brings this package along.
HERE = pathlib.Path(__file__).resolve().parent.parent


def give_up(minutes: float) -> None:
    """Ends the process: a kernel that hangs cannot be stopped in another way."""
    print(
        f"FAIL: not done after {minutes:g} minutes; what hangs comes after the last "
        "line above",
        flush=True,
    )
    os._exit(1)


def time_kernels(options: argparse.Namespace, kit: Kit, modules: Modules) -> bool:
    """Times what the kit says; whether no bar is missed."""
    driver = modules.driver
    graphs = not options.without_graphs
    needed = EVENT_FUNCTIONS + (GRAPH_FUNCTIONS if graphs else ())
    if options.no_timing:
        print("timing: skipped, as asked for")
    elif not kit.timed:
        print("timing: skipped, the kit has nothing to time")
    elif missing := driver.missing(needed):
        print(f"timing: skipped, the driver has no {', '.join(missing)}")
    else:
        return run_rows(kit, driver, modules, graphs)
    return True


def run(options: argparse.Namespace, driver: Driver) -> int:
    """Everything on one device; the exit status."""
    start = time.monotonic()
    kit = read(options.kit)
    version = f"{driver.version // 1000}.{driver.version % 1000 // 10}"
    print(
        f"device: {driver.name}, sm_{driver.capability}, {driver.multiprocessors} "
        f"multiprocessors, L2 {driver.l2_bytes / 2**20:.0f} MiB, CUDA {version}",
        flush=True,
    )
    modules = Modules(kit, driver)
    passed = run_checks(kit, driver, modules, options.only)
    passed &= time_kernels(options, kit, modules)
    seconds = time.monotonic() - start
    print(f"{'pass' if passed else 'FAIL'} after {seconds:.0f} s")
    return 0 if passed else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m device", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--kit", type=pathlib.Path, default=HERE)
    parser.add_argument("--driver", default=LIBRARY, help="another driver's library")
    parser.add_argument("--only", default="", help="checks with this in their name")
    parser.add_argument("--no-timing", action="store_true")
    parser.add_argument(
        "--without-graphs",
        action="store_true",
        help="time launches, with what launching costs; judges no bar",
    )
    parser.add_argument(
        "--minutes", type=float, default=8, help="after which it gives up (8)"
    )
    options = parser.parse_args()
    watch = threading.Timer(60 * options.minutes, give_up, [options.minutes])
    watch.daemon = True
    watch.start()
    try:
        driver = Driver(options.driver)
    except NoDevice as error:
        print(f"no device: {error}\nnothing was tested")
        # A driver that is asked for must be there.
        return 0 if options.driver == LIBRARY else 2
    except DriverError as error:
        print(f"the device cannot be used: {error}", file=sys.stderr)
        return 2
    try:
        return run(options, driver)
    except (KitError, DriverError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
