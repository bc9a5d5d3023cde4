"""import_jax: the text, the weights' names, the report, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import moe_mlir.jax as moe
import numpy as np
import pytest
from jax import lax
from moe_mlir import _moe
from moe_mlir.importing import Imported, ImportRefused
from moe_mlir.jax.importer import import_jax

S, T, E, K, H, INNER = 2, 5, 8, 2, 16, 12


def array(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return (rng.standard_normal(shape) * 0.3).astype(np.float32)


def params() -> dict[str, Any]:
    return {
        "router": array(H, E),
        "experts": {
            "gate_up": array(E, H, 2 * INNER),
            "down": array(E, INNER, H),
        },
    }


def layer(p: dict[str, Any], x: Any, **options: Any) -> Any:
    plan = moe.route(x @ p["router"], K, **options)
    return moe.experts(x, plan, **p["experts"])


def x() -> np.ndarray:
    return array(S, T, H)


def markers(imported: Imported, op: str) -> list[str]:
    found = re.findall(r"moe\.marker = \{([^}]*)\}", imported.text)
    return [m for m in found if f'op = "{op}"' in m]


def parse(text: str, *, residual: bool = False) -> None:
    """The compiler reads the text; it raises otherwise."""
    _moe.Module.parse(text, "imported.mlir", allow_unregistered=residual)


def test_layer() -> None:
    imported = import_jax(layer, params(), x())
    (route,) = markers(imported, "route")
    assert 'scope = "token"' in route and f"k = {K} : i64" in route
    assert 'layer = "moe"' in route and 'operands = ["logits"]' in route
    (experts,) = markers(imported, "experts")
    assert 'layout = "kn"' in experts and '"gates", "gate_up", "down"]' in experts
    parse(imported.text)
    assert "stablehlo" not in imported.text and "jax" not in imported.text.lower()[60:]
    report = imported.report
    assert report["frontend"] == "jax" and report["name"] == "layer"
    assert report["layers"] == [
        {"name": "moe", "status": "raised", "why": "calls moe_mlir.jax.route"}
    ]
    assert report["inputs"] == [{"name": "x", "shape": [S, T, H], "dtype": "float32"}]
    assert report["outputs"] == [
        {"name": "output0", "shape": [S, T, H], "dtype": "float32"}
    ]
    assert report["markers"] == {"route": 1, "experts": 1}
    assert report["residual"] == {}
    assert report["producers"]["jax"] == jax.__version__


def test_the_router_is_a_matrix_product() -> None:
    text = import_jax(layer, params(), x()).text
    assert text.count('"linalg.matmul"') == 1 and '"linalg.generic"' not in text


def test_weights_are_named_by_their_key_paths_and_not_copied() -> None:
    given = params()
    imported = import_jax(layer, given, x())
    names = re.findall(r'moe\.param = "([^"]*)"', imported.text)
    assert names == ["experts.down", "experts.gate_up", "router"]
    assert imported.weights["router"] is given["router"]
    assert imported.weights["experts.down"] is given["experts"]["down"]


def test_choice_of_weight_arguments() -> None:
    def split(x: Any, router: Any, experts: dict[str, Any]) -> Any:
        return layer({"router": router, "experts": experts}, x)

    p = params()
    imported = import_jax(split, x(), p["router"], p["experts"], params=(1, 2))
    assert set(imported.weights) == {"router", "gate_up", "down"}
    imported = import_jax(split, x(), p["router"], p["experts"])
    assert set(imported.weights) == {"gate_up", "down"}
    assert [i["name"] for i in imported.report["inputs"]] == ["x", "router"]
    imported = import_jax(split, x(), p["router"], p["experts"], params=())
    assert not imported.weights and "moe.param" not in imported.text
    names = [i["name"] for i in imported.report["inputs"]]
    assert names == ["x", "router", "experts.down", "experts.gate_up"]
    with pytest.raises(ImportRefused, match="params names argument 3, but there are 3"):
        import_jax(split, x(), p["router"], p["experts"], params=3)


def test_equal_key_paths_get_the_argument_in_front() -> None:
    def two(first: dict[str, Any], second: dict[str, Any], x: Any) -> Any:
        return layer(second, layer(first, x))

    imported = import_jax(two, params(), params(), x())
    assert "first.router" in imported.weights and "second.router" in imported.weights
    assert [e["name"] for e in imported.report["layers"]] == ["moe", "moe.1"]


def test_a_function_that_is_called_twice_holds_two_layers() -> None:
    once = jax.jit(layer)
    imported = import_jax(lambda p, x: once(p, once(p, x)), params(), x())
    assert [e["name"] for e in imported.report["layers"]] == ["moe", "moe.1"]
    assert imported.report["markers"] == {"route": 2, "experts": 2}


@jax.tree_util.register_pytree_with_keys_class
class State:
    """Like the state of a Flax nnx module: a pytree of its own with key paths."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def tree_flatten_with_keys(self) -> Any:
        names = sorted(self.values)
        children = [(jax.tree_util.DictKey(n), self.values[n]) for n in names]
        return children, tuple(names)

    @classmethod
    def tree_unflatten(cls, names: Any, children: Any) -> State:
        return cls(dict(zip(names, children, strict=True)))


