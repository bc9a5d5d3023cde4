"""What the tests of GPU code share."""

import os
import pathlib
import sys
from collections.abc import Iterator

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
# The oracle of routing, which imports nothing of the package.
sys.path.append(str(TESTS / "python"))
sys.path.append(str(TESTS.parent / "benchmarks"))


@pytest.fixture(scope="session", autouse=True)
def triton_cache(build_root: pathlib.Path) -> pathlib.Path:
    """Makes Triton keep its results in the build folder."""
    folder = build_root / "ptx-cache" / "triton"
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TRITON_CACHE_DIR"] = str(folder)
    return folder


@pytest.fixture
def schedules(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Five seeds; calls of a compiled model run its kernels by each, under all
    checks."""

    def each() -> Iterator[int]:
        monkeypatch.setenv("PTX_CHECK", "all")
        monkeypatch.setenv("PTX_FINDINGS", "error")
        for seed in range(1, 6):
            monkeypatch.setenv("PTX_SEED", str(seed))
            yield seed

    return each()


@pytest.fixture(scope="session")
def moe_opt(build_root: pathlib.Path) -> pathlib.Path:
    """The compiler under test."""
    return build_root / "bin" / "moe-opt"
