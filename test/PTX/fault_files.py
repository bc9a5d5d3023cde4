"""Reads the kernels in `faults/`: each is wrong in one way, and has a right twin.

A file is PTX for both. A line that ends in `//- KIND` is in the faulty form only, one
that ends in `//+` in the twin only. KIND says what must be reported at the line;
`//! KIND` says it of a line that both have. `A|B`: either of the two kinds.

Lines that begin with `//:` say how to launch:

    //: grid 2, block 64, shared 256, cluster 2, budget 1000
    //: args i32[64] zeros[4] readonly[8] null[1] 5 map:i32[8,16]/4,16

The arguments are arrays (counting from 0, zeros, not writable, null), a number, or a
tensor map of an array with the box after the slash.
"""

import dataclasses
import pathlib
import re
from typing import Any

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent / "faults"
MARK = re.compile(r"//([-+!])\s*([\w|-]*)\s*$")


@dataclasses.dataclass(frozen=True)
class Fault:
    """One faulty kernel and its twin; the lines of both have the same numbers."""

    name: str
    faulty: str
    twin: str
    # (line, kinds): one of these must be reported.
    expected: tuple[tuple[int, frozenset[str]], ...]
    options: dict[str, Any]
    arguments: tuple[str, ...]

    def args(self) -> list[Any]:
        """Fresh arguments of a launch."""
        return [argument(text) for text in self.arguments]


def array(text: str) -> np.ndarray:
    """An array such as i64[8,2], counting from 0."""
    kind, sizes = re.fullmatch(r"(\w+)\[([\d,]+)\]", text).groups()
    shape = tuple(map(int, sizes.split(",")))
    dtype = np.dtype({"i64": np.int64}.get(kind, np.int32))
    if kind == "zeros":
        return np.zeros(shape, dtype)
    counted = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    counted.flags.writeable = kind != "readonly"
    return counted


def argument(text: str) -> Any:
    if text.isdigit():
        return np.uint32(int(text))
    if text.startswith("null"):
        return None
    if text.startswith("map:"):
        from moe_mlir import ptx

        tensor, box = text.removeprefix("map:").split("/")
        return ptx.TensorMap(array(tensor), box=tuple(map(int, box.split(","))))
    return array(text)


def read(path: pathlib.Path) -> Fault:
    """One file."""
    faulty, twin, expected = [], [], []
    options: dict[str, Any] = {}
    arguments: tuple[str, ...] = ()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        mark = MARK.search(line)
        kind = mark[1] if mark else ""
        faulty.append("" if kind == "+" else line)
        twin.append("" if kind == "-" else line)
        if mark and mark[2]:
            assert kind != "+", f"{path.name}:{number}: nothing is wrong with the twin"
            expected.append((number, frozenset(mark[2].split("|"))))
        if line.startswith("//: args "):
            arguments = tuple(line.split()[2:])
        elif line.startswith("//: "):
            for part in line.removeprefix("//: ").split(","):
                key, value = part.split()
                options[key] = int(value)
    assert expected, f"{path.name} expects nothing"
    name = re.search(r"\.visible \.entry (\w+)", path.read_text())[1]
    assert name == path.stem
    texts = "\n".join(faulty), "\n".join(twin)
    return Fault(name, *texts, tuple(expected), options, arguments)


def read_all() -> dict[str, Fault]:
    """Every fault by name."""
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.ptx"))}
