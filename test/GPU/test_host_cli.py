"""The command line for GPUs: PTX and machine code."""

from __future__ import annotations

import pathlib
import shutil
import stat

import numpy as np
import pytest
from host_layers import chain, chain_inputs, chain_module
from moe_mlir import ptxas
from moe_mlir.cli import main
from moe_mlir.model import Model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A saved model: one combine."""
    path = tmp_path_factory.mktemp("model") / "combine"
    Model.from_text(chain_module("float32", 16, 1)).save(path)
    return str(path)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a refused command says on stderr."""
    assert main(arguments) == 1
    return capsys.readouterr().err


def test_ptx(folder: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "k.ptx"
    command = ["compile", folder, "--emit", "ptx", "--chip", "sm_90", "-o", str(file)]
    assert main(command) == 0
    text = file.read_text()
    assert ".version 8.0\n.target sm_90\n" in text
    assert ".visible .entry combine(" in text
    assert "\0" not in text


@pytest.mark.skipif(not shutil.which("ptxas"), reason="ptxas is not installed")
def test_cubin(folder: str, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "k.cubin"
    assert main(["compile", folder, "--emit", "cubin", "-o", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x7fELF")


def test_run(folder: str, tmp_path: pathlib.Path) -> None:
    inputs = chain_inputs(np.random.default_rng(0), "float32", 2, 3, 16)
    command = ["run", folder, "--target", "emulator", "--chip", "sm_80"]
    for i, array in enumerate(inputs):
        np.save(tmp_path / f"{i}.npy", array)
        command += ["--input", f"input{i}={tmp_path / f'{i}.npy'}"]
    assert main([*command, "--output", str(tmp_path / "y.npy")]) == 0
    assert np.array_equal(np.load(tmp_path / "y.npy"), chain(inputs, 1))


def test_refused_options(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit = ("compile", folder, "--emit")
    assert "chip is 'sm_70'" in refusal(capsys, *emit, "ptx", "--chip", "sm_70")
    assert "--cpu host is for a CPU" in refusal(capsys, *emit, "ptx", "--cpu", "host")
    assert "--chip sm_80 is for --emit ptx and cubin" in refusal(
        capsys, *emit, "object", "--chip", "sm_80"
    )


def no_assembler(patch: pytest.MonkeyPatch, path: pathlib.Path) -> None:
    """A machine without ptxas."""
    for name in ("PTXAS", "CUDA_HOME", "CUDA_PATH"):
        patch.delenv(name, raising=False)
    patch.setattr(ptxas, "_PACKAGES", {})
    patch.setattr(ptxas, "_TOOLKIT", str(path / "cuda"))
    patch.setenv("PATH", str(path))


def program(path: pathlib.Path, script: str) -> str:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_where_the_assembler_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    no_assembler(monkeypatch, tmp_path / "empty")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    package = program(tmp_path / "site/fakecuda/bin/ptxas", "")
    (tmp_path / "site/fakecuda/__init__.py").touch()
    monkeypatch.setattr(ptxas, "_PACKAGES", {"fakecuda": ("bin/ptxas",)})
    assert ptxas.find_ptxas() == package
    toolkit = program(tmp_path / "toolkit/bin/ptxas", "")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "toolkit"))
    assert ptxas.find_ptxas() == toolkit
    on_path = program(tmp_path / "path/ptxas", "")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert ptxas.find_ptxas() == on_path
    given = program(tmp_path / "given", "")
    monkeypatch.setenv("PTXAS", given)
    assert ptxas.find_ptxas() == given


def test_no_assembler(
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    no_assembler(monkeypatch, tmp_path)
    file = tmp_path / "k.cubin"
    command = ("compile", folder, "--emit", "cubin", "-o", str(file))
    assert "machine code needs ptxas, NVIDIA's assembler" in refusal(capsys, *command)
    monkeypatch.setenv("PTXAS", "/nowhere/ptxas")
    assert "PTXAS=/nowhere/ptxas: there is no such" in refusal(capsys, *command)
    broken = program(tmp_path / "broken", "echo 'fatal: wrong' >&2; exit 3")
    monkeypatch.setenv("PTXAS", broken)
    assert "refuses the PTX for sm_80: fatal: wrong" in refusal(capsys, *command)
    assert not file.exists()
