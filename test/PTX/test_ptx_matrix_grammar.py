"""The emulator takes exactly those matrix instructions that the assembler takes.

The other way round than test_ptx_isa.py: not from the table, but from the grammar.
"""

import pathlib
import re
import shutil
import subprocess

import matrix_grammar
import pytest
from moe_mlir import ptx

DECLARATIONS = ".reg .b32 r<32>; .reg .f32 f<32>; .reg .f64 d<32>;"
#: The assembler is given so many at a time.
PART = 8000
LONG = pytest.mark.long


def taken_by_assembler(
    statements: list[str], target: str, folder: pathlib.Path
) -> list[str]:
    """Those it does not refuse. It looks closer at what is left the next time."""
    head = [".version 9.0", f".target {target}", ".address_size 64"]
    head += [".visible .entry k() {", DECLARATIONS]
    path = folder / "forms.ptx"
    command = ["ptxas", "-O0", f"-arch={target}", str(path), "-o", "/dev/null"]
    while statements:
        path.write_text("\n".join([*head, *statements, "ret; }"]) + "\n")
        run = subprocess.run(command, capture_output=True, text=True)
        lines = re.findall(r"line (\d+)[^;\n]*; error *:", run.stderr)
        refused = {int(line) - len(head) - 1 for line in lines}
        if not refused:
            assert run.returncode == 0, run.stderr
            break
        statements = [s for i, s in enumerate(statements) if i not in refused]
    return statements


def is_taken(statement: str, target: str) -> bool:
    head = f".version 9.0\n.target {target}\n.address_size 64\n"
    try:
        ptx.Module(f"{head}.visible .entry k() {{ {DECLARATIONS} {statement} ret; }}")
    except ptx.PtxError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "target", "least"),
    [
        ("moves", "sm_75", 18),
        ("moves", "sm_90a", 36),
        ("moves", "sm_120a", 81),
        pytest.param("moves", "sm_100a", 81, marks=LONG),
        pytest.param("moves", "sm_120f", 81, marks=LONG),
        pytest.param("products", "sm_75", 31, marks=LONG),
        pytest.param("products", "sm_80", 150, marks=LONG),
        pytest.param("products", "sm_90a", 190, marks=LONG),
        pytest.param("products", "sm_100a", 210, marks=LONG),
        pytest.param("products", "sm_120a", 410, marks=LONG),
        pytest.param("products", "sm_120f", 406, marks=LONG),
        pytest.param("products", "sm_121a", 410, marks=LONG),
    ],
)
def test_the_assembler_agrees(
    kind: str, target: str, least: int, tmp_path: pathlib.Path
) -> None:
    if not shutil.which("ptxas"):
        pytest.skip("ptxas is not installed")
    statements = getattr(matrix_grammar, kind)()
    parts = [statements[i : i + PART] for i in range(0, len(statements), PART)]
    theirs = {s for part in parts for s in taken_by_assembler(part, target, tmp_path)}
    ours = {s for s in statements if is_taken(s, target)}
    assert len(theirs) >= least
    assert sorted(theirs - ours) == [], "only the assembler takes these"
    assert sorted(ours - theirs) == [], "only the emulator takes these"
