"""AVX-512, AVX2 and plain code give the same bits, and the right ones."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

LEVELS = pathlib.Path(__file__).resolve().parent / "levels"
sys.path.insert(0, str(LEVELS))
import products  # noqa: E402 - found by the line above


def run(level: str, folder: pathlib.Path) -> products.Words:
    """What levels/run.py computes at a CPU level; fails if it finds a fault."""
    output = folder / f"{level}.npy"
    command = [sys.executable, str(LEVELS / "run.py"), str(output)]
    environment = os.environ | {"PTX_CPU": level}
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == ""
    words: products.Words = np.load(output)
    return words


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> products.Words:
    return run("baseline", tmp_path_factory.mktemp("baseline"))


def test_the_fast_mode_is_what_its_definition_says(baseline: products.Words) -> None:
    assert products.wrong_sums(baseline) == []


@pytest.mark.parametrize("level", ["avx2", "avx512"])
def test_levels_agree(
    level: str, baseline: products.Words, tmp_path: pathlib.Path
) -> None:
    np.testing.assert_array_equal(run(level, tmp_path), baseline)
