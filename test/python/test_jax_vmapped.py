"""Layers under jax.vmap over sequences, compiled: they agree with JAX in both scopes"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax_layers as layers
import moe_mlir
import moe_mlir.jax as moe
import numpy as np
import pytest
from jax import lax
from jax_layers import E, H, K, S, T, params, x
from moe_mlir.importing import ImportRefused
from moe_mlir.jax.importer import import_jax
from moe_mlir.jax.plan import merge_gates, split_plan
from test_jax_compiled import close

WEIGHTS = ("gate", "up", "down")


def one_sequence(p: Any, x: Any, scope: str = "sequence", **options: Any) -> Any:
    """A layer of x [T, H]."""
    plan = moe.route((x @ p["router"])[None], K, scope=scope, **options)
    return moe.experts(x[None], plan, **{n: p[n] for n in WEIGHTS})[0]


def check(function: Any, *args: Any) -> Any:
    model = moe_mlir.from_jax(function, *args)
    have = jax.tree.leaves(model.compile()(*args[1:]))
    want = jax.tree.leaves(jax.jit(function)(*args))
    for a, b in zip(have, want, strict=True):
        close(a, b)
    return model


def test_route_in_both_scopes() -> None:
    def token(p: Any, x: Any) -> Any:
        return jax.vmap(lambda x: one_sequence(p, x, "token"))(x)

    def sequence(p: Any, x: Any) -> Any:
        return jax.vmap(one_sequence, (None, 0))(p, x)

    model = check(token, params(), x())
    assert model.report["residual"] == {}  # no loop, and no plan is taken apart
    flipped = model.with_scope("sequence").compile()(x())
    close(flipped, jax.jit(sequence)(params(), x()))
    check(sequence, params(), x())


def test_tokens_without_sequences_become_sequences() -> None:
    def token(p: Any, x: Any) -> Any:
        def one(x: Any) -> Any:
            plan = moe.route(x @ p["router"], K, normalize="sum")
            return moe.experts(x[None], plan, **{n: p[n] for n in WEIGHTS})[0]

        return jax.vmap(one)(x)

    def sequence(p: Any, x: Any) -> Any:
        return jax.vmap(lambda x: one_sequence(p, x, normalize="sum"))(x)

    model = check(token, params(), x())
    flipped = model.with_scope("sequence").compile()(x())
    close(flipped, jax.jit(sequence)(params(), x()))


def test_padding_a_bias_and_vmap_of_vmap_of_a_scan() -> None:
    given = np.stack([x(), x()[::-1] * 0.7, -x()])
    valid = np.arange(T) < np.array([[T, 2], [4, T], [1, 0]])[..., None]
    stacked = {n: np.stack([v, v * 0.8]) for n, v in params().items()}

    def one(p: Any, x: Any, valid: Any) -> Any:
        def step(h: Any, p: Any) -> Any:
            more = {"valid": valid[None], "choice_bias": p["bias"], "floor": 1}
            return h + one_sequence(p, h, **more), None

        return lax.scan(step, x, p)[0]

    def model(p: Any, x: Any, valid: Any) -> Any:
        axes = (None, 0, 0)
        return jax.vmap(jax.vmap(one, axes), axes)(p, x, valid)

    check(model, stacked, given, valid)


def test_plans_that_are_read_and_gates_that_are_changed() -> None:
    """The plans of the parts are computed from the merged one."""

    def one(p: Any, x: Any, factor: Any) -> Any:
        plan = moe.route((x @ p["router"])[None], K, scope="sequence")
        counts = jnp.diff(plan.expert_offsets)
        used = plan._replace(gates=plan.gates * factor)
        y = moe.experts(x[None], used, **{n: p[n] for n in WEIGHTS})[0]
        return y, counts, plan.row_token, plan.token_row, plan.token_offsets

    def model(p: Any, x: Any, factor: Any) -> Any:
        return jax.vmap(one, (None, 0, 0))(p, x, factor)

    check(model, params(), x(), np.array([0.5, -2.0], np.float32))


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_plans_are_split_and_merged(scope: str) -> None:
    rng = np.random.default_rng(3)
    logits = rng.standard_normal((3, S, T, E)).astype(np.float32)
    valid = np.arange(T) < rng.integers(0, T + 1, (3, S, 1))

    def plan_of(logits: Any, valid: Any) -> Any:
        return moe.route(logits, K, scope=scope, valid=valid)

    merged = plan_of(logits.reshape(-1, T, E), valid.reshape(-1, T))
    parts = split_plan(merged, 3)
    for b in range(3):
        want = plan_of(logits[b], valid[b])
        for name, have, one in zip(want._fields, parts, want, strict=True):
            np.testing.assert_array_equal(have[b], one, err_msg=name)
    np.testing.assert_array_equal(merge_gates(merged, parts.gates), merged.gates)


def test_an_unmarked_layer() -> None:
    def one(p: Any, x: Any) -> Any:
        w, ids = layers.softmax_sum(x @ p["router"], p)
        combine = (jax.nn.one_hot(ids, E) * w[..., None]).sum(-2)
        h = layers.silu_gated(lambda name: jnp.einsum("th,ehi->tei", x, p[name]))
        return jnp.einsum("tei,eih,te->th", h, p["down"], combine)

    model = check(lambda p, x: jax.vmap(one, (None, 0))(p, x), params(), x())
    assert [entry["status"] for entry in model.report["layers"]] == ["raised"]
    want = jax.jit(
        jax.vmap(lambda p, x: one_sequence(p, x, normalize="sum"), (None, 0))
    )
    close(model.with_scope("sequence").compile()(x()), want(params(), x()))


def test_a_plan_for_several_inputs_is_refused() -> None:
    def model(p: Any, x: Any) -> Any:
        plan = moe.route((x[0] @ p["router"])[None], K)
        weights = {n: p[n] for n in WEIGHTS}
        return jax.vmap(lambda x: moe.experts(x[None], plan, **weights)[0])(x)

    with pytest.raises(ImportRefused, match=r"mapped over 2 plans .* one function"):
        import_jax(model, params(), x())
    assert jax.jit(model)(params(), x()).shape == (S, T, H)


def test_weights_that_are_mapped_over_run_one_after_the_other() -> None:
    stacked = {n: np.stack([v, v * 0.8]) for n, v in params().items()}
    both = jax.jit(jax.vmap(one_sequence))(stacked, x())
    for b in range(2):
        p = {n: v[b] for n, v in stacked.items()}
        close(both[b], jax.jit(one_sequence)(p, x()[b]))
