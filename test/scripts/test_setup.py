"""Set-up says in one line what it cannot do itself, and does nothing twice."""

import os
import pathlib
import subprocess
import sys

import pytest

STUBS = {
    "id": "echo 1000",
    "sudo": "exit 1",
    "apt-get": "echo no such package; exit 100",
}


def setup(
    root: pathlib.Path, folder: pathlib.Path, *arguments: str, **stubs: str
) -> subprocess.CompletedProcess[str]:
    """Runs set-up with stubs for what would change the machine; no LLVM is found."""
    programs = folder / "bin"
    programs.mkdir()
    for name, body in (STUBS | stubs).items():
        path = programs / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "LLVM_PREFIX": str(folder / "nothing"),
    }
    return subprocess.run(
        [str(root / "scripts" / "setup.sh"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_not_permitted(source_root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    done = setup(source_root, tmp_path, str(tmp_path / "venv"), "own")
    assert done.returncode == 1
    assert "not permitted to install packages; run: sudo apt-get" in done.stderr
    assert "mlir-22-tools" in done.stderr
    assert done.stderr.count("\n") == 1


def test_package_manager_fails(
    source_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    done = setup(source_root, tmp_path, str(tmp_path / "venv"), "own", id="echo 0")
    assert done.returncode == 1
    assert "no such package" in done.stderr
    assert "apt-get could not install:" in done.stderr


@pytest.mark.parametrize("mode", ["other", "existing"])
def test_wrong_environment(
    mode: str, source_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    script = source_root / "scripts" / "setup.sh"
    done = subprocess.run(
        [script, tmp_path / "venv", mode], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "error:" in done.stderr


def test_missing_requirement(source_root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("numpy==0.0.1\nmoe-no-such-package==1.0\n")
    script = source_root / "scripts" / "check_environment.py"
    done = subprocess.run(
        [sys.executable, script, requirements], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "0.0.1 is tested" in done.stdout
    assert "lacks moe-no-such-package==1.0; run:" in done.stderr
