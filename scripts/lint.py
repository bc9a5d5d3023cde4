"""Runs clang-tidy on the C++ sources and mypy on the Python package and scripts.

usage: python scripts/lint.py [--build DIR] [FILE...]
"""

import argparse
import os
import pathlib
import subprocess
import sys

from source_files import ROOT, source_files

CLANG_TIDY = os.path.join(
    os.environ.get("LLVM_PREFIX", "/usr/lib/llvm-22"), "bin", "clang-tidy"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="only these")
    options = parser.parse_args()
    files = [path.resolve() for path in options.files] or source_files(ROOT, ".cpp")
    failed = 0
    for number, path in enumerate(files, 1):
        name = path.relative_to(ROOT)
        print(f"[{number}/{len(files)}] clang-tidy {name}", flush=True)
        command = [CLANG_TIDY, "--quiet", "-warnings-as-errors=*"]
        command += [f"-p={options.build}", str(path)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            print(run.stdout, end="")
            failed += 1
    if not options.files:
        targets = [str(ROOT / "python" / "moe_mlir"), str(ROOT / "scripts")]
        failed += bool(
            subprocess.run([sys.executable, "-m", "mypy", *targets]).returncode
        )
    print(f"lint: {failed} of {len(files)} files and mypy have findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
