"""``moe-mlir import jax`` and ``stablehlo`` as commands: the report, equal bytes from
two processes, and files that are damaged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax_layers as layers
import pytest

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
    (tmp_path / "program").write_bytes(given)
    done = run(tmp_path, "stablehlo", "program", "-o", "out")
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1 and "Traceback" not in done.stderr, done.stderr
