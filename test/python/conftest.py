"""Makes the package of the build folder importable, also without `make`."""

import pathlib
import sys

import pytest


def pytest_configure(config: pytest.Config) -> None:
    build = pathlib.Path(config.getoption("--build")).resolve()
    sys.path.insert(0, str(build / "python"))
