"""Kinds of launches, and memory that is kept between calls."""

from __future__ import annotations

from typing import Any

import moe_mlir as moe
import numpy as np
import pytest
from moe_mlir import _moe, gpu
from moe_mlir.gpu_model import CompiledGPUModel
from moe_mlir.limits import Limits


def compiled(text: str, chip: str = "sm_90") -> CompiledGPUModel:
    """A module whose kernels are there already."""
    lowered = gpu.lower_gpu(_moe.Module.parse(text), gpu.check_chip(chip))
    return CompiledGPUModel(lowered, {}, Limits(1, ()), gpu.open_device("emulator"))


def module(kernel: str, host: str, results: str) -> str:
    """One kernel ``@k`` of pointers %a and %b, and a function that launches it."""
    return f"""
module attributes {{gpu.container_module}} {{
gpu.module @moe_kernels {{
  gpu.func @k(%a: !llvm.ptr<1>, %b: !llvm.ptr<1>) kernel
      attributes {{known_block_size = array<i32: 32, 1, 1>}} {{
    %c0 = llvm.mlir.constant(0 : i32) : i32
    %c1 = llvm.mlir.constant(1 : i32) : i32
    %t = nvvm.read.ptx.sreg.tid.x : i32
    %first = llvm.icmp "eq" %t, %c0 : i32
    scf.if %first {{
      {kernel}
    }}
    gpu.return
  }}
}}
func.func @main(%x: memref<8xi32>) -> {results} {{
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c8 = arith.constant 8 : index
  %c32 = arith.constant 32 : index
  {host}
}}
}}"""


def address(name: str, sizes: str) -> str:
    """%p_NAME, the address of a memref."""
    return f"""
  %i_{name} = memref.extract_aligned_pointer_as_index %{name} : {sizes} -> index
  %w_{name} = arith.index_cast %i_{name} : index to i64
  %p_{name} = llvm.inttoptr %w_{name} : i64 to !llvm.ptr<1>"""


COUNTING = module(
    """%v = llvm.load %a : !llvm.ptr<1> -> i32
      %n = llvm.add %v, %c1 : i32
      llvm.store %n, %a : i32, !llvm.ptr<1>
      llvm.store %n, %b : i32, !llvm.ptr<1>""",
    f"""
  %kept = memref.alloc() {{moe.zeroed}} : memref<8xi32>
  %y = memref.alloc() : memref<1xi32>
  {address("kept", "memref<8xi32>")}
  {address("y", "memref<1xi32>")}
  gpu.launch_func @moe_kernels::@k blocks in (%c1, %c1, %c1)
      threads in (%c32, %c1, %c1) args(%p_kept : !llvm.ptr<1>, %p_y : !llvm.ptr<1>)
  return %y : memref<1xi32>""",
    "memref<1xi32>",
)
X = np.zeros(8, np.int32)


def test_kept_memory_is_zero_once() -> None:
    model = compiled(COUNTING)
    assert [int(model(X)[0]) for _ in range(3)] == [1, 2, 3]
    assert model.workspace_bytes == 32
    model.release_workspace()
    assert int(model(X)[0]) == 1


def test_kept_memory_is_zeroed_after_a_failure() -> None:
    model = compiled(COUNTING)
    assert [int(model(X)[0]) for _ in range(2)] == [1, 2]
    wrong = model.to_device(np.zeros(2, np.int32))
    with pytest.raises(moe.MoEError, match="out, result 0: is int32 \\[2\\]"):
        model(X, out=wrong)
    # Refused before anything ran.
    assert int(model(X)[0]) == 3
    with pytest.raises(moe.MoEError, match="needs 4 bytes.* has 8"):
        model._program.call(
            "main", [(wrong.pointer, [8])], [1], 0, [(wrong.pointer, 8)]
        )
    assert int(model(X)[0]) == 1


def launching(clause: str, attribute: str, value: str, blocks: str) -> str:
    """Each block writes `value` of itself."""
    return module(
        f"""%id = nvvm.read.ptx.sreg.ctaid.x : i32
      %wide = llvm.zext %id : i32 to i64
      %place = llvm.getelementptr %b[%wide] : (!llvm.ptr<1>, i64) -> !llvm.ptr<1>, i32
      {value}
      llvm.store %v, %place : i32, !llvm.ptr<1>""",
        f"""
  %y = memref.alloc() : memref<8xi32>
  {address("x", "memref<8xi32>")}
  {address("y", "memref<8xi32>")}
  %shared = arith.constant 65536 : i32
  gpu.launch_func @moe_kernels::@k {clause} blocks in ({blocks}, %c1, %c1)
      threads in (%c32, %c1, %c1) dynamic_shared_memory_size %shared
      args(%p_x : !llvm.ptr<1>, %p_y : !llvm.ptr<1>) {attribute}
  return %y : memref<8xi32>""",
        "memref<8xi32>",
    )


BLOCK = "%v = llvm.add %id, %c1 : i32"
RANK = "%v = nvvm.read.ptx.sreg.cluster.ctarank : i32"


@pytest.mark.parametrize(
    ("clause", "attribute", "value", "want"),
    [
        ("", "", BLOCK, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("", "{moe.cooperative}", BLOCK, [1, 2, 3, 4, 5, 6, 7, 8]),
        ("clusters in (%c2, %c1, %c1)", "", RANK, [0, 1, 0, 1, 0, 1, 0, 1]),
        ("clusters in (%c8, %c1, %c1)", "{moe.cooperative}", RANK, list(range(8))),
    ],
    ids=["plain", "cooperative", "cluster", "both"],
)
def test_kinds_of_launches(
    clause: str, attribute: str, value: str, want: list[int]
) -> None:
    model = compiled(launching(clause, attribute, value, "%c8"))
    assert model(X).tolist() == want


def test_launch_that_no_device_can_do() -> None:
    wide = launching("", "", BLOCK, "%many").replace(
        "%shared =", "%many = arith.constant 2147483648 : index\n  %shared ="
    )
    with pytest.raises(moe.MoEError, match="kernel 'k' would need 2147483648 x 1 x 1"):
        compiled(wide)(X)
    greedy = launching("", "", BLOCK, "%c8").replace("65536", "1000000")
    with pytest.raises(moe.MoEError, match="cuLaunchKernel failed: .*kernel 'k'"):
        compiled(greedy)(X)


def test_cooperative_launch_that_does_not_fit() -> None:
    text = launching("", "{moe.cooperative}", BLOCK, "%many").replace(
        "%shared =", "%many = arith.constant 100000 : index\n  %shared ="
    )
    with pytest.raises(
        moe.MoEError,
        match="cuLaunchKernelEx failed: CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE .*"
        "the device is smaller than the kernel was made for",
    ):
        compiled(text)(X)


def test_calls_after_a_failure_work() -> None:
    model: Any = compiled(launching("", "", BLOCK, "%c8"))
    with pytest.raises(moe.MoEError, match="is float32"):
        model(X.astype(np.float32))
    assert model(X).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
