"""Reads TableGen records, for the checks beside this file."""

import json
import os
import pathlib
import subprocess
import typing

LLVM = pathlib.Path(os.environ.get("LLVM_PREFIX", "/usr/lib/llvm-22"))

Record = dict[str, typing.Any]


def records(root: pathlib.Path, name: str, *kinds: str) -> list[Record]:
    """The records of `include/<name>` that derive from one of the classes `kinds`.

    Raises subprocess.CalledProcessError (with its text) where TableGen refuses it.
    """
    command: list[str | pathlib.Path] = [
        LLVM / "bin" / "llvm-tblgen",
        "--dump-json",
        f"-I{root / 'include'}",
    ]
    command += [f"-I{LLVM / 'include'}", root / "include" / name]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    everything = json.loads(run.stdout)
    names = {
        record for kind in kinds for record in everything["!instanceof"].get(kind, [])
    }
    return [everything[record] for record in sorted(names)]


def place(root: pathlib.Path, record: Record) -> str:
    """`path:line` of a record."""
    file, line = record["!locs"][0].rsplit(":", 1)
    found = sorted((root / "include").rglob(file))
    return f"{found[0].relative_to(root) if found else file}:{line}"
