"""Guard pages around the buffers of compiled code notice what they are there for."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest
from moe_mlir import _moe
from moe_mlir.errors import MoEError

LOWER = (
    "convert-scf-to-cf,expand-strided-metadata,finalize-memref-to-llvm,"
    "convert-to-llvm,reconcile-unrealized-casts"
)
#: Allocates n floats, touches the one at an index, and returns it.
TOUCH = """
func.func @{name}(%n: memref<1xindex>, %at: memref<1xindex>) -> memref<1xf32>
    attributes {{llvm.emit_c_interface}} {{
  %c0 = arith.constant 0 : index
  %one = arith.constant 1.0 : f32
  %size = memref.load %n[%c0] : memref<1xindex>
  %index = memref.load %at[%c0] : memref<1xindex>
  %buffer = memref.alloc(%size) {{alignment = 64}} : memref<?xf32>
  {touch}
  %result = memref.alloc() {{alignment = 64}} : memref<1xf32>
  memref.store %v, %result[%c0] : memref<1xf32>
  memref.dealloc %buffer : memref<?xf32>
  return %result : memref<1xf32>
}}
"""
LOAD = "%v = memref.load %buffer[%index] : memref<?xf32>"
STORE = """memref.store %one, %buffer[%index] : memref<?xf32>
  %v = arith.addf %one, %one : f32"""
PAGE = 4096 // 4  # floats


def text() -> str:
    functions = {"load": LOAD, "store": STORE}
    return "".join(TOUCH.format(name=n, touch=t) for n, t in functions.items())


def touch(function: str, size: int, index: int, guard: str) -> np.ndarray:
    """What the function returns, in this process."""
    module = _moe.Module.parse(text(), "touch.mlir")
    module.run(LOWER)
    code = _moe.Executable(module.object(), guard=guard)  # type: ignore[arg-type]
    sizes = [np.array([value], np.int64) for value in (size, index)]
    return code.call(function, sizes, [(np.dtype(np.float32), 1)])[0]


def outcome(*arguments: object) -> tuple[int, str]:
    """Exit status and messages of a process that calls `touch`."""
    command = [sys.executable, __file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("function", ["load", "store"])
@pytest.mark.parametrize(
    ("guard", "size", "index"),
    [("end", 16, 16), ("end", PAGE, PAGE), ("start", 5, -1), ("start", 0, -1)],
)
def test_an_access_beyond_the_guarded_end_kills(
    function: str, guard: str, size: int, index: int
) -> None:
    assert outcome(function, size, index, guard)[0] == -signal.SIGSEGV


@pytest.mark.parametrize(
    ("guard", "size", "index"), [("end", 5, 5), ("end", 5, -1), ("start", 16, 16)]
)
def test_a_store_near_the_other_end_is_noticed(
    guard: str, size: int, index: int
) -> None:
    status, messages = outcome("store", size, index, guard)
    assert status == 1
    assert f"wrote beyond an end of a buffer of {4 * size} bytes" in messages


@pytest.mark.parametrize("guard", ["none", "start", "end"])
@pytest.mark.parametrize("size", [1, 5, 16, PAGE])
def test_accesses_within_are_left_alone(guard: str, size: int) -> None:
    for index in (0, size - 1):
        assert touch("store", size, index, guard) == 2


@pytest.mark.parametrize("guard", ["start", "end"])
def test_fresh_memory_is_nan(guard: str) -> None:
    assert np.isnan(touch("load", 5, 4, guard))


def test_unknown_guard() -> None:
    with pytest.raises(MoEError, match="guard is 'both'; use none, start or end"):
        touch("load", 1, 0, "both")


if __name__ == "__main__":
    touch(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
