"""PTX of the CUDA sources, by the installed nvcc."""

import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

SOURCES = pathlib.Path(__file__).resolve().parent.parent / "cuda"
LEVELS = {"O3": (), "O0": ("-Xcicc", "-O0")}


@functools.cache
def compiler() -> str | None:
    """The path of nvcc, if there is one."""
    return shutil.which(os.environ.get("NVCC", "nvcc"))


@functools.cache
def version() -> str:
    assert compiler()
    return subprocess.run([str(compiler()), "--version"], capture_output=True).stdout


def compile_source(name: str, target: str, level: str, cache: pathlib.Path) -> str:
    """The PTX of `cuda/<name>` for a target such as sm_80, kept in `cache`."""
    source = SOURCES / name
    options = ["-std=c++17", "-lineinfo", f"-arch={target}", *LEVELS[level]]
    content = "\0".join([str(version()), source.read_text(), *options])
    digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    kept = cache / f"{source.stem}-{target}-{level}-{digest}.ptx"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = pathlib.Path(folder) / "out.ptx"
            command = [str(compiler()), "-ptx", *options, str(source), "-o", str(made)]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                raise RuntimeError(f"nvcc {name} {target} {level}: {run.stderr}")
            made.replace(kept)
    return kept.read_text()
