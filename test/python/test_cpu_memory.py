"""Memory of calls: huge pages, and buffers that are kept from call to call."""

import pathlib
import re
import resource

import numpy as np
import pytest
from moe_mlir import _moe

LOWER = (
    "convert-scf-to-cf,expand-strided-metadata,finalize-memref-to-llvm,"
    "convert-to-llvm,reconcile-unrealized-casts"
)
#: Fills a buffer of n floats, frees it, and returns another of m.
BUFFERS = """
func.func @buffers(%n: memref<1xindex>, %m: memref<1xindex>) -> memref<?xf32>
    attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f32
  %size = memref.load %n[%c0] : memref<1xindex>
  %kept = memref.alloc(%size) {alignment = 64} : memref<?xf32>
  scf.for %i = %c0 to %size step %c1 {
    memref.store %one, %kept[%i] : memref<?xf32>
  }
  memref.dealloc %kept : memref<?xf32>
  %length = memref.load %m[%c0] : memref<1xindex>
  %result = memref.alloc(%length) {alignment = 64} : memref<?xf32>
  scf.for %i = %c0 to %length step %c1 {
    memref.store %one, %result[%i] : memref<?xf32>
  }
  return %result : memref<?xf32>
}
"""
MIB = (1 << 20) // 4  # floats
#: MiB that other code of this process and the C library take or give back meanwhile.
OTHERS = 16
THP = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.fixture(scope="module")
def code() -> _moe.Executable:
    module = _moe.Module.parse(BUFFERS, "test.mlir")
    module.run(LOWER)
    return _moe.Executable(module.object())


def call(code: _moe.Executable, inner: int, result: int = 1) -> np.ndarray:
    sizes = [np.array([size], np.int64) for size in (inner, result)]
    return code.call("buffers", sizes, [(np.dtype(np.float32), 1)])[0]


def flags_of(array: np.ndarray) -> list[str]:
    """The kernel's flags of the mapping that holds the middle of an array."""
    middle = array.ctypes.data + array.nbytes // 2
    inside = False
    for line in pathlib.Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= middle < int(found[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return line.split()[1:]
    raise AssertionError("the array is in no mapping")


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


@pytest.mark.skipif(not THP.exists(), reason="this kernel has no huge pages")
def test_large_results_ask_for_huge_pages(code: _moe.Executable) -> None:
    assert "hg" in flags_of(call(code, 1, 16 * MIB))


@pytest.mark.skipif(
    not THP.exists() or "[never]" in THP.read_text(), reason="no huge pages here"
)
def test_a_buffer_is_not_cleared_again(code: _moe.Executable) -> None:
    size = 32 * MIB - 1000
    call(code, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        call(code, size - 1000)  # of as many huge pages
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 16


def test_what_is_kept_is_bounded(code: _moe.Executable) -> None:
    # From now on the C library keeps up to 64 MiB of what is freed to it.
    np.ones(30 * MIB, np.float32)
    call(code, 1)
    start = resident()
    for size in range(8, 160, 8):
        call(code, size * MIB)
        # The buffer of this call, and for its time that of the call before.
        assert resident() - start < (size + 8 + OTHERS) << 20
    call(code, 1)
    assert resident() - start < (8 + OTHERS) << 20
    call(code, 256 * MIB)
    assert resident() - start < (8 + OTHERS) << 20


def test_a_kept_buffer_is_no_result(code: _moe.Executable) -> None:
    first = call(code, 16 * MIB, 16 * MIB)
    second = call(code, 16 * MIB, 16 * MIB)
    assert not np.shares_memory(first, second)
    first[:] = 2
    assert (call(code, 16 * MIB, 16 * MIB) == 1).all()
    assert (second == 1).all()
