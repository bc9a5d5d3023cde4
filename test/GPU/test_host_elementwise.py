"""Elementwise code around the layers, on the emulator."""

from __future__ import annotations

from collections.abc import Iterator

import moe_mlir as moe
import numpy as np
import pytest
from moe_mlir.arrays import DTYPES

RANDOM = np.random.default_rng(0)


def run(text: str, *inputs: np.ndarray) -> np.ndarray:
    """The result of ``@main``."""
    result = moe.Model.from_text(text).compile("emulator", chip="sm_80")(*inputs)
    assert isinstance(result, np.ndarray)
    return result


@pytest.mark.parametrize("sizes", [(3, 5, 7), (1, 1, 1), (2, 0, 4), (2, 40, 33)])
def test_broadcast_transpose_and_mask(
    sizes: tuple[int, ...], schedules: Iterator[int]
) -> None:
    """y[a, b, c] = mask[a, b] ? x[c, a, b] + row[c] * scale : 0, of dynamic sizes."""
    a, b, c = sizes
    x = RANDOM.standard_normal((c, a, b)).astype(np.float32)
    row = RANDOM.standard_normal(c).astype(np.float32)
    mask = RANDOM.random((a, b)) < 0.5
    text = """
    func.func @main(%x: tensor<?x?x?xf32>, %row: tensor<?xf32>,
                    %mask: tensor<?x?xi1>) -> tensor<?x?x?xf32> {
      %c0 = arith.constant 0 : index
      %c1 = arith.constant 1 : index
      %zero = arith.constant 0.0 : f32
      %scale = arith.constant 0.5 : f32
      %a = tensor.dim %mask, %c0 : tensor<?x?xi1>
      %b = tensor.dim %mask, %c1 : tensor<?x?xi1>
      %c = tensor.dim %row, %c0 : tensor<?xf32>
      %e = tensor.empty(%a, %b, %c) : tensor<?x?x?xf32>
      %y = linalg.generic {
          indexing_maps = [affine_map<(a, b, c) -> (c, a, b)>,
                           affine_map<(a, b, c) -> (c)>,
                           affine_map<(a, b, c) -> (a, b)>,
                           affine_map<(a, b, c) -> (a, b, c)>],
          iterator_types = ["parallel", "parallel", "parallel"]}
          ins(%x, %row, %mask : tensor<?x?x?xf32>, tensor<?xf32>, tensor<?x?xi1>)
          outs(%e : tensor<?x?x?xf32>) {
      ^bb0(%p: f32, %q: f32, %m: i1, %out: f32):
        %0 = arith.mulf %q, %scale : f32
        %1 = arith.addf %p, %0 : f32
        %2 = arith.select %m, %1, %zero : f32
        linalg.yield %2 : f32
      } -> tensor<?x?x?xf32>
      return %y : tensor<?x?x?xf32>
    }"""
    want = np.where(mask[:, :, None], x.transpose(1, 2, 0) + row * np.float32(0.5), 0)
    model = moe.Model.from_text(text).compile("emulator", chip="sm_80")
    for _ in schedules:
        assert np.array_equal(model(x, row, mask), want.astype(np.float32))


def test_bool_result_and_index() -> None:
    """y[i] = x[i] < i, a bool."""
    x = RANDOM.integers(-10, 600, 600).astype(np.int32)
    text = """
    func.func @main(%x: tensor<600xi32>) -> tensor<600xi1> {
      %e = tensor.empty() : tensor<600xi1>
      %y = linalg.generic {
          indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
          iterator_types = ["parallel"]}
          ins(%x : tensor<600xi32>) outs(%e : tensor<600xi1>) {
      ^bb0(%p: i32, %out: i1):
        %i = linalg.index 0 : index
        %w = arith.index_cast %i : index to i32
        %0 = arith.cmpi slt, %p, %w : i32
        linalg.yield %0 : i1
      } -> tensor<600xi1>
      return %y : tensor<600xi1>
    }"""
    assert np.array_equal(run(text, x), x < np.arange(600))


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_narrow_arithmetic(dtype: str) -> None:
    numpy_dtype = DTYPES[dtype]
    x = RANDOM.standard_normal((9, 31)).astype(numpy_dtype)
    text = f"""
    func.func @main(%x: tensor<9x31x{dtype}>) -> tensor<9x31x{dtype}> {{
      %e = tensor.empty() : tensor<9x31x{dtype}>
      %y = linalg.generic {{
          indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
          iterator_types = ["parallel", "parallel"]}}
          ins(%x : tensor<9x31x{dtype}>) outs(%e : tensor<9x31x{dtype}>) {{
      ^bb0(%p: {dtype}, %out: {dtype}):
        %0 = arith.mulf %p, %p : {dtype}
        %1 = arith.addf %0, %p : {dtype}
        linalg.yield %1 : {dtype}
      }} -> tensor<9x31x{dtype}>
      return %y : tensor<9x31x{dtype}>
    }}"""
    assert np.array_equal(run(text, x), x * x + x)


