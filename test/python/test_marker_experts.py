"""Every form of the `experts` marker, compiled and run, against NumPy in float64."""

from __future__ import annotations

import dataclasses
import math

import moe_mlir as moe
import numpy as np
import pytest
from moe_mlir.arrays import DTYPES

S, T, E, K, H, I = 2, 7, 5, 2, 24, 20  # noqa: E741
LIMIT, ALPHA = 0.8, 1.702
# Of a result whose terms are of order 1: f32 sums of H and I terms, one rounding of
# bf16 at each of the two places where the values are rounded.
TOLERANCE = {"f32": 2e-5, "bf16": 3e-2}


@dataclasses.dataclass(frozen=True)
class Case:
    """Attributes of a marker, and the form of its weights."""

    activation: str
    weights: str  # "concat", "interleaved", "two" or "up"
    layout: str = "nk"
    gate_on: str = "output"
    biases: bool = False
    dtype: str = "f32"

    def __str__(self) -> str:
        return "-".join(str(value) for value in dataclasses.astuple(self))


CASES = [
    Case("silu", "concat"),
    Case("silu", "two", "kn", biases=True),
    Case("gelu", "two", biases=True),
    Case("gelu", "up", "kn"),
    Case("gelu_tanh", "concat", "kn", "input", biases=True),
    Case("relu", "up", biases=True),
    Case("relu", "interleaved", gate_on="input"),
    Case("relu2", "up", "kn", "input"),
    Case("clamped_swiglu", "interleaved", "kn", biases=True),
    Case("clamped_swiglu", "interleaved", "nk", "input", biases=True),
    Case("clamped_swiglu", "concat", biases=True),
    Case("clamped_swiglu", "two", "kn"),
    Case("silu", "concat", biases=True, dtype="bf16"),
    Case("silu", "interleaved", "kn", "input", biases=True, dtype="bf16"),
]


