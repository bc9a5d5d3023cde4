"""What ptxas makes of all kernels of a layer, as a user compiles it."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest
from emulated import CHIPS
from gpu.our_layer import layer_text
from gpu.peer import Shape
from machine_code import assembled, assembly, resident_blocks

pytestmark = pytest.mark.skipif(
    not shutil.which("ptxas"), reason="ptxas is not installed"
)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("tokens", "scope"), [(16, "token"), (1024, "sequence")])
def test_registers(
    moe_opt: pathlib.Path, tmp_path: pathlib.Path, chip: str, tokens: int, scope: str
) -> None:
    """Registers leave room for the blocks that each kernel is planned to have on a
    multiprocessor."""
    shape = Shape(tokens, 64, 8, 2048, 1024)
    made = subprocess.run(
        [moe_opt, f"--moe-gpu-pipeline=chip={chip}"],
        input=layer_text(shape, scope),
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    text = assembly(made.stdout)
    found = resident_blocks(text, assembled(text, chip, tmp_path))
    kernels = [name.split("_")[0] for name in found]
    assert kernels == ["route", "grouped", "grouped", "combine"]
    for name, (planned, by_registers) in found.items():
        assert by_registers >= planned, name
    # Only the sums of tokens are left to ptxas.
    assert [planned > 0 for planned, _ in found.values()] == [True, True, True, False]
