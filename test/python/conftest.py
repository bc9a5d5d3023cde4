"""What tests of compiled CPU code share."""

from __future__ import annotations

import pytest
from cpu_levels import LEVELS, runs_here


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> str:
    """Each level of x86-64 that this machine runs."""
    name: str = request.param
    if not runs_here(name):
        pytest.skip(f"this CPU has no {LEVELS[name]}")
    return name
