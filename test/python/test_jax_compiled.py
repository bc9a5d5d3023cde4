"""JAX layers and StableHLO programs, imported, compiled for the CPU and run."""

from __future__ import annotations

from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import moe_mlir
import moe_mlir.jax as moe
import numpy as np
import pytest
from jax import lax
from test_jax_import import INNER, E, H, K, S, T, array, layer, params, x


def close(have: Any, want: Any, tolerance: float = 2e-5) -> None:
    have, want = np.asarray(have), np.asarray(want)
    assert have.shape == want.shape and have.dtype == want.dtype
    scale = np.abs(want.astype(np.float32)).max()
    np.testing.assert_allclose(
        have.astype(np.float32), want.astype(np.float32), rtol=0, atol=tolerance * scale
    )


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_layer_agrees_with_jax(scope: str) -> None:
    model = moe_mlir.from_jax(layer, params(), x())
    y = model.with_scope(scope).compile()(jnp.asarray(x()))
    assert isinstance(y, jax.Array)
    close(y, layer(params(), x(), scope=scope))


def test_the_scope_of_the_source_is_kept() -> None:
    def sequence(p: dict[str, Any], x: Any) -> Any:
        return layer(p, x, scope="sequence", normalize="sum")

    model = moe_mlir.from_jax(sequence, params(), x())
    assert [entry["scope"] for entry in model.layers] == ["sequence"]
    close(model.compile()(x()), sequence(params(), x()))


def test_bf16_layer_agrees_with_jax() -> None:
    p = jax.tree.map(lambda w: jnp.asarray(w, jnp.bfloat16), params())
    given = jnp.asarray(x(), jnp.bfloat16)
    y = moe_mlir.from_jax(layer, p, given).compile()(given)
    assert y.dtype == jnp.bfloat16
    close(y, layer(p, given), 0.03)


def test_all_options() -> None:
    valid = np.arange(T)[None] < np.array([[T], [3]])
    bias = np.linspace(-1, 1, E, dtype=np.float32)

    def full(p: dict[str, Any], x: Any, valid: Any, bias: Any) -> Any:
        return layer(
            p, x, scope="sequence", score="sqrtsoftplus", normalize="sum", scale=2.5,
            eps=1e-20, floor=1, cap=3, groups=(4, 2, "top2_sum"), valid=valid,
            choice_bias=bias,
        )  # fmt: skip

    f = moe_mlir.from_jax(full, params(), x(), valid, bias).compile()
    close(f(x(), valid, bias), full(params(), x(), valid, bias))


def test_layers_in_a_scan_a_branch_and_a_sort() -> None:
    def model(stacked: dict[str, Any], x: Any, which: Any) -> Any:
        def step(h: Any, p: dict[str, Any]) -> tuple[Any, Any]:
            plan = moe.route(h @ p["router"], K, scope="sequence")
            return h + moe.experts(h, plan, **p["experts"]), jnp.diff(
                plan.expert_offsets
            )

        h, counts = lax.scan(step, x, stacked)
        h = lax.switch(which, [lambda v: v, jnp.negative, jax.nn.silu], h)
        return h, jnp.sort(counts, axis=-1), jnp.zeros(E).at[counts[0]].add(1.0)

    stacked = jax.tree.map(lambda w: np.stack([w, w * 0.5]), params())
    f = moe_mlir.from_jax(model, stacked, x(), np.int32(0)).compile()
    for which in range(3):
        have = f(x(), np.int32(which))
        want = jax.jit(model)(stacked, x(), np.int32(which))
        close(have[0], want[0])
        for a, b in zip(have[1:], want[1:], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("form", ["text", "artifact"])
def test_a_stablehlo_program_runs(form: str) -> None:
    given = params()
    if form == "text":
        traced = jax.jit(layer).trace(given, x())
        program = traced.lower(lowering_platforms=("cuda",)).as_text()
    else:
        exported = jax.export.export(jax.jit(layer), platforms=["cuda"])(given, x())
        program = exported.mlir_module_serialized
    weights = {
        0: ("down", given["experts"]["down"]),
        1: ("gate_up", given["experts"]["gate_up"]),
    }
    f = moe_mlir.from_stablehlo(program, weights=weights).compile()
    want = layer(given, x())
    close(f(given["router"], x()), want)


def test_separate_weights_of_the_other_layout() -> None:
    weights = {
        "gate": array(E, INNER, H),
        "up": array(E, INNER, H) * 0.7,
        "down": array(E, H, INNER),
    }

    def other(p: dict[str, Any], x: Any, router: Any) -> Any:
        plan = moe.route(x @ router, K)
        return moe.experts(x, plan, **p, layout="nk", activation="gelu_tanh")

    f = moe_mlir.from_jax(other, weights, x(), array(H, E)).compile()
    close(f(x(), array(H, E)), other(weights, x(), array(H, E)))
    assert x().shape == (S, T, H)
