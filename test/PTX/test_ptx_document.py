"""docs/ptx-emulator.md: its walk from a Triton kernel to a report works as printed."""

import importlib.util
import os
import pathlib
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

if not importlib.util.find_spec("triton"):
    pytest.skip("triton is not installed", allow_module_level=True)

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "ptx-emulator.md"


def python_blocks(text: str) -> list[str]:
    """The bodies of the fenced Python blocks, in order."""
    return re.findall(r"^```python[^\n]*\n(.*?)^```$", text, re.M | re.S)


def commands(text: str) -> list[str]:
    """The lines behind `    $ `, each with its continuation lines."""
    found = re.findall(r"^    \$ ((?:.*\\\n)*.*)$", text, re.M)
    return [" ".join(command.replace("\\\n", " ").split()) for command in found]


@pytest.fixture
def shell(build_root: pathlib.Path, tmp_path: pathlib.Path):
    """Runs a command of the document in an empty folder."""
    path = f"{build_root / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    environment["TRITON_CACHE_DIR"] = str(tmp_path / "cache")

    def run(command: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(command)
        if words[0] == "python":
            words[0] = sys.executable
        return subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    return run


def check_softmax(folder: pathlib.Path) -> None:
    x = np.load(folder / "x.npy").astype(np.float64)
    e = np.exp(x - x.max(1, keepdims=True))
    want = e / e.sum(1, keepdims=True)
    np.testing.assert_allclose(np.load(folder / "y.npy"), want, rtol=1e-5)


def test_from_triton_to_a_report(shell, tmp_path: pathlib.Path) -> None:
    text = DOCUMENT.read_text()
    kernel, launch = python_blocks(text)[:2]
    make, list_kernels, report = commands(text)[:3]

    (tmp_path / "softmax.py").write_text(kernel)
    made = shell(make)
    assert (made.returncode, made.stdout) == (0, "shared: 16\n"), made.stderr
    listed = shell(list_kernels)
    assert listed.returncode == 0 and "softmax" in listed.stdout
    reported = shell(report)
    assert (reported.returncode, reported.stderr) == (0, "")
    assert "H100" in reported.stdout
    check_softmax(tmp_path)

    (tmp_path / "launch.py").write_text(launch)
    launched = shell("python launch.py")
    assert launched.returncode == 0, launched.stderr
    sectors, instructions = map(float, launched.stdout.split())
    assert 0 < sectors < instructions

    ptx = (tmp_path / "softmax.ptx").read_text()
    broken = re.sub(r"^\s*bar\.sync.*\n", "", ptx, count=1, flags=re.M)
    assert broken != ptx
    (tmp_path / "softmax.ptx").write_text(broken)
    found = shell(report)
    assert found.returncode == 1
    kinds = re.findall(r"^softmax\.ptx: ([\w-]+): line", found.stderr, re.M)
    assert "race" in kinds and "other party" in found.stderr
    assert "softmax.py:14" in found.stderr
