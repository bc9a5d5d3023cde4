"""The PTX emulator's counters and modelled times beside those of an H100.

usage: python benchmarks/bench_ptx_model.py [--build DIR] [--case TEXT]... [--raw]
                                            [--cost] [--validate]

Compiles the kernels of test/PTX/counters with nvcc, runs every recorded case on the
emulator with its cache model, and prints a table (model / hardware), then the bars.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = ROOT / "test" / "PTX" / "counters"


def find_program(build: pathlib.Path) -> pathlib.Path:
    """The program that runs the cases, wherever the build put it."""
    for path in sorted(build.rglob("ptx-model-cases")):
        if path.is_file():
            return path
    sys.exit(f"no ptx-model-cases in {build}: build the project first (make build)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument(
        "--case", action="append", default=[], help="only cases whose name holds it"
    )
    parser.add_argument("--raw", action="store_true", help="print every counter")
    parser.add_argument("--cost", action="store_true", help="host time of counting")
    parser.add_argument(
        "--validate",
        action="store_true",
        help="choose the time model's constants on half of the cases, test the rest",
    )
    arguments = parser.parse_args()
    nvcc = shutil.which("nvcc")
    if not nvcc:
        print("nvcc is not installed: the recorded kernels cannot be compiled")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name in ("memory", "compute"):
            files.append(str(pathlib.Path(folder) / f"{name}.ptx"))
            command = [nvcc, "-O3", "-std=c++17", "-arch=sm_90", "--ptx"]
            source = str(CASES / f"{name}.cu")
            subprocess.run([*command, "-o", files[-1], source], check=True)
        command = [str(find_program(arguments.build)), str(CASES / "cases.txt"), *files]
        for case in arguments.case:
            command += ["--case", case]
        command += ["--raw"] if arguments.raw else []
        command += ["--cost"] if arguments.cost else []
        command += ["--validate"] if arguments.validate else []
        return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
