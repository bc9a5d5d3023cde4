"""What ptxas makes of kernels: spills, and the room that their registers leave.

usage: python machine_code.py CHIP < MODULE

Assembles the PTX of a module with a gpu.binary and prints a line for each kernel: the
blocks of a multiprocessor that it asks for, and whether it has memory of its own. Exits
with 1 where its registers leave room for fewer blocks.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import tempfile

#: Of a multiprocessor.
REGISTERS = 65536


def assembly(module: str) -> str:
    """The PTX in the text of a module with a gpu.binary."""
    found = re.search(r'assembly = "((?:[^"\\]|\\.)*)"', module)
    assert found, module[:2000]
    return re.sub(
        r'\\([0-9A-F]{2}|["\\])',
        lambda escape: (
            chr(int(escape[1], 16)) if len(escape[1]) == 2 else str(escape[1])
        ),
        found[1],
    )


def assembled(text: str, chip: str, folder: pathlib.Path) -> str:
    """What ptxas says of a module's kernels."""
    source = folder / "kernels.ptx"
    source.write_text(text)
    made = subprocess.run(
        [
            os.environ.get("PTXAS", "ptxas"),
            "-v",
            f"-arch={chip}",
            source,
            "-o",
            folder / "kernels.cubin",
        ],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return made.stderr


def check_no_spill(said: str) -> None:
    """No kernel has memory of its own."""
    used = re.findall(r"(\d+) bytes (?:stack frame|spill)", said)
    assert used
    assert set(used) == {"0"}, said


def check_route(text: str, chip: str, folder: pathlib.Path) -> None:
    """A kernel that routes has no memory of its own; its registers leave room for the
    one block of a multiprocessor that it asks for."""
    said = assembled(text, chip, folder)
    check_no_spill(said)
    planned, by_registers = resident_blocks(text, said)["route"]
    assert 1 == planned <= by_registers


def resident_blocks(text: str, said: str) -> dict[str, tuple[int, int]]:
    """For each kernel of a module: the blocks of a multiprocessor that its text asks
    for, 0 if for none, and those that ptxas gives registers for."""
    used = dict(
        re.findall(r"entry function '(\w+)'.*?Used (\d+) registers", said, re.DOTALL)
    )
    found = {}
    for name, head in re.findall(r"\.entry (\w+)\((.*?)\n\{", text, re.DOTALL):
        threads = re.search(r"\.(?:max|req)ntid (\d+)", head)
        planned = re.search(r"\.minnctapersm (\d+)", head)
        assert threads, head
        # A warp is given registers in steps of 256.
        warp = -(-int(used[name]) * 32 // 256) * 256
        blocks = REGISTERS // (warp * int(threads[1]) // 32)
        found[name] = (int(planned[1]) if planned else 0, blocks)
    return found


def main() -> int:
    text = assembly(sys.stdin.read())
    with tempfile.TemporaryDirectory() as folder:
        said = assembled(text, sys.argv[1], pathlib.Path(folder))
    of_kernel = re.split(r"entry function '", said)[1:]
    spills = {one.partition("'")[0]: one for one in of_kernel}
    fits = True
    for name, (planned, by_registers) in resident_blocks(text, said).items():
        own = set(re.findall(r"(\d+) bytes (?:stack frame|spill)", spills[name]))
        print(
            f"{name}: {planned} blocks planned,",
            "room for them,"
            if by_registers >= planned
            else f"room for {by_registers},",
            "no spill" if own == {"0"} else "spills",
        )
        fits &= by_registers >= planned
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
