"""Executes the kernels of a kit on a device and compares.

usage: python3 -m device [--kit DIR] [--driver LIBRARY] [--only TEXT]

The exit status is 0 if everything passes, or where there is no device: it then says
that nothing was tested. 1: a result is wrong. 2: the kit cannot
be read, or the driver fails.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import time

from device.checks import run_checks
from device.driver import LIBRARY, Driver, DriverError, NoDevice
from device.execute import Modules
from device.manifest import KitError, read

#: A kit brings this package along.
HERE = pathlib.Path(__file__).resolve().parent.parent


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
    print("timing: skipped, the kit has nothing to time")
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
    options = parser.parse_args()
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
