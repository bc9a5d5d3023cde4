"""MoE layers in plain JAX: which are raised, and what they compute compiled."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import jax_layers as layers
import moe_mlir
import moe_mlir.jax as moe
import pytest
from jax import lax
from jax_layers import E, H, K, S, T, params, x
from moe_mlir.jax.importer import import_jax
from test_jax_compiled import close

#: Of each router: the words of the routing options.
OPTIONS: dict[str, dict[str, Any]] = {
    "softmax_top_k": {},
    "softmax_sum": {"normalize": "sum"},
    "top_k_softmax": {"normalize": "softmax"},
    "top_k_sigmoid": {"score": "sigmoid"},
    "sigmoid_bias": {
        "score": "sigmoid",
        "normalize": "sum",
        "scale": 2.5,
        "eps": 1e-6,
        "bias": True,
    },
    "softmax_bias": {"bias": True},
    "sum_at_least": {
        "score": "sigmoid",
        "normalize": "sum",
        "norm_min": 0.25,
        "scale": 0.5,
    },
    "one_expert": {"k": 1},
}


def marked(p: dict[str, Any], x: Any, scope: str, options: dict[str, Any]) -> Any:
    """The same layer, written with the package's own functions."""
    given = {"k": K, "scope": scope, **options}
    if given.pop("bias", False):
        given["choice_bias"] = p["bias"]
    plan = moe.route(x @ p["router"], **given)
    weights = {name: p[name] for name in ("gate", "up", "down")}
    return moe.experts(x, plan, **weights)


def check(layer: Any, options: dict[str, Any]) -> Any:
    """It is raised and equals JAX."""
    model = moe_mlir.from_jax(layer, params(), x())
    (entry,) = model.report["layers"]
    assert entry["status"] == "raised", entry["why"]
    (compiled,) = model.layers
    wanted = {"score": "softmax", "normalize": "none", "scale": 1, "eps": 0}
    wanted |= {"norm_min": 0, "k": K, **options}
    wanted.pop("bias", None)
    for name, value in wanted.items():
        if isinstance(value, str):
            assert compiled[name] == value, name
        else:
            assert compiled[name] == pytest.approx(value, rel=1e-6), name
    close(model.compile()(x()), layer(params(), x()))
    return model


@pytest.mark.parametrize("router", layers.ROUTERS, ids=lambda f: f.__name__)
def test_routers(router: Any) -> None:
    """They change to sequence scope by one attribute."""
    options = OPTIONS[router.__name__]
    model = check(layers.layer_of(router, layers.by_one_hot), options)
    y = model.with_scope("sequence").compile()(x())
    close(y, marked(params(), x(), "sequence", options))


@pytest.mark.parametrize("dispatch", layers.DISPATCHES, ids=lambda f: f.__name__)
def test_dispatches(dispatch: Any) -> None:
    options = OPTIONS["softmax_sum"]
    check(layers.layer_of(layers.softmax_sum, dispatch), options)


def test_every_router_with_every_dispatch_is_raised() -> None:
    for router in layers.ROUTERS:
        for dispatch in layers.DISPATCHES:
            layer = layers.layer_of(router, dispatch)
            (entry,) = import_jax(layer, params(), x()).report["layers"]
            assert entry["status"] == "raised", (layer.__name__, entry["why"])


def test_a_constant_within_the_experts_is_a_part_of_the_gates() -> None:
    layer = layers.layer_of(layers.sum_at_least, layers.by_gathered_weights)
    close(moe_mlir.from_jax(layer, params(), x()).compile()(x()), layer(params(), x()))


@pytest.mark.parametrize("router", layers.ROUTERS, ids=lambda f: f.__name__)
def test_routers_of_tokens_without_sequences(router: Any) -> None:
    """Sequences are found again in the reshape of the layer's input."""
    layer = layers.flat_layer_of(router, layers.by_sort)
    imported = import_jax(layer, params(), x())
    (entry,) = imported.report["layers"]
    assert entry["status"] == "raised", entry["why"]
    assert re.search(r"@moe\.route\.0\(tensor|callee = @moe\.route", imported.text)
    assert f"tensor<{S}x{T}x{E}xf32>" in imported.text


