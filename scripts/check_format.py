"""Checks the format of C++ (clang-format) and Python (ruff), or mends it.

usage: python scripts/check_format.py [--fix] [ROOT]
"""

import argparse
import os
import pathlib
import subprocess
import sys

from source_files import CXX, PYTHON, ROOT, source_files

CLANG_FORMAT = os.path.join(
    os.environ.get("LLVM_PREFIX", "/usr/lib/llvm-22"), "bin", "clang-format"
)


def commands(root: pathlib.Path, fix: bool) -> list[list[str]]:
    """The commands to run, each with the files it is for."""
    cxx = [str(path) for path in source_files(root, *CXX)]
    python = [str(path) for path in source_files(root, *PYTHON)]
    style = ["-i"] if fix else ["--dry-run", "--Werror"]
    result = []
    if cxx:
        result.append([CLANG_FORMAT, *style, *cxx])
    if python:
        ruff = [sys.executable, "-m", "ruff"]
        options = ["--quiet"] if fix else ["--check", "--quiet", "--diff"]
        result.append([*ruff, "format", *options, *python])
        options = ["--fix", "--quiet"] if fix else ["--quiet"]
        result.append([*ruff, "check", "--no-cache", *options, *python])
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fix", action="store_true", help="change the files")
    parser.add_argument("root", type=pathlib.Path, nargs="?", default=ROOT)
    options = parser.parse_args()
    root = options.root.resolve()
    failed = [
        command[:4]
        for command in commands(root, options.fix)
        if subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL).returncode
    ]
    if failed and not options.fix:
        print("format: not clean; run `make format`")
    elif not failed:
        print("format: clean")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
