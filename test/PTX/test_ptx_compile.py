"""The vendor's assembler takes the foreign kernels and both forms of each fault."""

import pathlib
import re
import shutil
import subprocess

import fault_files
import pytest
from foreign import nvcc
from foreign.kernels import KERNELS

FAULTS = fault_files.read_all()
SOURCES = sorted({kernel.source for kernel in KERNELS.values()})
needs_nvcc = pytest.mark.skipif(not nvcc.compiler(), reason="nvcc is not installed")


def test_every_kernel_has_an_answer() -> None:
    assert len(KERNELS) >= 90
    for source in nvcc.SOURCES.glob("*.cu"):
        text = source.read_text()
        names = re.findall(r'extern "C" __global__ void[^(]*?(\w+)\(', text)
        names += re.findall(
            r'extern "C" __global__ void\s+__(?:cluster_dims|launch_bounds)__'
            r"\([\d, ]+\)\s+(\w+)\(",
            text,
        )
        names += re.findall(r"^KERNEL\((\w+)", text, re.MULTILINE)
        macros = {"name", "__launch_bounds__", "__cluster_dims__"}
        for name in set(names) - macros:
            assert KERNELS[name].source == source.name, name


@needs_nvcc
@pytest.mark.parametrize("source", SOURCES)
def test_assembler_takes_the_kernels(
    source: str, compiled_cache: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    ptxas = shutil.which("ptxas")
    if not ptxas:
        pytest.skip("ptxas is not installed")
    kernels = [kernel for kernel in KERNELS.values() if kernel.source == source]
    target = "sm_90a" if kernels[0].sm == 90 else "sm_80"
    text = nvcc.compile_source(source, target, "O3", compiled_cache)
    for kernel in kernels:
        assert re.search(rf"\.entry {kernel.name}\(", text), kernel.name
    path = tmp_path / "kernels.ptx"
    path.write_text(text)
    command = [ptxas, f"-arch={target}", str(path), "-o", str(tmp_path / "out.cubin")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_assembler_takes_the_faults(name: str, tmp_path: pathlib.Path) -> None:
    """A fault is one of running, not of writing."""
    ptxas = shutil.which("ptxas")
    if not ptxas:
        pytest.skip("ptxas is not installed")
    fault = FAULTS[name]
    assert fault.faulty != fault.twin
    for text in (fault.faulty, fault.twin):
        path = tmp_path / "fault.ptx"
        path.write_text(text)
        command = [ptxas, "-arch=sm_90a", str(path), "-o", str(tmp_path / "out.cubin")]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
