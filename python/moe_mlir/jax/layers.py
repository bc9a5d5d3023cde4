"""Expert layers in jax.numpy: what XLA compiles where our compiler is not used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from moe_mlir.importing.options import ACTIVATIONS, check_choice, check_weights
from moe_mlir.jax.plan import RoutePlan, dense_of_plan, row_experts


@dataclasses.dataclass(frozen=True)
class ExpertOptions:
    """Attributes of an ``experts`` marker, by their names in the marker."""

    activation: str
    layout: str
    arrangement: str
    limit: float
    alpha: float
    gate_on: str

    def check(self, given: Mapping[str, Any]) -> None:
        """Raises ValueError for an unknown option or a wrong set of weights."""
        check_choice("experts", "activation", self.activation, ACTIVATIONS)
        check_choice("experts", "layout", self.layout, ("nk", "kn"))
        check_choice(
            "experts", "arrangement", self.arrangement, ("concat", "interleaved")
        )
        check_choice("experts", "gate_on", self.gate_on, ("output", "input"))
        check_weights(given, self.activation)

    def attributes(self) -> dict[str, Any]:
        """The options as a dictionary."""
        return dataclasses.asdict(self)


def evaluate(
    options: ExpertOptions,
    x: jax.Array,
    plan: RoutePlan,
    weights: Mapping[str, jax.Array],
) -> jax.Array:
    """``x [S,T,H]`` to ``[S,T,H]``.

    On a CPU XLA expands a ragged product to all experts times all rows; running every
    expert on every token costs K times less and no memory.
    """
    names = tuple(weights)

    def grouped(x: jax.Array, plan: RoutePlan, *values: jax.Array) -> jax.Array:
        return _by_rows(options, x, plan, dict(zip(names, values, strict=True)))

    def dense(x: jax.Array, plan: RoutePlan, *values: jax.Array) -> jax.Array:
        return _by_experts(options, x, plan, dict(zip(names, values, strict=True)))

    y: jax.Array = lax.platform_dependent(
        x, plan, *weights.values(), cpu=dense, default=grouped
    )
    return y


def _activate(
    first: jax.Array, second: jax.Array | None, options: ExpertOptions
) -> jax.Array:
    if options.activation == "clamped_swiglu":
        assert second is not None
        gate = jnp.minimum(first, options.limit)
        up = jnp.clip(second, -options.limit, options.limit)
        return (up + 1) * gate * jax.nn.sigmoid(options.alpha * gate)
    functions: dict[str, Callable[[jax.Array], jax.Array]] = {
        "silu": jax.nn.silu,
        "gelu": lambda v: jax.nn.gelu(v, approximate=False),
        "gelu_tanh": lambda v: jax.nn.gelu(v, approximate=True),
        "relu": jax.nn.relu,
        "relu2": lambda v: jnp.square(jax.nn.relu(v)),
    }
    value = functions[options.activation](first)
    return value if second is None else value * second


def _hidden(project: Any, options: ExpertOptions, weights: Mapping[str, Any]) -> Any:
    """First layer and activation; ``project(name)`` multiplies and adds the bias."""
    if "gate_up" in weights:
        both = project("gate_up")
        if options.arrangement == "interleaved":
            first, second = both[..., ::2], both[..., 1::2]
        else:
            first, second = jnp.split(both, 2, axis=-1)
    elif "gate" in weights:
        first, second = project("gate"), project("up")
    else:
        first, second = project("up"), None
    return _activate(first, second, options)


def _by_rows(
    options: ExpertOptions,
    x: jax.Array,
    plan: RoutePlan,
    weights: Mapping[str, jax.Array],
) -> jax.Array:
    """One ragged product per layer over the rows of the plan."""
    flat = x.reshape(-1, x.shape[-1])
    live = (plan.row_token >= 0)[:, None]
    token = jnp.maximum(plan.row_token, 0)
    sizes = jnp.diff(plan.expert_offsets)
    expert = jnp.minimum(
        row_experts(plan.expert_offsets, token.shape[0]), sizes.shape[0] - 1
    )

    def product(rows: jax.Array, name: str) -> jax.Array:
        weight = weights[name]
        weight = weight if options.layout == "kn" else jnp.swapaxes(weight, 1, 2)
        result = lax.ragged_dot(rows, weight, sizes)
        bias = weights.get(f"{name}_bias")
        return result if bias is None else result + bias[expert]

    gates = plan.gates[:, None]
    rows = flat[token]
    if options.gate_on == "input":
        rows = rows * gates.astype(rows.dtype)
    result = product(
        _hidden(lambda name: product(rows, name), options, weights), "down"
    ).astype(jnp.float32)
    if options.gate_on == "output":
        result = result * gates.astype(jnp.float32)
    out = jnp.zeros(flat.shape, jnp.float32)
    out = out.at[token].add(jnp.where(live, result, 0.0))
    return out.astype(x.dtype).reshape(x.shape)


def _by_experts(
    options: ExpertOptions,
    x: jax.Array,
    plan: RoutePlan,
    weights: Mapping[str, jax.Array],
) -> jax.Array:
    """Every expert on every token, weighted by a dense matrix of gates."""
    flat = x.reshape(-1, x.shape[-1])
    experts = plan.expert_offsets.shape[0] - 1
    live = plan.row_token >= 0
    shape = (flat.shape[0], experts)
    index = (plan.expert_offsets, plan.row_token)
    gates = dense_of_plan(*index, plan.gates.astype(jnp.float32), shape)
    chosen = dense_of_plan(*index, live, shape)

    def step(out: jax.Array, one: Any) -> tuple[jax.Array, None]:
        weight, gate, taken = one

        def product(rows: jax.Array, name: str) -> jax.Array:
            matrix = weight[name] if options.layout == "kn" else weight[name].T
            bias = weight.get(f"{name}_bias")
            result: jax.Array = rows @ matrix
            return result if bias is None else result + bias

        column = gate[:, None]
        rows = flat * column.astype(x.dtype) if options.gate_on == "input" else flat
        result = product(
            _hidden(lambda name: product(rows, name), options, weights), "down"
        ).astype(jnp.float32)
        if options.gate_on == "output":
            result = result * column
        return out + jnp.where(taken[:, None], result, 0.0), None

    start = jnp.zeros(flat.shape, jnp.float32)
    out = lax.scan(step, start, (dict(weights), gates.T, chosen.T))[0]
    result: jax.Array = out.astype(x.dtype).reshape(x.shape)
    return result
