"""What the tests of the emulator share."""

import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def compiled_cache(build_root: pathlib.Path) -> pathlib.Path:
    """A folder that keeps what nvcc and Triton compiled, by content."""
    folder = build_root / "ptx-cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def triton_cache(compiled_cache: pathlib.Path) -> pathlib.Path:
    """Makes Triton keep its results in the build folder, too."""
    folder = compiled_cache / "triton"
    os.environ["TRITON_CACHE_DIR"] = str(folder)
    # The default will change; the answers allow for fused multiply-adds.
    os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"
    return folder