def test_numbers_of_the_host() -> None:
    """A tensor of sizes, a fill, and an updated copy of an argument."""
    text = """
    func.func @main(%x: tensor<?x3xi32>) -> (tensor<3xi32>, tensor<?x3xi32>,
                                             tensor<?x3xi32>) {
      %c0 = arith.constant 0 : index
      %seven = arith.constant 7 : i32
      %n = tensor.dim %x, %c0 : tensor<?x3xi32>
      %w = arith.index_cast %n : index to i32
      %sizes = tensor.from_elements %seven, %w, %seven : tensor<3xi32>
      %e = tensor.empty(%n) : tensor<?x3xi32>
      %filled = linalg.fill ins(%w : i32) outs(%e : tensor<?x3xi32>) -> tensor<?x3xi32>
      %sum = linalg.generic {
          indexing_maps = [affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>],
          iterator_types = ["parallel", "parallel"]}
          ins(%sizes : tensor<3xi32>) outs(%x : tensor<?x3xi32>) {
      ^bb0(%p: i32, %out: i32):
        %0 = arith.addi %p, %out : i32
        linalg.yield %0 : i32
      } -> tensor<?x3xi32>
      return %sizes, %filled, %sum : tensor<3xi32>, tensor<?x3xi32>, tensor<?x3xi32>
    }"""
    x = np.arange(15, dtype=np.int32).reshape(5, 3)
    kept = x.copy()
    sizes, filled, total = moe.Model.from_text(text).compile("emulator")(x)
    assert sizes.tolist() == [7, 5, 7]
    assert np.array_equal(filled, np.full((5, 3), 5))
    assert np.array_equal(total, x + [7, 5, 7])
    assert np.array_equal(x, kept)


def test_argument_as_result() -> None:
    text = """
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      return %x : tensor<4xf32>
    }"""
    x = np.arange(4, dtype=np.float32)
    compiled = moe.Model.from_text(text).compile("emulator")
    assert np.array_equal(compiled(x), x)
    placed = compiled.to_device(x)
    result = compiled(placed)
    assert result.pointer != placed.pointer
    assert np.array_equal(result.numpy(), x)


REFUSED = {
    "linalg.reduce": """
      %e = tensor.empty() : tensor<f32>
      %y = linalg.reduce ins(%x : tensor<4xf32>) outs(%e : tensor<f32>) dimensions = [0]
        (%p: f32, %q: f32) { %s = arith.addf %p, %q : f32  linalg.yield %s : f32 }""",
    "linalg.map": """
      %e = tensor.empty() : tensor<4xf32>
      %y = linalg.map { math.exp } ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>)""",
    "memref.load": """
      %c0 = arith.constant 0 : index
      %v = tensor.extract %x[%c0] : tensor<4xf32>
      %y = tensor.from_elements %v : tensor<1xf32>""",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    lines = REFUSED[name]
    result = {"linalg.reduce": "f32", "linalg.map": "4xf32", "memref.load": "1xf32"}
    text = f"""
    func.func @main(%x: tensor<4xf32>) -> tensor<{result[name]}> {{{lines}
      return %y : tensor<{result[name]}>
    }}"""
    with pytest.raises(moe.MoEError, match=f"'{name}' op cannot be left after stage "):
        moe.Model.from_text(text).compile("emulator")