def plain(layer: Any, why: str, *more: Any) -> None:
    """It is left as it is, still equals JAX, and the report says what stopped it."""
    model = moe_mlir.from_jax(layer, params(), x(), *more)
    (entry,) = model.report["layers"]
    assert entry["status"] == "plain" and re.search(why, entry["why"]), entry
    assert not model.layers
    have = jax.tree.leaves(model.compile()(x(), *more))
    want = jax.tree.leaves(jax.jit(layer)(params(), x(), *more))
    for a, b in zip(have, want, strict=True):
        close(a, b)


def routed(p: Any, x: Any) -> Any:
    return layers.softmax_sum(x @ p["router"], p)


def test_choice_that_is_read_elsewhere() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        return layers.by_sort(p, x, w, ids), jax.nn.one_hot(ids, E).sum((0, 1, 2))

    plain(layer, r"the choice is also read by 'stablehlo.* at .*unmarked\.py:\d+")


def test_gates_of_another_formula() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        return layers.by_one_hot(p, x, jnp.square(w), ids)

    plain(layer, "product of 2 factors|other logits")


def test_a_gate_that_depends_on_the_token() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        return layers.by_one_hot(p, x, w * jnp.where(x[..., :1] > 0, 1.0, 0.5), ids)

    plain(layer, "product of 2 factors")


