"""NVIDIA's assembler: where it is found, and machine code of PTX."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from moe_mlir.errors import MoEError

#: Packages that bring it, and where it is in them.
_PACKAGES = {
    "nvidia": ("cuda_nvcc/bin/ptxas", "cu13/bin/ptxas"),
    "triton": ("backends/nvidia/bin/ptxas",),
}
#: Where a toolkit is installed.
_TOOLKIT = "/usr/local/cuda"


def find_ptxas() -> str:
    """The assembler: PTXAS, the PATH, a toolkit, a Python package, in this order.

    Raises:
        MoEError: There is none.
    """
    if given := os.environ.get("PTXAS"):
        if shutil.which(given):
            return given
        raise MoEError(f"PTXAS={given}: there is no such program", where="PTXAS")
    for candidate in _candidates():
        if found := shutil.which(candidate):
            return found
    raise MoEError(
        "machine code needs ptxas, NVIDIA's assembler, which is neither on the PATH "
        "nor in a CUDA toolkit (CUDA_HOME, /usr/local/cuda) nor in a Python package; "
        "pip install nvidia-cuda-nvcc, set PTXAS to the program, or use --emit ptx",
        where="ptxas",
    )


def _candidates() -> Iterator[str]:
    yield "ptxas"
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if root := os.environ.get(variable):
            yield str(Path(root, "bin", "ptxas"))
    yield str(Path(_TOOLKIT, "bin", "ptxas"))
    for package, places in _PACKAGES.items():
        spec = importlib.util.find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            for place in places:
                yield str(Path(root, place))


def assemble(ptx: bytes, chip: str) -> bytes:
    """Machine code of PTX for a chip.

    Raises:
        MoEError: There is no assembler, or it refuses the text.
    """
    program = find_ptxas()
    with tempfile.TemporaryDirectory() as folder:
        source, cubin = Path(folder, "kernels.ptx"), Path(folder, "kernels.cubin")
        source.write_bytes(ptx)
        command = [program, f"-arch={chip}", "-O3", str(source), "-o", str(cubin)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            said = (run.stderr or run.stdout).strip()
            raise MoEError(
                f"{program} refuses the PTX for {chip}: {said}; a ptxas of a newer "
                "toolkit may take it",
                where="ptxas",
            )
        return cubin.read_bytes()
