"""The extension module: parsing, passes, machine code and calls."""

import gc
import resource

import numpy as np
import pytest
from moe_mlir import _moe
from moe_mlir.errors import MoEError

LOWER = (
    "convert-scf-to-openmp,canonicalize,expand-strided-metadata,convert-scf-to-cf,"
    "convert-vector-to-llvm,finalize-memref-to-llvm,convert-openmp-to-llvm,"
    "convert-func-to-llvm,convert-arith-to-llvm,convert-index-to-llvm,"
    "convert-cf-to-llvm,reconcile-unrealized-casts"
)
TWICE = """
memref.global "private" constant @one : memref<1xf32> = dense<1.0>
func.func @twice(%a: memref<?x?xf32>, %n: memref<?xf32>)
    -> (memref<?x?xf32>, memref<?xf32>, memref<1xf32>, memref<?x?xf32>)
    attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %d0 = memref.dim %a, %c0 : memref<?x?xf32>
  %d1 = memref.dim %a, %c1 : memref<?x?xf32>
  %m = memref.alloc(%d0, %d1) : memref<?x?xf32>
  scf.parallel (%i) = (%c0) to (%d0) step (%c1) {
    scf.for %j = %c0 to %d1 step %c1 {
      %v = memref.load %a[%i, %j] : memref<?x?xf32>
      %w = arith.addf %v, %v : f32
      memref.store %w, %m[%i, %j] : memref<?x?xf32>
    }
    scf.reduce
  }
  %g = memref.get_global @one : memref<1xf32>
  return %m, %n, %g, %m
      : memref<?x?xf32>, memref<?xf32>, memref<1xf32>, memref<?x?xf32>
}
"""
F32 = np.dtype(np.float32)
RESULTS = [(F32, 2), (F32, 1), (F32, 1), (F32, 2)]


def lowered(text: str) -> _moe.Module:
    module = _moe.Module.parse(text, "test.mlir")
    module.run(LOWER)
    return module


@pytest.fixture(scope="module")
def twice() -> _moe.Executable:
    return _moe.Executable(lowered(TWICE).object(), threads=2)


def inputs() -> list[np.ndarray]:
    return [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.arange(3, dtype=np.float32),
    ]


def test_results_own_their_memory(twice: _moe.Executable) -> None:
    a, n = inputs()
    doubled, same, one, shared = twice.call("twice", [a, n], RESULTS)
    np.testing.assert_array_equal(doubled, 2 * a)
    assert np.shares_memory(doubled, shared)
    # What belongs to an argument or to the code is copied.
    np.testing.assert_array_equal(same, n)
    assert not np.shares_memory(same, n)
    np.testing.assert_array_equal(one, [1])
    del doubled
    gc.collect()
    np.testing.assert_array_equal(shared, 2 * a)


def test_results_outlive_the_code() -> None:
    a, n = inputs()
    code = _moe.Executable(lowered(TWICE).object())
    results = code.call("twice", [a, n], RESULTS)
    del code
    gc.collect()
    np.testing.assert_array_equal(results[0], 2 * a)
    np.testing.assert_array_equal(results[2], [1])


def test_no_leak(twice: _moe.Executable) -> None:
    a = np.ones((512, 512), np.float32)
    n = np.ones(4, np.float32)
    for _ in range(10):
        twice.call("twice", [a, n], RESULTS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(1000):  # 1 GB in results
        twice.call("twice", [a, n], RESULTS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


def test_empty_result(twice: _moe.Executable) -> None:
    a = np.ones((0, 4), np.float32)
    doubled, same, _, _ = twice.call("twice", [a, np.ones(0, np.float32)], RESULTS)
    assert doubled.shape == (0, 4)
    # The memory of an empty argument is numpy's, too: the result must not free it.
    assert same.shape == (0,) and same.flags.owndata


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("func.func @f(", "bad.mlir:1:13", "expected"),
        ("func.func @f() { %0 = moe.rout }", "bad.mlir:1:23", "moe.rout"),
        ("module {\n" + "(" * 1000, "bad.mlir", "2:500: more than 500 brackets"),
        ('func.func @f(%a: tensor<?x!"', "bad.mlir:1:27", "invalid type"),
    ],
)
def test_malformed_text(text: str, where: str, message: str) -> None:
    with pytest.raises(MoEError) as refused:
        _moe.Module.parse(text, "bad.mlir")
    assert refused.value.where == where
    assert message in str(refused.value)
    assert str(refused.value).startswith("bad.mlir:")


def test_brackets_in_comments_and_strings_do_not_nest() -> None:
    text = "// " + "(" * 1000 + '\nmodule attributes {moe.a = "' + "[" * 1000 + '"} {}'
    _moe.Module.parse(text)


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("no-such-pass", "'no-such-pass' does not refer to a registered pass"),
        ("canonicalize{x=1}", "no such option x"),
        ("builtin.module(cse", "missing ')'"),
    ],
)
def test_bad_pipeline(pipeline: str, message: str) -> None:
    module = _moe.Module.parse("module {}")
    with pytest.raises(MoEError, match=r"pass pipeline") as refused:
        module.run(pipeline)
    assert message in str(refused.value)


