"""More forms of unmarked JAX layers: stacked, biased, narrow, of single tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax_layers as layers
import moe_mlir
import numpy as np
import pytest
from jax import lax
from jax_layers import INNER, E, H, K, S, T, array, params, x
from moe_mlir import MoEError
from moe_mlir.jax.importer import import_jax
from test_jax_compiled import close
from test_jax_import import markers


def raised(layer: Any, *args: Any) -> Any:
    """The imported program, all of whose layers are raised."""
    imported = import_jax(layer, *args)
    for entry in imported.report["layers"]:
        assert entry["status"] == "raised", entry["why"]
    return imported


def sorted_layer(p: Any, x: Any) -> Any:
    return layers.layer_of(layers.softmax_sum, layers.by_sort)(p, x)


def dense_layer(p: Any, x: Any) -> Any:
    return layers.layer_of(layers.softmax_sum, layers.by_one_hot)(p, x)


def test_layers_in_a_scan() -> None:
    def model(stacked: Any, x: Any) -> Any:
        def step(h: Any, p: Any) -> tuple[Any, Any]:
            return h + jax.jit(sorted_layer)(p, h) * 0.5, h[0, 0, 0]

        return lax.scan(step, x, stacked)

    stacked = jax.tree.map(lambda w: np.stack([w, w * 0.5]), params())
    imported = raised(model, stacked, x())
    assert len(markers(imported, "route")) == 1
    have = moe_mlir.from_jax(model, stacked, x()).compile()(x())
    want = jax.jit(model)(stacked, x())
    for a, b in zip(have, want, strict=True):
        close(a, b)


def test_many_layers_have_names_and_one_declaration() -> None:
    def model(p: Any, x: Any) -> Any:
        for _ in range(3):
            x = x + sorted_layer(p, x)
        return x

    names = [entry["name"] for entry in raised(model, params(), x()).report["layers"]]
    assert names == ["moe", "moe.1", "moe.2"]


def test_what_stands_beside_a_layer_stays() -> None:
    def model(p: Any, x: Any) -> Any:
        logits = x @ p["router"]
        w, ids = layers.softmax_sum(logits, p)
        return x + layers.by_sort(p, x, w, ids) + jax.nn.silu(logits) @ p["router"].T

    raised(model, params(), x())
    close(moe_mlir.from_jax(model, params(), x()).compile()(x()), model(params(), x()))


def biased(split: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """gpt-oss: biases, a clamped activation, a softmax after the choice."""

    def layer(p: Any, x: Any) -> Any:
        tokens = x.reshape(-1, H)
        w, ids = layers.top_k_softmax(tokens @ p["router"], p)
        flat = ids.reshape(-1)
        order = jnp.argsort(flat)
        sizes = jnp.bincount(flat, length=E).astype(jnp.int32)
        expert = flat[order]
        h = lax.ragged_dot(tokens[order // K], p["gate_up"], sizes)
        g, u = split(h + p["gate_up_bias"][expert])
        g, u = jnp.minimum(g, 0.4), jnp.clip(u, -0.4, 0.4)
        h = (u + 1) * (g * jax.nn.sigmoid(1.702 * g))
        y = lax.ragged_dot(h, p["down"], sizes) + p["down_bias"][expert]
        y = y * w.reshape(-1)[order, None]
        return jax.ops.segment_sum(y, order // K, tokens.shape[0]).reshape(x.shape)

    return layer


def biased_params() -> dict[str, Any]:
    return {
        "router": params()["router"],
        "gate_up": array(E, H, 2 * INNER),
        "down": array(E, INNER, H),
        "gate_up_bias": array(E, 2 * INNER),
        "down_bias": array(E, H),
    }


@pytest.mark.parametrize(
    ("arrangement", "split"),
    [
        ("concat", lambda h: jnp.split(h, 2, axis=-1)),
        ("interleaved", lambda h: (h[..., ::2], h[..., 1::2])),
    ],
)
def test_biases_and_a_clamped_activation(arrangement: str, split: Any) -> None:
    layer = biased(split)
    (marker,) = markers(raised(layer, biased_params(), x()), "experts")
    assert f'arrangement = "{arrangement}"' in marker
    assert 'activation = "clamped_swiglu"' in marker and "gate_up_bias" in marker
    model = moe_mlir.from_jax(layer, biased_params(), x())
    close(model.compile()(x()), layer(biased_params(), x()))


def test_halves_in_the_wrong_order_stay_plain() -> None:
    layer = biased(lambda h: (h[..., INNER:], h[..., :INNER]))
    (entry,) = import_jax(layer, biased_params(), x()).report["layers"]
    assert entry["status"] == "plain"
    assert "not the two halves" in entry["why"]


@pytest.mark.parametrize(
    ("name", "activate", "gated"),
    [
        ("silu", lambda g: g * jax.nn.sigmoid(g), True),
        ("gelu", lambda g: jax.nn.gelu(g, approximate=False), True),
        ("gelu_tanh", jax.nn.gelu, True),
        ("relu", jax.nn.relu, True),
        ("relu2", lambda g: jnp.square(jax.nn.relu(g)), False),
        ("silu", jax.nn.silu, False),
    ],
)
def test_activations(name: str, activate: Any, gated: bool) -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = layers.softmax_sum(x @ p["router"], p)
        h = activate(jnp.einsum("bth,ehi->btei", x, p["gate"]))
        if gated:
            h = h * jnp.einsum("bth,ehi->btei", x, p["up"])
        y = jnp.einsum("btei,eih->bteh", h, p["down"])
        return jnp.einsum("bteh,btke,btk->bth", y, jax.nn.one_hot(ids, E), w)

    (marker,) = markers(raised(layer, params(), x()), "experts")
    assert f'activation = "{name}"' in marker
    assert ('"gate"' in marker) == gated


def test_weights_of_the_other_layout_are_not_transposed() -> None:
    def layer(p: Any, x: Any) -> Any:
        w, ids = layers.softmax_sum(x @ p["router"], p)
        h = layers.silu_gated(lambda n: jnp.einsum("bth,eih->btei", x, p[n]))
        y = jnp.einsum("btei,ehi->bteh", h, p["down"])
        return jnp.einsum("bteh,btke,btk->bth", y, jax.nn.one_hot(ids, E), w)

    given = {
        name: w.swapaxes(1, 2).copy() if w.ndim == 3 else w
        for name, w in params().items()
    }
    imported = raised(layer, given, x())
    assert 'layout = "nk"' in markers(imported, "experts")[0]
    assert "transpose" not in imported.text
    close(moe_mlir.from_jax(layer, given, x()).compile()(x()), layer(given, x()))


@pytest.mark.parametrize("layer", [sorted_layer, dense_layer])
def test_bf16(layer: Any) -> None:
    p = jax.tree.map(lambda w: jnp.asarray(w, jnp.bfloat16), params())
    given = jnp.asarray(x(), jnp.bfloat16)
    raised(layer, p, given)
    y = moe_mlir.from_jax(layer, p, given).compile()(given)
    assert y.dtype == layer(p, given).dtype
    wide = jax.tree.map(lambda w: jnp.asarray(w, jnp.float32), (p, given))
    close(np.asarray(y, np.float32), layer(*wide), 0.03)


@pytest.mark.parametrize("shape", [(1, T), (S, 1)])
@pytest.mark.parametrize("layer", [sorted_layer, dense_layer])
def test_one_sequence_or_one_token(layer: Any, shape: tuple[int, int]) -> None:
    raised(layer, params(), array(*shape, H))


def one_sequence(p: Any, x: Any) -> Any:
    """x is [T, H]."""
    w, ids = layers.softmax_sum(x @ p["router"], p)
    gates = (jax.nn.one_hot(ids, E) * w[..., None]).sum(-2)
    h = layers.silu_gated(lambda name: jnp.einsum("th,ehi->tei", x, p[name]))
    return jnp.einsum("tei,eih,te->th", h, p["down"], gates)


def test_tokens_without_sequences_keep_token_scope() -> None:
    model = moe_mlir.from_jax(one_sequence, params(), x()[0])
    close(model.compile()(x()[0]), one_sequence(params(), x()[0]))
    with pytest.raises(MoEError, match="sequence"):
        model.with_scope("sequence").compile()


def test_vmap_over_sequences_is_a_layer_of_sequences() -> None:
    def batched(p: Any, x: Any) -> Any:
        return jax.vmap(one_sequence, (None, 0))(p, x)

    imported = raised(batched, params(), x())
    assert f"tensor<{S}x{T}x{E}xf32>" in imported.text
