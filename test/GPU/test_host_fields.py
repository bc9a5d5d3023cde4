"""All that a routing gives, and constants, returned from a compiled function."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

import moe_mlir as moe
import numpy as np
import pytest
from moe_mlir import _moe, gpu
from moe_mlir.arrays import DTYPES
from moe_mlir.gpu_launches import record
from moe_mlir.routing import route_module

OPTIONS = {
    "k": 2, "scope": "token", "score": "softmax", "normalize": "sum", "scale": 1.0,
    "eps": 0.0, "norm_min": 0.0, "n_group": 1, "topk_group": 1, "floor": None,
    "cap": None, "group_score": "max", "rank_logits": False,
}  # fmt: skip


def module(scope: str, s: int, t: int, e: int, is_static: bool) -> str:
    """``@main`` returns four fields and gates of logits [S, T, E]."""
    text = route_module(OPTIONS | {"scope": scope}, "f32", e, False, False)
    if not is_static:
        return text
    rows = s * t * OPTIONS["k"]
    text = text.replace(f"?x?x{e}", f"{s}x{t}x{e}").replace("= ?>", f"= {rows}>")
    text = text.replace("tensor<?x?xi32>", f"tensor<{s}x{t + 1}xi32>")
    return re.sub(r"tensor<\?x(i32|f32)>", rf"tensor<{rows}x\1>", text)


@pytest.mark.parametrize("scope", ["token", "sequence"])
@pytest.mark.parametrize("is_static", [True, False])
@pytest.mark.parametrize(("s", "t"), [(1, 40), (2, 9), (1, 1)])
def test_fields(scope: str, is_static: bool, s: int, t: int) -> None:
    """Also those that sizes alone decide, which nobody computes."""
    random = np.random.default_rng(t)
    logits = random.standard_normal((s, t, 24)).astype(np.float32)
    text = module(scope, s, t, 24, is_static)
    results = moe.Model.from_text(text).compile("emulator")(logits)
    want = moe.route(logits, 2, scope=scope, normalize="sum", target="reference")
    named = {
        field.name: getattr(want, field.name) for field in dataclasses.fields(want)
    }
    names = ("expert_offsets", "row_token", "token_offsets", "token_row", "gates")
    for name, got in zip(names, results, strict=True):
        assert got.dtype == named[name].dtype
        assert np.array_equal(got, named[name]), name


def test_one_expert() -> None:
    """It has all rows: its offsets are a constant, too."""
    text = module("sequence", 1, 5, 1, True).replace("top 2", "top 1")
    text = text.replace("rows = 10", "rows = 5").replace("<10x", "<5x")
    results = moe.Model.from_text(text).compile("emulator")(
        np.zeros((1, 5, 1), np.float32)
    )
    assert results[0].tolist() == [0, 5]
    assert results[2].tolist() == [[0, 1, 2, 3, 4, 5]]


def test_cluster_on_the_host_path() -> None:
    """One sequence of few tokens on sm_90: a launch of one cluster."""
    lowered = gpu.lower_gpu(
        _moe.Module.parse(module("sequence", 1, 40, 24, True)), gpu.check_chip("sm_90")
    )
    (launch,) = record(lowered, [(1, 40, 24)]).launches
    assert (launch.grid, launch.cluster) == ((8, 1, 1), 8)
    assert not launch.cooperative


@pytest.mark.parametrize("dtype", ["i32", "bf16", "f16", "f32", "i8"])
def test_constants(dtype: str, schedules: Iterator[int]) -> None:
    """Used twice, returned as they are, of one value and of many."""
    element = DTYPES.get(dtype, np.int8)
    values = np.arange(300).astype(element).reshape(3, 100)
    add = "addf" if "f" in dtype else "addi"
    point = ".0" if "f" in dtype else ""
    rows = (
        ", ".join(f"{v}{point}" for v in range(100 * i, 100 * i + 100))
        for i in range(3)
    )
    if dtype == "i8":
        values = (np.arange(300) % 100).astype(np.int8).reshape(3, 100)
        rows = (", ".join(map(str, range(100))) for _ in range(3))
    many = ", ".join(f"[{row}]" for row in rows)
    tensor, same = f"tensor<3x100x{dtype}>", "affine_map<(i, j) -> (i, j)>"
    text = f"""
    func.func @main(%x: {tensor}) -> ({tensor}, {tensor}, {tensor}) {{
      %many = arith.constant dense<[{many}]> : {tensor}
      %one = arith.constant dense<1{point}> : {tensor}
      %e = tensor.empty() : {tensor}
      %b = linalg.generic {{indexing_maps = [{same}, {same}, {same}, {same}],
          iterator_types = ["parallel", "parallel"]}}
          ins(%x, %many, %one : {tensor}, {tensor}, {tensor}) outs(%e : {tensor}) {{
      ^bb0(%p: {dtype}, %q: {dtype}, %r: {dtype}, %out: {dtype}):
        %0 = arith.{add} %p, %q : {dtype}
        %1 = arith.{add} %0, %r : {dtype}
        linalg.yield %1 : {dtype}
      }} -> {tensor}
      return %b, %many, %one : {tensor}, {tensor}, {tensor}
    }}"""
    x = np.ones((3, 100)).astype(element)
    model = moe.Model.from_text(text).compile("emulator")
    for _ in schedules:
        b, many, one = model(x)
        assert np.array_equal(b, (x + values + x).astype(element))
        assert np.array_equal(many, values) and np.array_equal(one, x)


def test_large_constants_are_refused() -> None:
    text = """
    func.func @main() -> tensor<65537xi32> {
      %c = arith.constant dense<3> : tensor<65537xi32>
      return %c : tensor<65537xi32>
    }"""
    with pytest.raises(moe.MoEError, match="memref.global"):
        moe.Model.from_text(text).compile("emulator")