class Module:
    """Like a Flax linen module: parameters apart from it, first in ``apply``."""

    def apply(self, variables: Any, x: Any) -> Any:
        p = variables["params"]
        plan = moe.route(x @ p["router"]["kernel"], K)
        return moe.experts(x, plan, **p["experts"])


def test_modules_whose_parameters_are_apart() -> None:
    given = params()
    variables = {
        "params": {
            "router": {"kernel": given["router"]},
            "experts": given["experts"],
        }
    }
    imported = import_jax(Module().apply, variables, x())
    assert set(imported.weights) == {
        "params.router.kernel",
        "params.experts.gate_up",
        "params.experts.down",
    }
    assert [e["name"] for e in imported.report["inputs"]] == ["x"]


def test_modules_whose_state_is_a_pytree_of_its_own() -> None:
    given = params()
    state = State({"router": given["router"], "experts": State(given["experts"])})

    def call(state: State, x: Any) -> Any:
        plan = moe.route(x @ state.values["router"], K)
        return moe.experts(x, plan, **state.values["experts"].values)

    imported = import_jax(call, state, x())
    assert set(imported.weights) == {"router", "experts.gate_up", "experts.down"}


def test_all_options_reach_the_marker() -> None:
    bias = np.zeros(E, np.float32)

    def full(p: dict[str, Any], x: Any, valid: Any, bias: Any) -> Any:
        return layer(
            p, x, scope="sequence", score="sigmoid", normalize="sum", scale=2.5,
            eps=1e-20, norm_min=0.5, floor=1, cap=3, groups=(4, 2, "top2_sum"),
            valid=valid, choice_bias=bias, layer="layers.7",
        )  # fmt: skip

    imported = import_jax(full, params(), x(), np.ones((S, T), bool), bias)
    (route,) = markers(imported, "route")
    for part in (
        'scope = "sequence"', 'score = "sigmoid"', 'normalize = "sum"',
        "scale = 2.500000e+00 : f64", "eps = 9.9999999999999995E-21 : f64",
        "norm_min = 5.000000e-01 : f64", "floor = 1 : i64", "cap = 3 : i64",
        "n_group = 4 : i64", "topk_group = 2 : i64", 'group_score = "top2_sum"',
        "rank_logits = false", 'layer = "layers.7"',
        'operands = ["logits", "choice_bias", "valid"]',
    ):  # fmt: skip
        assert part in route, part
    assert imported.report["inputs"][1]["dtype"] == "bool"
    parse(imported.text)


def test_layers_inside_scan_and_residual_operations() -> None:
    def model(stacked: dict[str, Any], x: Any) -> Any:
        h, _ = lax.scan(lambda h, p: (h + layer(p, h), None), x, stacked)
        return jnp.sort(h, -1)

    stacked = jax.tree.map(lambda w: np.stack([w, w]), params())
    imported = import_jax(model, stacked, x())
    assert imported.report["residual"] == {
        "stablehlo.while": 1,
        "stablehlo.sort": 1,
        "stablehlo.return": 3,
    }
    assert len(markers(imported, "route")) == 1
    parse(imported.text, residual=True)


def test_large_boolean_constants_survive_the_crossing() -> None:
    """Their blobs mean something else in the compiler's MLIR."""
    mask = np.random.default_rng(0).random((S, 120)) < 0.5

    def masked(p: dict[str, Any], x: Any) -> Any:
        # More elements than a blob needs, fewer than a forgotten weight has.
        return layer(p, x), jnp.asarray(x[0, 0, 0] > 0) & jnp.array(mask.tolist())

    imported = import_jax(masked, params(), x())
    assert not re.search(r'dense<"0x[^"]*"> : tensor<[0-9x]*xi1>', imported.text)
    assert "tensor<2x120xi8>" in imported.text
    parse(imported.text)


def test_arrays_that_a_function_closes_over_are_refused() -> None:
    weights = jax.tree.map(jnp.asarray, params())
    with pytest.raises(ImportRefused, match="closes over an array float32"):
        import_jax(lambda x: layer(weights, x), x())


def test_small_tables_may_be_constants() -> None:
    table = jnp.arange(float(H))
    imported = import_jax(lambda p, x: layer(p, x + table), params(), x())
    parse(imported.text)


def test_a_function_without_an_moe_layer_is_refused() -> None:
    with pytest.raises(ImportRefused, match=r"<lambda> has no MoE layer"):
        import_jax(lambda x: jnp.sin(x), x())


def test_foreign_operations_are_refused_by_name() -> None:
    def foreign(p: dict[str, Any], x: Any) -> Any:
        return jnp.fft.fft(layer(p, x)).real

    with pytest.raises(ImportRefused, match=r"not supported: .*stablehlo\.fft"):
        import_jax(foreign, params(), x())


def test_a_training_graph_is_refused_by_name() -> None:
    def loss(p: dict[str, Any], x: Any) -> Any:
        return jnp.square(layer(p, x)).mean()

    with pytest.raises(ImportRefused, match=r"_backward'.*training graphs are not"):
        import_jax(jax.grad(loss), params(), x())
