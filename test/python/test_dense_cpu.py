"""Dense matmuls of random shapes run on the generated kernels, between guard pages."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from matmul_programs import DTYPES
from moe_mlir import _moe
from moe_mlir.cpu import lower
from random_layers import UNIT, Array, random_size
from run_layers import execute

PROGRAMS = 15
MANY_PROGRAMS = 150
#: Which dimensions the second operand has: a weight in either layout, or one matrix for
#: each element of the batch, which is packed in the call.
OPERANDS = {"kn": "KN", "nk": "NK", "batch": "BKN"}
MOST = 2e7  # products


@dataclasses.dataclass(frozen=True)
class Dense:
    """out[B, M, N] = sum over K of x[B, M, K] times a second operand.

    Attributes:
        sizes: B, M, K, N.
        dtype: Of both operands; the result is f32.
        kind: One of OPERANDS.
        dynamic: Whether B and M are unknown to the compiler.
        whole: Whether data are small whole numbers, so that sums are exact.
        seed: Of the data.
    """

    sizes: dict[str, int]
    dtype: str
    kind: str
    dynamic: bool
    whole: bool
    seed: int

    def type_of(self, letters: str, dtype: str) -> str:
        dims = [
            "?" if self.dynamic and letter in "BM" else str(self.sizes[letter])
            for letter in letters
        ]
        return f"tensor<{'x'.join([*dims, dtype])}>"

    def text(self) -> str:
        x, w = (self.type_of(d, self.dtype) for d in ("BMK", OPERANDS[self.kind]))
        out = self.type_of("BMN", "f32")
        param = "" if self.kind == "batch" else '{moe.param = "w"}'
        dims = ", ".join(OPERANDS[self.kind].lower())
        wide = f"arith.extf %v : {self.dtype} to f32"
        lines = [f"%a = {wide}", f"%c = {wide.replace('%v', '%u')}"]
        names = ("%v", "%u") if self.dtype == "f32" else ("%a", "%c")
        sizes = ", ".join(["%b", "%m"] * self.dynamic)
        return f"""
#x = affine_map<(b, m, n, k) -> (b, m, k)>
#w = affine_map<(b, m, n, k) -> ({dims})>
#out = affine_map<(b, m, n, k) -> (b, m, n)>
func.func @main(%x: {x}, %w: {w} {param}) -> {out} {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %b = tensor.dim %x, %c0 : {x}
  %m = tensor.dim %x, %c1 : {x}
  %empty = tensor.empty({sizes}) : {out}
  %init = linalg.fill ins(%zero : f32) outs(%empty : {out}) -> {out}
  %y = linalg.generic {{indexing_maps = [#x, #w, #out],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}}
      ins(%x, %w : {x}, {w}) outs(%init : {out}) {{
  ^bb0(%v: {self.dtype}, %u: {self.dtype}, %acc: f32):
    {"" if self.dtype == "f32" else chr(10).join(lines)}
    %p = arith.mulf {names[0]}, {names[1]} : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  }} -> {out}
  return %y : {out}
}}"""

    def operands(self) -> tuple[Array, Array]:
        rng = np.random.default_rng(self.seed)
        arrays = []
        for letters in ("BMK", OPERANDS[self.kind]):
            shape = [self.sizes[letter] for letter in letters]
            whole = rng.integers(-3, 4, shape)
            values = whole if self.whole else rng.standard_normal(shape)
            arrays.append(values.astype(DTYPES[self.dtype]))
        return arrays[0], arrays[1]


def random_dense(seed: int) -> Dense:
    draw = random.Random(seed)
    sizes = {letter: random_size(draw) for letter in "BMKN"}
    while np.prod(list(sizes.values())) > MOST:
        letter = max(sizes, key=lambda name: (sizes[name], name))
        sizes[letter] = draw.randint(1, sizes[letter])
    return Dense(
        sizes=sizes,
        dtype=draw.choice(list(DTYPES)),
        kind=draw.choice(list(OPERANDS)),
        dynamic=draw.random() < 0.5,
        whole=draw.random() < 0.5,
        seed=seed,
    )


def check(dense: Dense, cpu: str) -> None:
    module = _moe.Module.parse(dense.text(), "dense.mlir")
    raised = module.clone()
    raised.run("moe-raise-matmul")
    assert raised.operations().get("moe.idx.grouped_matmul") == 1, dense
    lowered = lower(module, cpu)
    code = lowered.machine_code()
    x, w = dense.operands()
    inputs, weights = ([x, w], {}) if dense.kind == "batch" else ([x], {"w": w})
    one = execute(lowered, code, inputs, weights, 1, "end")
    two = execute(lowered, code, inputs, weights, 2, "start")
    assert one.tobytes() == two.tobytes(), dense
    rows, columns = x.astype(np.float64), w.astype(np.float64)
    if dense.kind == "nk":
        columns = columns.T
    bound = (dense.sizes["K"] + 1) * UNIT * (abs(rows) @ abs(columns))
    wrong = abs(one - rows @ columns) > bound * (not dense.whole)
    assert not wrong.any(), f"{dense} at {np.argwhere(wrong)[0]}"


def test_random_matmuls(level: str) -> None:
    for seed in range(PROGRAMS):
        check(random_dense(seed), level)


@pytest.mark.long
def test_many_random_matmuls(level: str) -> None:
    for seed in range(MANY_PROGRAMS):
        check(random_dense(seed), level)
