"""``moe-mlir import jax`` and ``stablehlo`` as commands: the report, equal bytes from
two processes, and files that are damaged, newer, or hold what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax_layers as layers
import pytest
from test_stablehlo_import import closing_over_weights

MAKE = """
import jax_layers as layers
def make():
    layer = layers.layer_of(layers.softmax_sum, layers.by_sort)
    return layer, (layers.params(), layers.x())
"""


def run(folder: Path, *words: str, seed: str = "0") -> Any:
    path = os.pathsep.join(p for p in sys.path if p)
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
    command = [sys.executable, "-m", "moe_mlir", "import", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(MAKE)
    first = run(tmp_path, "jax", "made:make", "-o", "a", "--report", "json", seed="1")
    second = run(tmp_path, "jax", "made:make", "-o", "b", seed="77")
    assert first.returncode == 0 and second.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert [entry["status"] for entry in report["layers"]] == ["raised"]
    assert "raised  moe" in second.stdout
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (
            tmp_path / "b" / name
        ).read_bytes(), name


def artifact() -> bytes:
    layer = jax.jit(layers.layer_of(layers.softmax_sum, layers.by_sort))
    exported = jax.export.export(layer, platforms=["cuda"])
    program: bytes = exported(layers.params(), layers.x()).mlir_module_serialized
    return program


@pytest.mark.parametrize("damage", ["cut", "empty"])
def test_damaged_artifacts_leave_nothing_behind(tmp_path: Path, damage: str) -> None:
    program = artifact()
    given = program[: len(program) // 2] if damage == "cut" else b""
    refusal(tmp_path, given)


def refusal(folder: Path, program: bytes) -> str:
    """The one message with which an import ends that leaves nothing behind."""
    (folder / "program").write_bytes(program)
    done = run(folder, "stablehlo", "program", "-o", "out")
    assert done.returncode == 1 and not done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["program"]
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1 and "Traceback" not in done.stderr, done.stderr
    return errors[0]


@pytest.mark.parametrize("newer", ["bytecode", "operation"])
def test_artifacts_of_a_newer_producer_are_refused(tmp_path: Path, newer: str) -> None:
    """What a newer producer changes: the format itself, or an operation's version."""
    program, found = re.subn(rb"StableHLO_v\d", b"StableHLO_v9", artifact(), count=1)
    assert found == 1
    if newer == "bytecode":
        # The version follows the four bytes that mark bytecode; 0xc7 encodes 99.
        given, why = program[:4] + b"\xc7" + program[5:], "version 99 is newer"
    else:
        given, why = program.replace(b"sort_v1", b"sort_v9"), "'vhlo.sort_v9'"
    assert given != program
    message = refusal(tmp_path, given)
    assert "artifact of StableHLO_v9." in message and why in message
    assert re.search(r"newer than the installed jaxlib, .* StableHLO_v\d", message)


def test_a_file_with_custom_calls_is_refused_by_their_targets(tmp_path: Path) -> None:
    program = b"""
    func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = stablehlo.custom_call @my_kernel(%x) : (tensor<4xf32>) -> tensor<4xf32>
      return %0 : tensor<4xf32>
    }"""
    assert "'my_kernel'" in refusal(tmp_path, program)


def test_a_file_that_closes_over_weights_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, closing_over_weights().encode())
    assert re.search(r"holds 3 constants.*tensor<.*arguments", message), message
