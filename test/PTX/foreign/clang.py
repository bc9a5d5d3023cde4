"""PTX of clang/kernels.c, by Clang's NVPTX target."""

import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "clang" / "kernels.c"
# The lowest PTX version with the builtins of the source.
TARGETS = {"sm_80": "+ptx78", "sm_90": "+ptx83"}
LEVELS = ("-O0", "-O1", "-O3")


@functools.cache
def compiler() -> str | None:
    """The path of Clang, if there is one that knows NVPTX."""
    for name in (os.environ.get("CLANG", "clang-22"), "clang"):
        if path := shutil.which(name):
            command = [path, "--print-targets"]
            targets = subprocess.run(command, capture_output=True, text=True)
            if "nvptx64" in targets.stdout:
                return path
    return None


@functools.cache
def version() -> str:
    command = [str(compiler()), "--version"]
    return subprocess.run(command, capture_output=True, text=True).stdout


def compile_kernels(target: str, level: str, cache: pathlib.Path) -> str:
    """The PTX of all kernels for a target and a level, kept in `cache`."""
    options = ["--target=nvptx64-nvidia-cuda", f"-march={target}", "-std=c23"]
    options += ["-Xclang", "-target-feature", "-Xclang", TARGETS[target]]
    options += [level, "-ffp-contract=off", "-gline-tables-only", "-S"]
    header = SOURCE.parent / "threads.h"
    content = [version(), SOURCE.read_text(), header.read_text(), *options]
    digest = hashlib.sha256("\0".join(content).encode()).hexdigest()[:16]
    kept = cache / f"clang-{target}{level}-{digest}.ptx"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = pathlib.Path(folder) / "out.ptx"
            command = [str(compiler()), *options, str(SOURCE), "-o", str(made)]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                raise RuntimeError(f"clang {target} {level}: {run.stderr}")
            made.replace(kept)
    return kept.read_text()