def parts(case: Case, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Gate, up and down as `[E, out, in]` in float64, exact in the case's type."""

    def values(*shape: int) -> np.ndarray:
        array = rng.standard_normal(shape) / math.sqrt(shape[-1])
        return array.astype(DTYPES[case.dtype]).astype(np.float64)

    given = {"up": values(E, I, H), "down": values(E, H, I)}
    if case.weights != "up":
        given["gate"] = values(E, I, H)
    if case.biases:
        for name in ("up", "down") if case.weights == "up" else ("gate", "up", "down"):
            given[f"{name}_bias"] = values(E, given[name].shape[1]) * 4
    return given


def joined(case: Case, gate: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Gate and up along the axis of output features, as the arrangement has them."""
    if case.weights == "concat":
        return np.concatenate([gate, up], axis=1)
    return np.stack([gate, up], axis=2).reshape(E, 2 * I, *gate.shape[2:])


def operands(case: Case, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The marker's operands by name, in the case's layout and type."""
    given = dict(given)
    if case.weights in ("concat", "interleaved"):
        for suffix in ("", "_bias") if case.biases else ("",):
            gate, up = given.pop(f"gate{suffix}"), given.pop(f"up{suffix}")
            given[f"gate_up{suffix}"] = joined(case, gate, up)
    if case.layout == "kn":
        given = {
            name: array.swapaxes(1, 2) if array.ndim == 3 else array
            for name, array in given.items()
        }
    return {
        name: np.ascontiguousarray(array).astype(DTYPES[case.dtype])
        for name, array in given.items()
    }


def module(case: Case, weights: dict[str, np.ndarray]) -> str:
    """A layer whose choice is an input; S and T are dynamic."""
    plan = [f"tensor<{E + 1}xi32>", "tensor<?xi32>", "tensor<?x?xi32>", "tensor<?xi32>"]
    plan.append("tensor<?xf32>")
    x, ids = f"tensor<?x?x{H}x{case.dtype}>", f"tensor<?x?x{K}xi32>"
    gates = f"tensor<?x?x{K}xf32>"
    types = [
        f"tensor<{'x'.join(map(str, array.shape))}x{case.dtype}>"
        for array in weights.values()
    ]
    fields = ["expert_offsets", "row_token", "token_offsets", "token_row", "gates"]
    names = ", ".join(f'"{name}"' for name in ["x", *fields, *weights])
    arguments = ", ".join(
        f'%{name}: {type_} {{moe.param = "{name}"}}'
        for name, type_ in zip(weights, types, strict=True)
    )
    choice = f"({ids}, {gates}) -> ({', '.join(plan)})"
    experts = f"({', '.join([x, *plan, *types])}) -> {x}"
    arrangement = "concat" if case.weights in ("two", "up") else case.weights
    return f"""
func.func private @moe.plan_from_choice.0{choice}
  attributes {{moe.marker = {{op = "plan_from_choice", version = 1 : i64,
    operands = ["ids", "weights"], experts = {E} : i64}}}}
func.func private @moe.experts.1{experts}
  attributes {{moe.marker = {{op = "experts", version = 1 : i64, operands = [{names}],
    activation = "{case.activation}", layout = "{case.layout}",
    arrangement = "{arrangement}", gate_on = "{case.gate_on}",
    limit = {LIMIT} : f64, alpha = {ALPHA} : f64}}}}
func.func @main(%x: {x}, %ids: {ids}, %gates: {gates}, {arguments}) -> {x} {{
  %0:5 = call @moe.plan_from_choice.0(%ids, %gates) : {choice}
  %1 = call @moe.experts.1(%x, %0#0, %0#1, %0#2, %0#3, %0#4,
    {", ".join(f"%{name}" for name in weights)}) : {experts}
  return %1 : {x}
}}
"""


def activate(case: Case, gate: np.ndarray, up: np.ndarray | None) -> np.ndarray:
    """The formulas of docs/import.md."""
    match case.activation:
        case "silu":
            active = gate / (1 + np.exp(-gate))
        case "gelu":
            active = gate / 2 * (1 + np.vectorize(math.erf)(gate / math.sqrt(2)))
        case "gelu_tanh":
            inner = math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)
            active = gate / 2 * (1 + np.tanh(inner))
        case "relu":
            active = np.maximum(gate, 0)
        case "relu2":
            active = np.maximum(gate, 0) ** 2
        case _:
            assert up is not None
            gate, up = np.minimum(gate, LIMIT), np.clip(up, -LIMIT, LIMIT)
            return (up + 1) * gate / (1 + np.exp(-ALPHA * gate))
    return active if up is None else active * up


def reference(
    case: Case,
    given: dict[str, np.ndarray],
    x: np.ndarray,
    ids: np.ndarray,
    gates: np.ndarray,
) -> np.ndarray:
    """Pair by pair; an id that is no expert adds nothing."""
    y = np.zeros(x.shape)

    def linear(name: str, e: int, row: np.ndarray) -> np.ndarray:
        bias = given[f"{name}_bias"][e] if case.biases else 0.0
        return given[name][e] @ row + bias

    for s, t, j in np.ndindex(ids.shape):
        e, gate = int(ids[s, t, j]), float(gates[s, t, j])
        if not 0 <= e < E:
            continue
        row = x[s, t].astype(np.float64) * (gate if case.gate_on == "input" else 1.0)
        if case.weights == "up":
            hidden = activate(case, linear("up", e, row), None)
        else:
            hidden = activate(case, linear("gate", e, row), linear("up", e, row))
        out = linear("down", e, hidden)
        y[s, t] += out if case.gate_on == "input" else gate * out
    return y


@pytest.mark.parametrize("case", CASES, ids=str)
def test_experts_follow_their_formulas(case: Case) -> None:
    rng = np.random.default_rng(CASES.index(case))
    given = parts(case, rng)
    x = rng.standard_normal((S, T, H)).astype(DTYPES[case.dtype])
    ids = rng.integers(-1, E + 1, (S, T, K)).astype(np.int32)
    gates = rng.uniform(0.1, 1.0, (S, T, K)).astype(np.float32)
    weights = operands(case, given)
    model = moe.Model.from_text(module(case, weights), weights)
    compiled = model.run_passes("moe-import-pipeline").compile()
    have = compiled(x, ids, gates)
    assert have.dtype == DTYPES[case.dtype]
    want = reference(case, given, x, ids, gates)
    error = np.abs(have.astype(np.float64) - want).max()
    assert error <= TOLERANCE[case.dtype] * max(1.0, np.abs(want).max())
