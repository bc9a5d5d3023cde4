"""moe_mlir.jax under plain XLA: choices, layers, gradients, jit, scan."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import moe_mlir.jax as moe
import numpy as np
import oracle
import pytest
from jax import lax
from moe_mlir.errors import MoEError
from moe_mlir.jax import layers

S, T, E, K, H, INNER = 3, 7, 8, 2, 10, 6

OPTIONS: dict[str, dict[str, Any]] = {
    "token": {},
    "sequence": {"scope": "sequence"},
    "sum": {"normalize": "sum", "scale": 2.5},
    "sum_with_least_divisor": {"normalize": "sum", "eps": 0.1, "norm_min": 0.9},
    "sigmoid_groups": {
        "score": "sigmoid",
        "groups": (4, 2, "top2_sum"),
        "choice_bias": np.linspace(-1, 1, E, dtype=np.float32),
    },
    "groups_of_one": {"groups": (8, 4, "top2_sum")},
    "groups_by_max": {"groups": (2, 1, "max"), "scope": "sequence"},
    "softmax_of_chosen": {"score": "identity", "normalize": "softmax"},
    "sqrtsoftplus_bounded": {
        "scope": "sequence",
        "score": "sqrtsoftplus",
        "floor": 1,
        "cap": 3,
    },
    "padded": {
        "scope": "sequence",
        "normalize": "sum",
        "valid": np.arange(T)[None] < np.array([[T], [4], [0]]),
    },
}


def _logits(seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((S, T, E)) * 2).astype(
        np.float32
    )


def _weights(layout: str = "kn") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)

    def random(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.5).astype(np.float32)

    w = {"gate_up": random(E, H, 2 * INNER), "down": random(E, INNER, H)}
    return w if layout == "kn" else {k: v.swapaxes(1, 2) for k, v in w.items()}


def _x() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((S, T, H)).astype(np.float32)


@pytest.mark.parametrize("name", OPTIONS)
def test_plan_agrees_with_the_oracle(name: str) -> None:
    """Same indices; gates differ by XLA's own rounding only."""
    logits, options = _logits(), OPTIONS[name]
    have = jax.jit(lambda z: moe.route(z, K, **options))(logits)
    want = oracle.route(logits, K, **options)
    for field in moe.RoutePlan._fields[:4]:
        np.testing.assert_array_equal(getattr(have, field), getattr(want, field), field)
    np.testing.assert_allclose(have.gates, want.gates, rtol=1e-5, atol=1e-7)


def test_ties_and_odd_values_follow_the_rule() -> None:
    logits = np.zeros((1, 5, E), np.float32)
    logits[0, 1] = [np.nan, 0, -0.0, 1, -np.inf, np.inf, 1, 0]
    logits[0, 2] = -np.inf
    logits[0, 3, ::2] = -0.0
    for options in ({"score": "sigmoid"}, {"score": "sigmoid", "scope": "sequence"}):
        have = moe.route(logits, K, **options)
        want = oracle.route(logits, K, **options)
        for field in moe.RoutePlan._fields[:4]:
            np.testing.assert_array_equal(
                getattr(have, field), getattr(want, field), field
            )


def _plain(params: dict[str, Any], x: Any, logits: Any) -> Any:
    """All experts on all tokens in plain jax.numpy, token scope."""
    weights, index = lax.top_k(jax.nn.softmax(logits, -1), K)
    gates = (jax.nn.one_hot(index, E) * weights[..., None]).sum(-2)
    both = jnp.einsum("sth,ehi->stei", x, params["gate_up"])
    first, second = jnp.split(both, 2, -1)
    y = jnp.einsum("stei,eih->steh", jax.nn.silu(first) * second, params["down"])
    return (y * gates[..., None]).sum(2)


def _ours(params: dict[str, Any], x: Any, logits: Any) -> Any:
    return moe.experts(x, moe.route(logits, K), **params)


