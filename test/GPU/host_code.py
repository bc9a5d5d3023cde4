"""Computes what the host's code would launch: sizes, grids and arguments."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "addi": lambda x, y: x + y,
    "subi": lambda x, y: x - y,
    "muli": lambda x, y: x * y,
    "divui": lambda x, y: x // y,
    "ceildivui": lambda x, y: -(-x // y),
    "minui": min,
    "maxui": max,
    "andi": lambda x, y: x & y,
    "xori": lambda x, y: x ^ y,
    "ori": lambda x, y: x | y,
}
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "ult": lambda x, y: x < y,
    "ugt": lambda x, y: x > y,
    "ule": lambda x, y: x <= y,
    "uge": lambda x, y: x >= y,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
}


@dataclasses.dataclass(frozen=True)
class Launch:
    """A gpu.launch_func as it would happen.

    Attributes:
        arguments: Arrays and numbers, as the kernel takes them.
        cluster: Blocks of a cluster; 1 without clusters.
        workspace: The attribute `moe.workspace`, if there.
    """

    kernel: str
    grid: int
    threads: int
    shared: int
    cooperative: bool
    cluster: int
    workspace: int | None
    arguments: tuple[Any, ...]


@dataclasses.dataclass
class Host:
    """One function of the host, run op by op on arrays.

    Attributes:
        multiprocessors: How many the device is said to have.
    """

    multiprocessors: int
    values: dict[str, Any] = dataclasses.field(default_factory=dict)

    def run(self, function: str, arrays: list[Any]) -> list[Launch]:
        """The launches of a function's text, those without blocks left out."""
        lines = function.splitlines()
        names = re.findall(r"(%\w+): memref", lines[0])
        self.values = dict(zip(names, arrays, strict=True))
        launches = []
        for line in lines[1:]:
            if "gpu.launch_func" in line:
                launches.append(self.launch(line))
            elif found := re.match(r"\s*(%[\w#]+)(?::\w+)? = (\S+) (.*)", line):
                self.values[found[1]] = self.step(found[2], found[3])
        return [launch for launch in launches if launch.grid > 0]

    def step(self, op: str, text: str) -> Any:
        dialect, _, name = op.partition(".")
        if op == "arith.constant":
            word = text.split()[0]
            return int(word == "true") if word in ("true", "false") else int(word)
        operands = [self.values.get(word) for word in re.findall(r"%[\w#]+", text)]
        if op in ("func.call", "call"):
            assert "moe_multiprocessors" in text, text
            return self.multiprocessors
        if op == "memref.dim":
            return operands[0].shape[operands[1]]
        if op == "memref.extract_strided_metadata":
            return None
        if dialect == "arith" and name == "cmpi":
            return int(COMPARE[text.split(",")[0]](*operands))
        if dialect == "arith" and name == "select":
            return operands[1] if operands[0] else operands[2]
        if dialect == "arith" and name in ARITHMETIC:
            return ARITHMETIC[name](*operands)
        # Casts of addresses and sizes.
        assert len(operands) == 1, f"{op} {text}"
        return operands[0]

    def launch(self, line: str) -> Launch:
        found = re.search(
            r"@moe_kernels::@(\w+) (?:clusters in \((%\w+), .*)?"
            r"blocks in \((%\w+), .*threads in \((%\w+), .*"
            r"size (%\w+) args\((.*)\)",
            line,
        )
        assert found, line
        grid, threads, shared = (self.values[found[i]] for i in (3, 4, 5))
        words = re.search(r"moe.workspace = (\d+)", line)
        arguments = [self.values[name] for name in re.findall(r"(%\w+) :", found[6])]
        return Launch(
            found[1],
            grid,
            threads,
            shared,
            "moe.cooperative" in line,
            self.values[found[2]] if found[2] else 1,
            int(words[1]) if words else None,
            tuple(np.int32(x) if isinstance(x, int) else x for x in arguments),
        )


def launches_of(
    module: str, arrays: list[Any], multiprocessors: int = 108
) -> list[Launch]:
    """What the one function of moe.idx ops in a module launches for arrays."""
    functions = re.findall(
        r"func.func private @moe_idx_\w+\(.*?\n  }", module, flags=re.DOTALL
    )
    assert len(functions) == 1, module
    return Host(multiprocessors).run(functions[0], arrays)
