"""Whole layers of random shapes at every level of x86-64, between guard pages.

A layer is run in a process of its own level, because an access beyond a buffer
kills the process (run_layers.py).
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from cpu_levels import LEVELS, runs_here

SHAPES = 200
MANY_SHAPES = 2000
HERE = pathlib.Path(__file__).parent


def run_layers(level: str, count: int) -> None:
    """Runs this level's share of the first `count` layers."""
    levels = list(filter(runs_here, LEVELS))
    if level not in levels:
        pytest.skip(f"this CPU has no {LEVELS[level]}")
    range_ = map(str, (levels.index(level), count, len(levels)))
    command = [sys.executable, str(HERE / "run_layers.py"), level, *range_]
    paths = os.pathsep.join([os.environ["PYTHONPATH"], str(HERE)])
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths}
    )
    lines = done.stdout.splitlines() or ["no layer was run"]
    why = f"exit status {done.returncode}\n{done.stderr}"
    assert done.returncode == 0, f"{lines[-1]}\n{why}"
    assert lines[-1] == "passed"


@pytest.mark.parametrize("level", LEVELS)
def test_random_layers(level: str) -> None:
    run_layers(level, SHAPES)


@pytest.mark.long
@pytest.mark.parametrize("level", LEVELS)
def test_many_random_layers(level: str) -> None:
    run_layers(level, MANY_SHAPES)
