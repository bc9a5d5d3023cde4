"""`pip install .` gives a package that works away from the checkout."""

import os
import pathlib
import subprocess
import sys

import pytest

USE = """\
import numpy as np
import moe_mlir as moe
assert not moe.__file__.startswith({checkout!r}), moe.__file__
logits = np.array([[[3, 1, 0], [1, 2, 0], [5, 0, 0]]], np.float32)
plan = moe.route(logits, 1, scope="token", target="reference")
print(*plan.row_token, *plan.expert_offsets)
"""


def run(*command: object, **options: object) -> str:
    """What a command prints; its errors are in the failure's text."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(
    source_root: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """A wheel of the checkout, made with the packages that are installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", source_root, "--wheel-dir", folder)
    # The build of the checkout has compiled the same files in a folder as deep.
    cached = {"CCACHE_BASEDIR": str(source_root), "CCACHE_NOHASHDIR": "1"}
    run(*pip, "--no-build-isolation", "--no-deps", "--quiet", env=os.environ | cached)
    (path,) = folder.glob("moe_mlir-*.whl")
    return path


def test_installed_package(
    wheel: pathlib.Path, source_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    site = tmp_path / "site"
    pip = (sys.executable, "-m", "pip", "install", wheel, "--target", site)
    run(*pip, "--no-deps", "--no-index", "--quiet")
    assert (site / "moe_mlir" / "py.typed").exists()
    environment = os.environ | {"PYTHONPATH": str(site)}
    script = USE.format(checkout=str(source_root))
    options = {"cwd": tmp_path, "env": environment}
    assert run(sys.executable, "-c", script, **options) == "0 2 1 0 2 3 3\n"
    assert "usage" in run(site / "bin" / "moe-mlir", "--help", **options).lower()


def test_version_is_that_of_the_build(
    wheel: pathlib.Path, build_root: pathlib.Path
) -> None:
    cache = (build_root / "CMakeCache.txt").read_text()
    version = wheel.name.split("-")[1]
    assert f"CMAKE_PROJECT_VERSION:STATIC={version}\n" in cache
