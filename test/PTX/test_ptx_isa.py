"""The instruction table agrees with the vendor's assembler.

Every row, written out with operands of its kinds, must be taken by ptxas for the
row's own target and version, and refused for the next older ones: the table lets
nothing through too early, and invents nothing.
"""

import bisect
import collections
import pathlib
import re
import shutil
import subprocess

import isa_forms
import pytest
from moe_mlir import ptx as emulator

VERSIONS = [60, 62, 63, 64, 65, 70, 71, 72, 73, 74, 75, 76, 77, 78]
VERSIONS += [80, 81, 82, 83, 84, 85, 86, 87, 88, 90]
TARGETS = [75, 80, 86, 89, 90, 100, 120]
# The version from which each target can be named.
TARGET_VERSIONS = {75: 63, 80: 70, 86: 71, 87: 74, 89: 78, 90: 78, 100: 86, 103: 88}
TARGET_VERSIONS[120] = 87
DECLARATIONS = (
    ".reg .pred p<4>; .reg .b8 c<300>; .reg .b16 h<300>; .reg .b32 r<600>; "
    ".reg .b64 l<600>;"
)


def assemble(
    statements: list[str], target: str, ptx: int, folder: pathlib.Path
) -> dict[int, str]:
    """What ptxas says of each statement it refuses, by number."""
    lines = [f".version {ptx // 10}.{ptx % 10}", f".target {target}"]
    lines += [".address_size 64", ".visible .entry k() {", DECLARATIONS]
    if ptx >= 83:
        lines[-1] += " .reg .b128 q<300>;"
    first = len(lines) + 1
    path = folder / "forms.ptx"
    path.write_text("\n".join([*lines, *statements, "END: ret; }"]) + "\n")
    command = ["ptxas", "-O0", f"-arch={target}", str(path), "-o", "/dev/null"]
    out = subprocess.run(command, capture_output=True, text=True).stderr
    refused: dict[int, str] = {}
    for match in re.finditer(r"line (\d+)[^;\n]*; error *: (.*)", out):
        refused.setdefault(int(match[1]) - first, match[2])
    assert not refused or min(refused) >= 0, out
    assert "Internal error" not in out, out
    return refused


@pytest.fixture(scope="module")
def groups(build_root: pathlib.Path) -> dict[tuple[int, bool, int], list[str]]:
    """The statements of the table by target and version."""
    if not shutil.which("ptxas"):
        pytest.skip("ptxas is not installed")
    found = collections.defaultdict(list)
    for form in isa_forms.read_table(str(build_root / "bin" / "ptx-run")):
        if form.name.startswith("%"):
            continue
        if text := isa_forms.statement(form):
            key = (max(form.sm, TARGETS[0]), form.needs_a, max(form.ptx, 63))
            found[key].append(text)
    assert sum(map(len, found.values())) > 5000
    return found


def test_assembler_takes_every_row_at_its_version(
    groups: dict[tuple[int, bool, int], list[str]], tmp_path: pathlib.Path
) -> None:
    wrong = []
    for (sm, needs_a, ptx), statements in groups.items():
        least = TARGET_VERSIONS[sm] if not needs_a else max(TARGET_VERSIONS[sm], 80)
        target = f"sm_{sm}" + "a" * needs_a
        refused = assemble(statements, target, max(ptx, least), tmp_path)
        wrong += [f"{target} {ptx}: {statements[i]} {refused[i]}" for i in refused]
    assert not wrong, "\n".join(wrong[:50])


def test_assembler_refuses_rows_on_older_versions(
    groups: dict[tuple[int, bool, int], list[str]], tmp_path: pathlib.Path
) -> None:
    wrong = []
    for (sm, needs_a, ptx), statements in groups.items():
        older = VERSIONS[bisect.bisect_left(VERSIONS, ptx) - 1]
        least = TARGET_VERSIONS[sm] if not needs_a else max(TARGET_VERSIONS[sm], 80)
        if ptx == 63 or older < least:
            continue
        target = f"sm_{sm}" + "a" * needs_a
        refused = assemble(statements, target, older, tmp_path)
        wrong += [
            f"{target}: PTX {older} has it, not only {ptx}: {text}"
            for i, text in enumerate(statements)
            if i not in refused
        ]
    assert not wrong, "\n".join(wrong[:50])


def test_assembler_refuses_rows_on_older_targets(
    groups: dict[tuple[int, bool, int], list[str]], tmp_path: pathlib.Path
) -> None:
    wrong = []
    for (sm, _, ptx), statements in groups.items():
        if sm == TARGETS[0]:
            continue
        older = f"sm_{max(target for target in TARGETS if target < sm)}"
        refused = assemble(statements, older, max(ptx, TARGET_VERSIONS[sm]), tmp_path)
        wrong += [
            f"PTX {ptx}: {older} has it, not only sm_{sm}: {text}"
            for i, text in enumerate(statements)
            if i not in refused
        ]
    assert not wrong, "\n".join(wrong[:50])


@pytest.mark.parametrize(
    "target", ["sm_100a", "sm_103a", "sm_110a", "sm_120a", "sm_120f", "sm_121a"]
)
def test_assembler_agrees_about_families(
    target: str, build_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Forms of one family's targets: on which others they exist."""
    if not shutil.which("ptxas"):
        pytest.skip("ptxas is not installed")
    statements = []
    for form in isa_forms.read_table(str(build_root / "bin" / "ptx-run")):
        if form.needs_a and form.sm >= 100 and (text := isa_forms.statement(form)):
            statements.append(text)
    refused = assemble(statements, target, 90, tmp_path)
    head = f".version 9.0\n.target {target}\n.address_size 64\n"
    head += f".visible .entry k() {{ {DECLARATIONS}\n"
    wrong = []
    for index, text in enumerate(statements):
        try:
            emulator.Module(head + text + " ret; }")
            taken = True
        except emulator.PtxError:
            taken = False
        if taken == (index in refused):
            wrong.append(f"{text} {refused.get(index, 'is not refused')}")
    assert len(statements) > 30 and not wrong, "\n".join(wrong)
