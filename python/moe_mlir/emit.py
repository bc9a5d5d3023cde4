"""Files that ``moe-mlir compile`` writes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from moe_mlir import _moe
from moe_mlir.cache import open_cache
from moe_mlir.cpu import OPTIMIZE_MODEL, compile_module, lower
from moe_mlir.errors import MoEError
from moe_mlir.files import written_file
from moe_mlir.gpu import check_chip, lower_gpu
from moe_mlir.header import c_header
from moe_mlir.model import Model
from moe_mlir.progress import progress
from moe_mlir.ptxas import assemble

#: What can be written, and the ending of the file.
ENDINGS = {
    "mlir": ".mlir",
    "llvm": ".ll",
    "object": ".o",
    "shared": ".so",
    "ptx": ".ptx",
    "cubin": ".cubin",
}
#: Those that are for a GPU.
GPU_KINDS = ("ptx", "cubin")
_LINKERS = ("cc", "clang-22", "clang", "gcc")


def emit(
    model: Model,
    kind: str,
    output: Path,
    *,
    cpu: str | None = None,
    chip: str | None = None,
    cache: str | None = None,
) -> list[Path]:
    """Compiles a model into a file; "object" and "shared" come with a C header.

    Args:
        kind: One of ``ENDINGS``: "mlir" is the LLVM dialect, "llvm" is LLVM IR, "ptx"
            and "cubin" are the kernels of a GPU.
        output: The file.
        cpu: As in ``Model.compile``; it need not run here.
        chip: The same for the kinds of a GPU; None: sm_80, which every later one runs
            as PTX.
        cache: As in ``Model.compile``, for "object" and "shared".

    Returns:
        The files written.

    Raises:
        MoEError: The model cannot be compiled, or a file cannot be written.
    """
    if kind in GPU_KINDS:
        return _emit_kernels(model, kind, output, cpu, chip)
    if chip is not None:
        raise MoEError(
            f"--chip {chip} is for --emit {' and '.join(GPU_KINDS)}; --emit {kind} is "
            "for a CPU, which --cpu names",
            where="--chip",
        )
    cpu = cpu or "host"
    if kind in ("object", "shared") and output.suffix == ".h":
        raise MoEError(
            f"{output}: the C header of the code goes there; name the code "
            f"{output.with_suffix(ENDINGS[kind])}",
            where=str(output),
        )
    names = [spec.name for spec in model.signature.inputs]
    with progress(f"compiling {output}"):
        if kind == "mlir":
            content = lower(model._module, cpu).module.print().encode()
        elif kind == "llvm":
            lowered = lower(model._module, cpu)
            content = lowered.module.llvm_ir(cpu, OPTIMIZE_MODEL).encode()
        else:
            code = compile_module(model._module, cpu, open_cache(cache), callers=False)
            content = code.object
            _moe.check_symbols(content)
            if kind == "shared":
                content = _link(content)
    written = [output]
    with written_file(output) as stream:
        stream.write(content)
    if kind in ("object", "shared"):
        header = output.with_suffix(".h")
        with written_file(header) as stream:
            text = c_header(code.functions(names).values(), header.name)
            stream.write(text.encode())
        written.append(header)
    return written


def _emit_kernels(
    model: Model, kind: str, output: Path, cpu: str | None, chip: str | None
) -> list[Path]:
    if cpu is not None:
        raise MoEError(
            f"--cpu {cpu} is for a CPU; --emit {kind} is for a GPU, which --chip names",
            where="--cpu",
        )
    target = check_chip(chip or "sm_80")
    names = [spec.name for spec in model.signature.inputs]
    with progress(f"compiling {output}"):
        lowered = lower_gpu(model._module, target, names)
        content = lowered.ptx
        if kind == "cubin":
            content = assemble(content, target.name)
    with written_file(output) as stream:
        stream.write(content)
    return [output]


def _link(code: bytes) -> bytes:
    """A shared library of one object; it finds the OpenMP run time by its path."""
    linker = next(filter(None, map(shutil.which, _LINKERS)), None)
    if linker is None:
        raise MoEError(
            f"--emit shared: linking needs one of {', '.join(_LINKERS)}, and none is "
            "on the PATH; install one, or use --emit object",
            where="--emit",
        )
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "model.o"), Path(folder, "model.so")
        source.write_bytes(code)
        command = [linker, "-shared", "-o", str(library), str(source)]
        if any(
            name.startswith(("__kmpc", "omp_")) for name in _moe.undefined_symbols(code)
        ):
            openmp = Path(_moe.openmp_path())
            command += [str(openmp), f"-Wl,-rpath,{openmp.parent}"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise MoEError(
                f"--emit shared: {linker} fails: {run.stderr.strip()}", where="--emit"
            )
        return library.read_bytes()
