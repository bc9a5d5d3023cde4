"""The recorded cases on the emulator: counters and times beside an H100's."""

import pathlib
import subprocess
import sys

import pytest
from foreign import nvcc

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
needs_nvcc = pytest.mark.skipif(not nvcc.compiler(), reason="nvcc is not installed")
#: Cases of every kind that run in seconds.
QUICK = [
    "rate_alu",
    "rate_bar",
    "imbalance_first",
    "div_nested",
    "div_switch",
    "hist_sh_add_one",
    "hist_gl_one",
    "transpose_padded",
    "chase_l1",
    "tail_plus1",
]


def run_cases(build: pathlib.Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Runs the comparison; its exit status is 0 if every bar holds."""
    command = [sys.executable, str(ROOT / "benchmarks" / "bench_ptx_model.py")]
    command += ["--build", str(build), *options]
    return subprocess.run(command, capture_output=True, text=True)


@needs_nvcc
def test_some_cases_agree(build_root: pathlib.Path) -> None:
    done = run_cases(build_root, *(f"--case={case}" for case in QUICK))
    assert done.returncode == 0, done.stdout + done.stderr
    for case in QUICK:
        assert f"\n{case} " in done.stdout, done.stdout


@needs_nvcc
@pytest.mark.long
def test_the_bars_hold_over_all_cases(build_root: pathlib.Path) -> None:
    done = run_cases(build_root)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
