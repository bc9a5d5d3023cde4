"""What a random layer computes, in float64, and how far from it a result may be."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
import oracle
from matmul_programs import DTYPES, ROUNDOFF, SILU_ULPS, TINY
from random_layers import F64, UNIT, Array, Layer

#: Below it a float32 is subnormal, which some instructions take for zero.
SUBNORMAL = 2.0**-126


def overflow(value: F64, dtype: str) -> F64:
    """Values that are certainly too large for a type become infinite."""
    most = float(ml_dtypes.finfo(DTYPES[dtype]).max) * (1 + 2 * ROUNDOFF[dtype])
    return np.where(abs(value) > most, np.copysign(np.inf, value), value)


@dataclasses.dataclass
class Bounded:
    """Values, and the error that each may have."""

    value: F64
    error: F64

    def times(self, weight: F64) -> Bounded:
        """Rows [R, K] times a weight [N, K]: sums in float32, in any order."""
        depth = weight.shape[1]
        size = abs(weight).T
        inherited = self.error @ size
        terms = abs(self.value) @ size + inherited
        error = inherited + (depth + 1) * UNIT * terms + 2 * depth * SUBNORMAL
        return Bounded(overflow(self.value @ weight.T, "f32"), error)

    def rounded(self, dtype: str) -> Bounded:
        size = abs(self.value) + self.error
        error = self.error + ROUNDOFF[dtype] * size + TINY[dtype] + SUBNORMAL
        return Bounded(overflow(self.value, dtype), error)

    def exactly(self, dtype: str) -> Bounded:
        """Values without error, and rounded to a type."""
        stored = self.value.astype(np.float32).astype(DTYPES[dtype])
        return Bounded(stored.astype(np.float64), np.zeros_like(self.error))


def silu_product(gate: Bounded, up: Bounded) -> Bounded:
    value = gate.value / (1 + np.exp(-gate.value)) * up.value
    # |silu'| < 1.1 and |silu(x)| <= |x|.
    error = 1.1 * gate.error * (abs(up.value) + up.error)
    error = error + abs(gate.value) * up.error
    error = error + SILU_ULPS * UNIT * (abs(value) + error)
    return Bounded(overflow(value, "f32"), error)


def weights_of_expert(layer: Layer, weights: dict[str, Array], e: int) -> list[F64]:
    """Gate [I, H], up [I, H] and down [H, I]."""
    turned = [weight[e].astype(np.float64) for weight in weights.values()]
    if layer.layout == "kn":
        turned = [weight.T for weight in turned]
    if layer.arrangement == "concat":
        turned[:1] = np.split(turned[0], 2)
    elif layer.arrangement == "interleaved":
        turned[:1] = [turned[0][0::2], turned[0][1::2]]
    return turned


def route(layer: Layer, inputs: list[Array]) -> oracle.Routing:
    """The oracle's routing of the inputs of a layer."""
    words = layer.router.split()
    return oracle.route(
        inputs[1],
        k=layer.sizes["K"],
        scope=layer.scope,
        score=words[2],
        normalize=words[5],
        valid=inputs[2] if layer.padded else None,
        rank_logits=layer.whole and layer.scope == "sequence",
    )


@np.errstate(all="ignore")
def expected(
    layer: Layer, inputs: list[Array], weights: dict[str, Array]
) -> tuple[F64, F64]:
    """The result and its error; the error of whole numbers is zero.

    Raises:
        AssertionError: Whole numbers are too large for exact sums in float32.
    """
    plan = route(layer, inputs)
    h = layer.sizes["H"]
    tokens = inputs[0].astype(np.float64).reshape(-1, h)
    total, error, terms = (np.zeros_like(tokens) for _ in range(3))
    pairs = np.zeros((len(tokens), 1))
    for e in range(layer.sizes["E"]):
        begin, end = plan.expert_offsets[e : e + 2]
        if begin == end:
            continue
        chosen = plan.row_token[begin:end]
        row = Bounded(tokens[chosen], np.zeros((end - begin, h)))
        out = _expert_rows(layer, row, weights_of_expert(layer, weights, e))
        gates = plan.gates[begin:end, None].astype(np.float64)
        total[chosen] += gates * out.value
        error[chosen] += abs(gates) * out.error
        terms[chosen] += abs(gates) * (abs(out.value) + out.error)
        pairs[chosen] += 1
    result = Bounded(total, error + (pairs + 1) * (UNIT * terms + SUBNORMAL))
    if layer.whole:
        assert terms.max(initial=0) < 2**24, f"too large: {layer}"
        result = result.exactly(layer.dtype)
    else:
        result = result.rounded(layer.dtype)
    shape = inputs[0].shape
    return result.value.reshape(shape), result.error.reshape(shape)


def _expert_rows(layer: Layer, rows: Bounded, weights: list[F64]) -> Bounded:
    """The rows of one expert before their gates, as they are stored."""
    gate, up = rows.times(weights[0]), rows.times(weights[1])
    if not layer.whole:
        hidden = silu_product(gate, up).rounded(layer.dtype)
        return hidden.times(weights[2]).rounded(layer.dtype)
    hidden = Bounded(np.maximum(gate.value, 0) * up.value, gate.error)
    hidden = hidden.exactly(layer.dtype)
    sums = abs(hidden.value) @ abs(weights[2]).T
    assert sums.max(initial=0) < 2**24, f"too large: {layer}"
    return hidden.times(weights[2]).exactly(layer.dtype)
