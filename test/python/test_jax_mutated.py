"""Programs of layers with one random change: what is still raised computes the same.

StableHLO's interpreter runs the changed program; the compiled one must agree with it.
"""

from __future__ import annotations

import random
import re
from typing import Any

import jax
import jax_layers as layers
import moe_mlir
import numpy as np
import pytest
from jax.interpreters.mlir import make_ir_context
from jax_layers import params, x
from jaxlib.mlir import ir, passmanager
from jaxlib.mlir.dialects import stablehlo
from moe_mlir import MoEError
from moe_mlir.importing import ImportRefused
from moe_mlir.jax.importer import import_stablehlo
from moe_mlir.jax.matching.inline import inline_calls

stablehlo.register_stablehlo_passes()

TRIALS = 60
LAYERS = (
    layers.layer_of(layers.softmax_sum, layers.by_sort),
    layers.layer_of(layers.sigmoid_bias, layers.by_sort_and_scatter),
    layers.layer_of(layers.top_k_softmax, layers.by_sort_of_several),
    layers.layer_of(layers.softmax_sum, layers.by_masked_rows),
    layers.layer_of(layers.softmax_bias, layers.by_gate_matrix),
)
#: Of each operation: what it may become.
OTHERS = {
    "stablehlo.add": "stablehlo.subtract",
    "stablehlo.subtract": "stablehlo.add",
    "stablehlo.multiply": "stablehlo.add",
    "stablehlo.divide": "stablehlo.multiply",
    "stablehlo.maximum": "stablehlo.minimum",
    "stablehlo.exponential": "stablehlo.tanh",
    "stablehlo.negate": "stablehlo.abs",
    " LT,": " GT,",
    " EQ,": " LE,",
    " GE,": " GT,",
}


def program_of(layer: Any) -> str:
    """One function without calls, as text."""
    traced = jax.jit(layer, keep_unused=True).trace(params(), x())
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    module = ir.Module.parse(text, context=make_ir_context())
    inline_calls(module)
    with module.context:
        passes = "builtin.module(symbol-dce,cse)"
        passmanager.PassManager.parse(passes).run(module.operation)
    return str(module)


def changed_line(line: str, before: list[str], rng: random.Random) -> str:
    """The line with another operation, constant or operand; or as it was."""
    kind = rng.randrange(3)
    if kind == 0:
        found = [name for name in OTHERS if name in line]
        return line.replace(found[0], OTHERS[found[0]], 1) if found else line
    if kind == 1:
        change = str(rng.choice([-1, 0, 1, 2, 3]))
        return re.sub(r"dense<-?\d+(?=>|\.)", f"dense<{change}", line, count=1)
    head, equals, body = line.partition(" = ")
    operands = list(re.finditer(r"%\w+", body))
    if not operands or not before:
        return line
    one = rng.choice(operands)
    new = rng.choice(before)
    return head + equals + body[: one.start()] + new + body[one.end() :]


def changed(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    places = [i for i, line in enumerate(lines) if re.match(r"\s+%\w+ = ", line)]
    place = rng.choice(places)
    before = [lines[i].split()[0] for i in places if i < place]
    lines[place] = changed_line(lines[place], before, rng)
    return "\n".join(lines)


def is_valid(text: str) -> bool:
    try:
        ir.Module.parse(text, context=make_ir_context())
    except ir.MLIRError:
        return False
    return True


def interpreted(text: str, given: list[np.ndarray]) -> np.ndarray:
    module = ir.Module.parse(text, context=make_ir_context())
    passes = "builtin.module(func.func(chlo-legalize-to-stablehlo))"
    with module.context, ir.Location.unknown():
        passmanager.PassManager.parse(passes).run(module.operation)
        values = [ir.DenseElementsAttr.get(one) for one in given]
        (result,) = stablehlo.eval_module(module, values)
    return np.array(result).reshape(result.type.shape)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda f: f.__name__)
def test_what_is_still_raised_computes_the_same(layer: Any) -> None:
    rng = random.Random(layer.__name__)
    text = program_of(layer)
    given = [np.ascontiguousarray(leaf) for leaf in jax.tree.leaves((params(), x()))]
    raised = 0
    for _ in range(TRIALS):
        other = changed(text, rng)
        if other == text or not is_valid(other):
            continue
        try:
            report = import_stablehlo(other).report
        except ImportRefused:
            continue
        if any(entry["status"] != "raised" for entry in report["layers"]):
            continue
        raised += 1
        want = interpreted(other, given)
        try:
            have = moe_mlir.from_stablehlo(other).compile()(*given)
        except MoEError:
            continue  # Something beside the layer does not compile.
        scale = float(np.nan_to_num(np.abs(want)).max())
        np.testing.assert_allclose(have, want, rtol=0, atol=3e-5 * scale)
    assert raised > 0
