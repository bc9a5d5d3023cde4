"""The levels of x86-64, and which of them this machine runs."""

from __future__ import annotations

import functools
import pathlib

#: The newest flag that each level needs; none for this machine as it is.
LEVELS = {
    "x86-64": "sse2",
    "x86-64-v2": "sse4_2",
    "x86-64-v3": "avx2",
    "x86-64-v4": "avx512f",
    "host": "",
}


@functools.cache
def host_flags() -> frozenset[str]:
    text = pathlib.Path("/proc/cpuinfo").read_text()
    lines = (line for line in text.splitlines() if line.startswith("flags"))
    return frozenset(next(lines, "").split())


def runs_here(level: str) -> bool:
    return not LEVELS[level] or LEVELS[level] in host_flags()
