"""Prepares a kit: kernels, inputs by seeds, and what the emulator computes.

usage: python -m device_kit [--output DIR] [--only PATTERN] [--timed full|small|none]
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import os
import pathlib
import re
import shutil
import sys
import time

# Newer kernels run in the emulator, too, and what it finds wrong with one is an error.
os.environ.setdefault("PTX_ARCH", "sm_90")
os.environ |= {"PTX_CHECK": "bounds,race,poison,async", "PTX_FINDINGS": "error"}

from device.manifest import NAME, Kit  # noqa: E402

from device_kit.cases import all_cases  # noqa: E402
from device_kit.programs import Writer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNNER = ROOT / "benchmarks" / "device"
#: What fits the way to a device.
MOST_BYTES = 64 * 2**20
_START = '''"""Executes this kit on a device: python3 FOLDER [OPTIONS]; see -h."""

import sys

from device.__main__ import main

sys.exit(main())
'''


def write(folder: pathlib.Path, only: str, timed: str) -> Kit:
    """Writes a kit of the cases that match a pattern, and a plan of what is timed."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(
        RUNNER, folder / "device", ignore=shutil.ignore_patterns("__pycache__")
    )
    (folder / "__main__.py").write_text(_START)
    writer = Writer(folder)
    checks = []
    for case in all_cases():
        if re.search(only, case.name):
            start = time.monotonic()
            checks.append(writer.case(case))
            print(f"{case.name} ({time.monotonic() - start:.1f} s)", flush=True)
    content = {}
    if timed != "none":
        # Needs Triton.
        from device_kit.timed import PLANS, write_timed

        content = dataclasses.asdict(write_timed(writer, PLANS[timed]))
    return Kit(folder, writer.modules, tuple(checks), content)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m device_kit", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="cases that match this pattern")
    parser.add_argument("--timed", choices=("full", "small", "none"), default="full")
    options = parser.parse_args()
    if options.timed != "none" and not importlib.util.find_spec("triton"):
        parser.error("the peer needs Triton: pip install triton, or --timed none")
    if options.output.exists() and not (options.output / NAME).exists():
        parser.error(f"{options.output} is there, and is no kit; name another folder")
    cache = options.output.resolve().parent / "ptx-cache" / "triton"
    os.environ.setdefault("TRITON_CACHE_DIR", str(cache))
    kit = write(options.output, options.only, options.timed)
    kit.write()
    size = sum(f.stat().st_size for f in kit.folder.rglob("*") if f.is_file())
    print(f"{kit.folder}: {len(kit.checks)} programs, {size / 2**20:.1f} MiB")
    if size > MOST_BYTES:
        print(f"error: more than {MOST_BYTES >> 20} MiB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
