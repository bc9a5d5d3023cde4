"""What is known of a kernel without running it: its main loop, its registers."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from moe_mlir.errors import MoEError
from moe_mlir.ptxas import find_ptxas


@dataclasses.dataclass(frozen=True)
class Loop:
    """A loop's instructions in a round, without those that do nothing.

    Attributes:
        products: Matrix products.
        others: All others.
        loads: ldmatrix of four matrices.
        copies: cp.async.
        barriers: Barriers of a block.
        waits: Waits for copies: one a step of the depth.
    """

    products: int
    others: int
    loads: int
    copies: int
    barriers: int
    waits: int

    @property
    def others_per_product(self) -> float:
        return self.others / self.products


@dataclasses.dataclass(frozen=True)
class Assembled:
    """A kernel as machine code.

    Attributes:
        registers: Of a thread.
        spill_stores: Bytes of registers a thread stores to local memory.
        spill_loads: Bytes it loads from there.
        loop: The main loop, None if it was not disassembled or multiplies nothing.
    """

    registers: int
    spill_stores: int
    spill_loads: int
    loop: Loop | None


def _kernel_text(text: str, kernel: str) -> str:
    """The PTX of one kernel of a module."""
    found = re.search(rf"\.entry\s+{re.escape(kernel)}\b.*?(?=\.entry|\Z)", text, re.S)
    assert found, kernel
    return found[0]


def _loop_of(statements: list[str], words: tuple[str, ...]) -> Loop:
    def count(word: str) -> int:
        return sum(word in statement for statement in statements)

    products, loads, copies, barriers, waits = map(count, words)
    others = len(statements) - products
    return Loop(products, others, loads, copies, barriers, waits)


_PTX_WORDS = ("mma.sync", "ldmatrix", ".shared.global", "bar.sync", "cp.async.wait")
_SASS_WORDS = ("HMMA", "LDSM", "LDGSTS", "BAR.SYNC", "LDGDEPBAR")


def ptx_loop(text: str, kernel: str) -> Loop | None:
    """The loop of a kernel's PTX that multiplies most, None without any."""
    labels: dict[str, int] = {}
    statements: list[str] = []
    jumps: list[tuple[int, int]] = []
    body = re.sub(r"//.*", "", _kernel_text(text, kernel)).replace("\n", " ")
    for line in body.split(";"):
        for label in re.findall(r"(\$L__BB\w+):", line):
            labels[label] = len(statements)
        statement = re.sub(r"^.*\$L__BB\w+:", "", line).strip(" \t{}")
        if not statement or statement.startswith("."):
            continue
        statements.append(statement)
        back = re.match(r"@!?%p\d+ +bra\S*\s+(\$L__BB\w+)", statement)
        if back and back[1] in labels:
            jumps.append((labels[back[1]], len(statements)))
    return _largest(statements, jumps, _PTX_WORDS)


def sass_loop(sass: str) -> Loop | None:
    """The same of a kernel's machine code as cuobjdump prints it."""
    addresses: dict[int, int] = {}
    statements: list[str] = []
    jumps: list[tuple[int, int]] = []
    for line in re.finditer(r"/\*([0-9a-f]{4,})\*/\s+([^;/]+);", sass):
        addresses[int(line[1], 16)] = len(statements)
        statements.append(line[2].strip())
        back = re.search(r"\bBRA\s+(?:\S+, )?0x([0-9a-f]+)", statements[-1])
        if back and int(back[1], 16) in addresses:
            jumps.append((addresses[int(back[1], 16)], len(statements)))
    return _largest(statements, jumps, _SASS_WORDS)


def _largest(
    statements: list[str], jumps: list[tuple[int, int]], words: tuple[str, ...]
) -> Loop | None:
    """Of the inner loops that jumps back end, the one that multiplies most.

    Where the exit of a kernel stands before its last block, a jump to it leads back,
    too, and ends no loop.
    """
    jumps = [jump for jump in jumps if not _exits(statements[jump[0] :])]
    inner = [
        (begin, end)
        for begin, end in jumps
        if not any(begin <= b and e < end for b, e in jumps)
    ]
    loops = [
        _loop_of([s for s in statements[begin:end] if s != "NOP"], words)
        for begin, end in inner
    ]
    best = max(loops, key=lambda loop: loop.products, default=None)
    return best if best and best.products else None


def _exits(statements: list[str]) -> bool:
    """Whether the end of the kernel is reached before any branch."""
    for statement in statements:
        if re.match(r"ret\b|EXIT\b", statement):
            return True
        if re.search(r"\bbra\b|\bBRA\b", statement):
            return False
    return True


def _disassembler() -> str | None:
    if found := shutil.which("cuobjdump"):
        return found
    spec = importlib.util.find_spec("triton")
    for root in (spec.submodule_search_locations or ()) if spec else ():
        return shutil.which(str(Path(root, "backends/nvidia/bin/cuobjdump")))
    return None


@functools.lru_cache(maxsize=64)
def assemble(text: str, chip: str) -> dict[str, Assembled]:
    """Each kernel of a module as machine code; empty without an assembler."""
    try:
        program = find_ptxas()
    except MoEError:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = Path(folder, "kernels.ptx"), Path(folder, "kernels.cubin")
        source.write_text(text)
        command = [program, "-v", f"-arch={chip}", str(source), "-o", str(cubin)]
        made = subprocess.run(command, capture_output=True, text=True, check=True)
        sass = _disassemble(cubin)
    kernels = {}
    for part in made.stderr.split("Compiling entry function '")[1:]:
        name = part.split("'")[0]
        numbers = [
            re.search(pattern, part)
            for pattern in (
                r"Used (\d+) reg",
                r"(\d+) bytes spill st",
                r"(\d+) bytes spill l",
            )
        ]
        values = [int(found[1]) if found else 0 for found in numbers]
        loop = sass_loop(sass[name]) if name in sass else None
        kernels[name] = Assembled(values[0], values[1], values[2], loop)
    return kernels


def _disassemble(cubin: Path) -> dict[str, str]:
    """The machine code of each kernel as text."""
    program = _disassembler()
    if program is None:
        return {}
    command = [program, "-sass", str(cubin)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    parts = re.split(r"Function : (\S+)", run.stdout)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
