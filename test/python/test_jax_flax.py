"""Modules of Flax, linen and nnx: layers that are marked, and layers that are not."""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import moe_mlir
import moe_mlir.jax as moe
import numpy as np
from flax import nnx
from jax import lax
from jax_layers import INNER, E, H, K, array, by_sort, x
from test_jax_compiled import close

NORMAL = linen.initializers.normal(0.3)
SHAPES = {"gate": (E, H, INNER), "up": (E, H, INNER), "down": (E, INNER, H)}


class Marked(linen.Module):
    """A layer of the package's own functions."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        logits = linen.Dense(E, use_bias=False, name="router")(x)
        weights = {n: self.param(n, NORMAL, shape) for n, shape in SHAPES.items()}
        return moe.experts(x, moe.route(logits, K), **weights)


class Plain(linen.Module):
    """The same in plain linen."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        logits = linen.Dense(E, use_bias=False, name="router")(x)
        weights = {n: self.param(n, NORMAL, shape) for n, shape in SHAPES.items()}
        scores = jax.nn.softmax(logits.astype(jnp.float32))
        w, ids = lax.top_k(scores, K)
        w = (w / w.sum(-1, keepdims=True)).astype(x.dtype)
        return by_sort(weights, x, w, ids)


class Mlp(linen.Module):
    """One expert, of modules that have a kernel each."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        gate = linen.Dense(INNER, use_bias=False, name="gate")(x)
        up = linen.Dense(INNER, use_bias=False, name="up")(x)
        return linen.Dense(H, use_bias=False, name="down")(linen.silu(gate) * up)


class OfModules(linen.Module):
    """Experts by ``linen.vmap``, between a norm and a residual."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        h = linen.RMSNorm(name="norm")(x)
        w, ids = lax.top_k(jax.nn.softmax(linen.Dense(E, name="router")(h)), K)
        combine = (jax.nn.one_hot(ids, E) * w[..., None]).sum(-2)
        experts = linen.vmap(
            Mlp,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=None,
            axis_size=E,
        )
        return x + jnp.einsum("ebth,bte->bth", experts(name="experts")(h), combine)


def raised(function: Any, *args: Any) -> Any:
    """It is raised and equals JAX."""
    model = moe_mlir.from_jax(function, *args)
    for entry in model.report["layers"]:
        assert entry["status"] == "raised", entry["why"]
    close(model.compile()(*args[1:]), jax.jit(function)(*args))
    return model


def variables_of(module: Any) -> Any:
    """Parameters of the module's own shapes; its initialisers take seconds."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x())
    return jax.tree.map(lambda leaf: array(*leaf.shape), shapes)


def paths(model: Any) -> set[str]:
    return set(model.weights)


def test_linen_marked() -> None:
    variables = variables_of(Marked())
    model = raised(Marked().apply, variables, x())
    assert paths(model) == {
        "params.router.kernel",
        *(f"params.{name}" for name in SHAPES),
    }


def test_linen_plain_layer_and_its_scopes() -> None:
    variables = variables_of(Plain())
    model = raised(Plain().apply, variables, x())
    assert "params.router.kernel" in paths(model)
    p = variables["params"]

    def sequence(p: Any, x: Any) -> Any:
        logits = x @ p["router"]["kernel"]
        plan = moe.route(logits, K, scope="sequence", normalize="sum")
        return moe.experts(x, plan, **{name: p[name] for name in SHAPES})

    want = jax.jit(sequence)(p, x())
    close(model.with_scope("sequence").compile()(x()), want)


def test_linen_of_modules() -> None:
    variables = variables_of(OfModules())
    model = raised(OfModules().apply, variables, x())
    assert "params.experts.gate.kernel" in paths(model)
    assert "params.norm.scale" in paths(model)


def test_linen_of_lifted_scan_and_bf16() -> None:
    class Model(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            block = linen.scan(
                linen.remat(Step),
                variable_axes={"params": 0},
                split_rngs={"params": True},
                length=2,
            )
            return block(name="layers")(x, None)[0]

    class Step(linen.Module):
        @linen.compact
        def __call__(self, x: Any, _: Any) -> Any:
            return x + Plain(name="moe")(x), None

    variables = variables_of(Model())
    half = jax.tree.map(lambda w: w.astype(jnp.bfloat16), variables)
    given = jnp.asarray(x(), jnp.bfloat16)
    model = moe_mlir.from_jax(Model().apply, half, given)
    assert [e["status"] for e in model.report["layers"]] == ["raised"]
    assert "params.layers.moe.router.kernel" in paths(model)
    close(model.compile()(given), jax.jit(Model().apply)(half, given), 0.03)


class Layer(nnx.Module):
    def __init__(self, rngs: Any, marked: bool) -> None:
        self.norm = nnx.RMSNorm(H, rngs=rngs)
        self.router = nnx.Linear(H, E, use_bias=False, rngs=rngs)
        self.gate = nnx.Param(array(*SHAPES["gate"]))
        self.up = nnx.Param(array(*SHAPES["up"], seed=1))
        self.down = nnx.Param(array(*SHAPES["down"]))
        self.marked = marked

    def __call__(self, x: Any) -> Any:
        h = self.norm(x)
        logits = self.router(h)
        weights = {name: getattr(self, name)[...] for name in SHAPES}
        if self.marked:
            return x + moe.experts(h, moe.route(logits, K), **weights)
        return x + by_sort(weights, h, *lax.top_k(nnx.softmax(logits), K))


class Model(nnx.Module):
    def __init__(self, rngs: Any) -> None:
        self.layers = nnx.List([Layer(rngs, marked) for marked in (True, False)])
        self.drop = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return self.drop(x, deterministic=True)


def test_nnx_split_and_merge() -> None:
    graph, state = nnx.split(Model(nnx.Rngs(0)))
    model = raised(lambda state, x: nnx.merge(graph, state)(x), state, x())
    assert len(model.layers) == 2
    named = paths(model)
    assert not any("rngs" in name for name in named)  # state of the dropout
    for path in ("layers.0.router.kernel", "layers.1.gate", "layers.1.norm.scale"):
        assert any(name.startswith(path) for name in named), (path, named)


def test_nnx_module_as_an_argument() -> None:
    layer = Layer(nnx.Rngs(1), False)
    model = raised(lambda layer, x: layer(x), layer, x())
    np.testing.assert_array_equal(model.weights["gate.value"], layer.gate[...])