def test_rows_that_are_put_back_in_the_wrong_order() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        flat = ids.reshape(-1)
        order = jnp.argsort(flat)
        sizes = jnp.bincount(flat, length=E).astype(jnp.int32)
        rows = layers.ragged(p, x.reshape(-1, H)[order // K], sizes)
        back = rows[order].reshape(S, T, K, H)
        return jnp.einsum("btkh,btk->bth", back, w)

    plain(layer, "")


def test_group_sizes_of_another_order() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        flat = (ids + 1) % E
        order = jnp.argsort(flat)
        sizes = jnp.bincount(ids.reshape(-1), length=E).astype(jnp.int32)
        tokens = x.reshape(-1, H)
        order = jnp.argsort(flat.reshape(-1))
        rows = layers.ragged(p, tokens[order // K], sizes)
        back = rows[jnp.argsort(order)].reshape(S, T, K, H)
        return jnp.einsum("btkh,btk->bth", back, w)

    plain(layer, "sorts something else|group sizes")


def test_a_part_of_the_choices() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        return layers.by_one_hot(p, x, w[..., :2], ids[..., :2])

    plain(layer, "no value after it is a sum over the chosen experts")


def test_a_part_of_the_experts_outputs() -> None:
    def layer(p: Any, x: Any) -> Any:
        half = {**p, **{n: p[n][:, : H // 2] for n in ("gate", "up")}}
        w, ids = routed(p, x)
        h = layers.silu_gated(
            lambda n: jnp.einsum("bth,ehi->btei", x[..., : H // 2], half[n])
        )
        y = jnp.einsum("btei,eih->bteh", h, p["down"])
        return jnp.einsum("bteh,btke,btk->bth", y, jax.nn.one_hot(ids, E), w)

    plain(layer, "input has 8 columns and its result 16")


def test_an_activation_that_the_compiler_has_not() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        y = jnp.einsum("bth,ehi->btei", x, p["gate"])
        y = jnp.einsum("btei,eih->bteh", jnp.tanh(y), p["down"])
        return jnp.einsum("bteh,btke,btk->bth", y, jax.nn.one_hot(ids, E), w)

    plain(layer, r"of their 1 first product\(s\) is no activation")


def test_a_softmax_over_something_else() -> None:
    def layer(p: Any, x: Any) -> Any:
        scores = jax.nn.softmax(x @ p["router"], axis=1)  # over tokens
        w, ids = lax.top_k(scores, K)
        return layers.by_one_hot(p, x, w / w.sum(-1, keepdims=True), ids)

    plain(layer, "divided by something else")


def test_capacity_that_drops_rows() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        chosen = jax.nn.one_hot(ids.reshape(-1, K), E)
        place = jnp.cumsum(chosen.reshape(-1, E), 0).reshape(chosen.shape)
        kept = (chosen * (place <= 4)).reshape(*ids.shape, E)
        return jnp.einsum("bteh,btke,btk->bth", layers.dense(p, x), kept, w)

    plain(layer, "reduce_window|matcher")


def test_experts_chosen_by_one_score_and_weighted_by_another() -> None:
    def layer(p: Any, x: Any) -> Any:
        logits = x @ p["router"]
        _, ids = lax.top_k(jax.nn.softmax(logits), K)
        w = jnp.take_along_axis(jax.nn.sigmoid(logits), ids, -1)
        return layers.by_one_hot(p, x, w, ids)

    plain(layer, "chosen by softmax and weighted by sigmoid")


def rows_of(p: Any, x: Any, order: Any, sizes: Any) -> Any:
    return layers.ragged(p, x.reshape(-1, H)[order // K], sizes)


def sizes_of(ids: Any) -> Any:
    return jnp.bincount(ids.reshape(-1), length=E).astype(jnp.int32)


def test_rows_that_are_put_back_by_the_order_of_another_sort() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        order = jnp.argsort(ids.reshape(-1))
        other = jnp.argsort(ids.reshape(-1, K).T.reshape(-1))
        back = rows_of(p, x, order, sizes_of(ids))[jnp.argsort(other)]
        return jnp.einsum("btkh,btk->bth", back.reshape(S, T, K, H), w)

    plain(layer, "")


def test_group_sizes_of_a_part_of_the_tokens() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        order = jnp.argsort(ids.reshape(-1))
        back = rows_of(p, x, order, sizes_of(ids[:, :3]))[jnp.argsort(order)]
        return jnp.einsum("btkh,btk->bth", back.reshape(S, T, K, H), w)

    plain(layer, "")


def test_rows_that_replace_each_other() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        order = jnp.argsort(ids.reshape(-1))
        rows = rows_of(p, x, order, sizes_of(ids)) * w.reshape(-1)[order, None]
        return jnp.zeros((S * T, H)).at[order // K].set(rows).reshape(x.shape)

    plain(layer, "replace an element more than once")


def test_more_experts_than_scores() -> None:
    def layer(p: Any, x: Any) -> Any:
        logits = x @ p["router"][:, : E - 2]
        w, ids = layers.softmax_sum(logits, p)
        return layers.by_one_einsum(p, x, w, ids)

    plain(layer, "use a part of")


def test_a_softmax_that_is_shifted_by_experts() -> None:
    """Any shift of a token is no change; one of an expert changes the logits."""

    def layer(p: Any, x: Any) -> Any:
        power = jnp.exp(x @ p["router"] - p["bias"] * 3)
        w, ids = lax.top_k(power / power.sum(-1, keepdims=True), K)
        return layers.by_one_hot(p, x, w, ids)

    model = moe_mlir.from_jax(layer, params(), x())
    (entry,) = model.report["layers"]
    assert entry["status"] == "raised", entry["why"]
    close(model.compile()(x()), layer(params(), x()))


def test_gates_on_the_input_of_the_experts() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = routed(p, x)
        rows = x[:, :, None, :] * w[..., None]
        h = layers.silu_gated(
            lambda name: jnp.einsum("btkh,btkhi->btki", rows, p[name][ids])
        )
        return jnp.einsum("btki,btkih->bth", h, p["down"][ids])

    plain(layer, "no activation that the compiler has")
