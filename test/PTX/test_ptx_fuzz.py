"""A short run of the fuzzer; `make fuzz` is the long one."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_front_end_survives_the_fuzzer(build_root: pathlib.Path) -> None:
    if not (build_root / "test" / "fuzz" / "ptx-fuzz").exists():
        pytest.skip("ptx-fuzz is not built: it needs Clang")
    command = [sys.executable, str(ROOT / "scripts" / "fuzz_ptx.py")]
    command += [f"--build={build_root}", "--seconds=15", "--inputs=2000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