def test_failed_pass_leaves_the_module() -> None:
    # The first pass removes the addition; the second refuses the deallocation.
    module = _moe.Module.parse(
        "func.func @f(%a: memref<2xf32>, %c: index) {\n"
        "  %0 = arith.addi %c, %c : index\n"
        "  memref.dealloc %a : memref<2xf32>\n  return\n}",
        "a.mlir",
    )
    before = module.print()
    with pytest.raises(MoEError, match=r"a.mlir:3:3: "):
        module.run("canonicalize,func.func(ownership-based-buffer-deallocation)")
    assert module.print() == before
    module.run("canonicalize")
    assert module.print() != before


def test_signatures() -> None:
    module = _moe.Module.parse(
        "func.func private @declared(tensor<1xf32>)\n"
        'func.func @f(%a: tensor<?x4xbf16> {moe.param = "w", moe.packed = {n = [1]}},'
        " %b: tensor<i1>) -> tensor<?xi32> { %0 = ub.poison : tensor<?xi32>\n"
        " return %0 : tensor<?xi32> }"
    )
    attributes = {"moe.param": "w", "moe.packed": {"n": [1]}}
    assert module.signatures() == [
        {
            "name": "f",
            "public": True,
            "arguments": [
                {"dtype": "bf16", "shape": [None, 4], "attributes": attributes},
                {"dtype": "i1", "shape": [], "attributes": {}},
            ],
            "results": [{"dtype": "i32", "shape": [None], "attributes": {}}],
        }
    ]
    assert module.operations()["func.func"] == 2


def test_unknown_cpu() -> None:
    with pytest.raises(MoEError, match=r"unknown CPU 'i386'.*host"):
        _moe.check_cpu("i386")


def test_code_for_a_newer_cpu_is_refused_before_it_runs() -> None:
    # No machine has both AMD's and Intel's own extensions.
    newer = [cpu for cpu in ("diamondrapids", "bdver4") if not runs_here(cpu)]
    assert newer
    code = lowered(TWICE).object(cpu=newer[0])
    with pytest.raises(MoEError, match=f"'{newer[0]}' does not run here.*lacks"):
        _moe.Executable(code, cpu=newer[0])


def runs_here(cpu: str) -> bool:
    try:
        _moe.check_cpu(cpu, runs_here=True)
    except MoEError:
        return False
    return True


def test_library_calls_are_refused() -> None:
    code = lowered(
        "func.func private @cosf(f32) -> f32\n"
        "func.func @f(%a: f32) -> f32 {\n"
        "  %0 = func.call @cosf(%a) : (f32) -> f32\n  return %0 : f32\n}"
    ).object()
    assert _moe.undefined_symbols(code) == ["cosf"]
    with pytest.raises(MoEError, match="calls 'cosf', which is not part of"):
        _moe.Executable(code)


def test_missing_function(twice: _moe.Executable) -> None:
    with pytest.raises(MoEError, match="no compiled function 'thrice'"):
        twice.call("thrice", [], [])


def test_module_that_is_not_lowered() -> None:
    module = _moe.Module.parse("func.func @f() { return }", "a.mlir")
    with pytest.raises(MoEError, match=r"a.mlir:1:1: .*func.func"):
        module.object()


HUNGRY = """
func.func @f(%n: memref<1xindex>) -> (memref<?xi8>, memref<?xi8>)
    attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c = arith.constant 50000000 : index
  %one = arith.constant 1 : i8
  %size = memref.load %n[%c0] : memref<1xindex>
  %temporary = memref.alloc(%c) : memref<?xi8>
  linalg.fill ins(%one : i8) outs(%temporary : memref<?xi8>)
  memref.dealloc %temporary : memref<?xi8>
  %a = memref.alloc(%c) : memref<?xi8>
  linalg.fill ins(%one : i8) outs(%a : memref<?xi8>)
  %b = memref.alloc(%size) : memref<?xi8>
  return %a, %b : memref<?xi8>, memref<?xi8>
}
"""


def test_out_of_memory_is_an_error_and_leaks_nothing() -> None:
    module = _moe.Module.parse(HUNGRY)
    module.run("convert-linalg-to-loops," + LOWER)
    code = _moe.Executable(module.object())
    bytes_type = np.dtype(np.int8)

    def call(size: int) -> list[np.ndarray]:
        results = [(bytes_type, 1), (bytes_type, 1)]
        return code.call("f", [np.array([size])], results)

    assert [len(result) for result in call(7)] == [50_000_000, 7]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(10):
        with pytest.raises(MoEError, match=r"out of memory.*pass fewer tokens"):
            call(2**60)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 110 * 1024
    assert len(call(0)[1]) == 0