def test_layer_and_all_gradients_agree_with_plain_jax() -> None:
    arguments = (_weights(), _x(), _logits())
    found = []
    for layer in (_plain, _ours):
        run = jax.jit(
            jax.value_and_grad(
                lambda *a, layer=layer: jnp.square(layer(*a)).mean(), (0, 1, 2)
            )
        )
        found.append(run(*arguments))
    for want, have in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_of_gates_agrees_with_pytorch(name: str) -> None:
    import moe_mlir.torch as moe_torch
    import torch

    options = OPTIONS[name]
    logits = _logits()
    direction = np.random.default_rng(3).standard_normal(S * T * K).astype(np.float32)
    loss = lambda z: (moe.route(z, K, **options).gates * direction).sum()  # noqa: E731
    have = jax.jit(jax.grad(loss))(logits)
    leaf = torch.from_numpy(logits).requires_grad_()
    given = {
        key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for key, value in options.items()
    }
    gates = moe_torch.route(leaf, K, **given).gates
    (gates * torch.from_numpy(direction)).sum().backward()
    np.testing.assert_allclose(have, leaf.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "layout", "gate_on"),
    [
        ("concat", "kn", "output"),
        ("interleaved", "nk", "output"),
        ("separate", "nk", "input"),
        ("no gate", "kn", "input"),
    ],
)
def test_both_forms_of_the_experts_agree(layout: str, gate_on: str, first: str) -> None:
    """The grouped product, for accelerators, and the loop over experts, for CPUs."""
    rng = np.random.default_rng(4)
    weights: dict[str, Any] = _weights(layout)
    both, axis = weights.pop("gate_up"), 2 if layout == "kn" else 1
    one, other = np.split(both, 2, axis)
    if first == "no gate":
        weights["up"] = one
    elif first == "separate":
        weights |= {"gate": one, "up": other}
    else:
        weights["gate_up"] = both
    for name in list(weights):
        size = weights[name].shape[2 if layout == "kn" else 1]
        weights[f"{name}_bias"] = rng.standard_normal((E, size)).astype(np.float32)
    arrangement = "interleaved" if first == "interleaved" else "concat"
    options = layers.ExpertOptions("gelu_tanh", layout, arrangement, 7.0, 1.7, gate_on)
    plan = moe.route(_logits(), K, scope="sequence", valid=OPTIONS["padded"]["valid"])
    one_form = layers._by_rows(options, _x(), plan, weights)
    other_form = layers._by_experts(options, _x(), plan, weights)
    np.testing.assert_allclose(one_form, other_form, rtol=1e-4, atol=1e-5)
    have = moe.experts(
        _x(), plan, **weights, activation="gelu_tanh", layout=layout,
        arrangement=arrangement, gate_on=gate_on,
    )  # fmt: skip
    np.testing.assert_allclose(have, other_form, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("activation", ["silu", "gelu", "relu2", "clamped_swiglu"])
def test_activations_agree_with_pytorch(activation: str) -> None:
    import moe_mlir.torch as moe_torch
    import torch

    logits, x, weights = _logits(), _x(), _weights()
    options = {"activation": activation, "limit": 0.6, "alpha": 1.3}
    have = moe.experts(x, moe.route(logits, K), **weights, **options)
    want = moe_torch.experts(
        torch.from_numpy(x),
        moe_torch.route(torch.from_numpy(logits), K),
        **{k: torch.from_numpy(v) for k, v in weights.items()},
        **options,
        layout="kn",
    )
    np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)


def test_bf16_layer_keeps_its_type() -> None:
    params = jax.tree.map(lambda w: jnp.asarray(w, jnp.bfloat16), _weights())
    x = jnp.asarray(_x(), jnp.bfloat16)
    y = _ours(params, x, jnp.asarray(_logits(), jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    want = _plain(_weights(), _x(), jnp.asarray(_logits(), jnp.bfloat16).astype(float))
    np.testing.assert_allclose(
        y.astype(np.float32), want, rtol=0.05, atol=0.02 * np.abs(want).max()
    )


def test_layers_run_inside_scan() -> None:
    stacked = {
        **jax.tree.map(lambda w: np.stack([w, w * 0.5]), _weights()),
        "router": np.random.default_rng(5).standard_normal((2, H, E)),
    }

    def step(h: Any, w: dict[str, Any]) -> tuple[Any, None]:
        plan = moe.route(h @ w["router"], K, scope="sequence")
        return h + moe.experts(h, plan, gate_up=w["gate_up"], down=w["down"]), None

    scanned = jax.jit(lambda x: lax.scan(step, x, stacked)[0])(_x())
    unrolled = jnp.asarray(_x())
    for i in range(2):
        unrolled, _ = step(unrolled, jax.tree.map(lambda w, i=i: w[i], stacked))
    np.testing.assert_allclose(scanned, unrolled, rtol=1e-4, atol=1e-5)


def test_a_plan_is_a_pytree_of_arrays() -> None:
    plan = moe.route(_logits(), K)
    assert [leaf.shape for leaf in jax.tree.leaves(plan)] == [
        (E + 1,),
        (S * T * K,),
        (S, T + 1),
        (S * T * K,),
        (S * T * K,),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 9}, "k = 9 exceeds the 8 experts"),
        ({"groups": (3, 1, "max")}, "n_group = 3 does not divide the 8 experts"),
        ({"score": "identity", "scope": "sequence"}, "set rank_logits"),
        ({"score": "tanh"}, "score must be one of softmax"),
        ({"k": 2.7}, "k is 2.7; it must be an integer"),
        ({"choice_bias": np.zeros(7)}, r"choice_bias must be \[E\] = \[8\], got \[7\]"),
        ({"valid": np.ones((S, T + 1), bool)}, r"valid must be \[S, T\]"),
    ],
)
def test_wrong_arguments_of_route_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MoEError, match=message):
        moe.route(_logits(), options.pop("k", K), **options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "got none of them"),
        ({"gate_up": None, "up": None}, "got gate_up, up"),
        ({"gate_up": None, "activation": "tanh"}, "activation must be one of silu"),
        ({"gate_up": None, "layout": "nk"}, r"gate_up must be \[8, .*layout 'nk'"),
        (
            {"gate_up": None, "activation": "clamped_swiglu", "limit": -1},
            "limit is -1.0",
        ),
        ({"gate_up": None, "x": np.zeros((T, S, 4))}, f"the plan is of {S} sequences"),
    ],
)
def test_wrong_arguments_of_experts_are_refused(
    weights: dict[str, Any], message: str
) -> None:
    w = _weights()
    given = {k: w["gate_up"] if v is None else v for k, v in weights.items()}
    x = given.pop("x", _x())
    with pytest.raises(MoEError, match=message):
        moe.experts(x, moe.route(_logits(), K), down=w["down"], **given)


def test_sizes_beyond_32_bit_indices_are_refused() -> None:
    logits = jax.ShapeDtypeStruct((2**12, 2**12, 2**8), np.float32)
    with pytest.raises(MoEError, match=r"2\^31"):
        jax.eval_shape(lambda z: moe.route(z, 1), logits)
