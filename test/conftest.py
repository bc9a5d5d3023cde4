"""What all Python tests share: the build folder, and which tests are long."""

import os
import pathlib
import sys
import tempfile

import pytest

SOURCE = pathlib.Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run exhaustive tests too")
    parser.addoption(
        "--guard",
        choices=["start", "end"],
        help="put this end of each buffer of compiled CPU code against a closed page",
    )
    parser.addoption("--build", default=str(SOURCE / "build"), help="build folder")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the package of the build folder importable, also without `make`."""
    package = str(pathlib.Path(config.getoption("--build")).resolve() / "python")
    sys.path.insert(0, package)
    paths = [package, os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    # No test depends on what this user compiled before, or adds to it.
    folder = tempfile.TemporaryDirectory(prefix="moe-mlir-cache-")
    config.add_cleanup(folder.cleanup)
    os.environ["MOE_MLIR_CACHE"] = folder.name
    if side := config.getoption("--guard"):
        guard_buffers(side)


def guard_buffers(side: str) -> None:
    """Makes guard pages the default of code that is loaded into this process."""
    from moe_mlir import _moe

    class Guarded(_moe.Executable):
        def __init__(
            self, object: bytes, cpu: str = "host", threads: int = 1, guard: str = side
        ) -> None:
            super().__init__(object, cpu, threads, guard)  # type: ignore[arg-type]

    _moe.Executable = Guarded  # type: ignore[misc]


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Deselects what is marked `long`, unless --long asks for it."""
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)


@pytest.fixture(scope="session")
def source_root() -> pathlib.Path:
    """The root of the checkout."""
    return SOURCE


@pytest.fixture(scope="session")
def build_root(pytestconfig: pytest.Config) -> pathlib.Path:
    """The build folder under test."""
    return pathlib.Path(pytestconfig.getoption("--build")).resolve()
