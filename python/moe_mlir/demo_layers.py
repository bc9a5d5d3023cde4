"""The layers that the demo shows: one MoE layer as its owners write it, in PyTorch
(the OLMoE block of transformers) and in JAX, on the same seeded random weights."""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

import moe_mlir as moe
from moe_mlir.routing import Scope

Array = npt.NDArray[Any]

ORACLE = pathlib.Path(__file__).resolve().parents[2] / "test" / "python"


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer: how it is imported, how its framework runs it, and on what.

    Attributes:
        x: ``[S, T, H]``, in the framework's own type.
        logits: ``[S, T, E]`` f32, the router's logits of ``x``.
        weights: ``router [E, H]``, ``gate_up [E, 2I, H]``, ``down [E, H, I]``.
        k: Experts per token.
        imported: Imports the layer.
        peers: The framework's own ways to run it; the first is named as the layer.
    """

    x: Any
    logits: Array
    weights: dict[str, Array]
    k: int
    imported: Callable[[], moe.Model]
    peers: dict[str, Callable[[Any], Any]]

    def oracle(self, scope: Scope) -> Any:
        """The plan of the logits, by an independent program."""
        return independent_route(self.logits, self.k, scope)

    def near(self, scope: Scope) -> Array:
        """The tokens ``[S, T]`` with a score within rounding of the last one chosen:
        two matmuls may differ about them."""
        scores = np.exp(self.logits - self.logits.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        sequences, tokens, experts = scores.shape
        rivals = tokens if scope == "sequence" else 1
        rows = scores.reshape(-1, rivals * experts)
        order = np.sort(rows)[:, ::-1]
        budget = rivals * self.k
        if budget == order.shape[1]:
            return np.zeros((sequences, tokens), bool)
        last, next_best = order[:, budget - 1, None], order[:, budget, None]
        tie = (np.abs(rows / last - 1) < 1e-5) & (next_best / last > 1 - 1e-5)
        near: Array = tie.reshape(scores.shape).any(-1)
        return near


def independent_route(logits: Array, k: int, scope: Scope) -> Any:
    """The plan by the NumPy oracle of a checkout; installed alone, by the C++ rule."""
    if not (ORACLE / "oracle.py").exists():
        print("  (no checkout: the C++ rule stands in for the NumPy oracle)")
        return moe.route(logits, k, scope=scope, target="reference")
    if str(ORACLE) not in sys.path:
        sys.path.append(str(ORACLE))
    return importlib.import_module("oracle").route(logits, k, scope)


def layer_by_plan(x: Any, weights: dict[str, Array], plan: Any) -> Array:
    """What a SwiGLU layer computes under a plan: ``[S, T, H]``, f64 in NumPy."""
    rows = np.asarray(x, np.float64).reshape(-1, np.shape(x)[-1])
    y = np.zeros_like(rows)
    for e, (gate_up, down) in enumerate(
        zip(weights["gate_up"], weights["down"], strict=True)
    ):
        own = slice(plan.expert_offsets[e], plan.expert_offsets[e + 1])
        tokens = plan.row_token[own]
        gate, up = np.split(rows[tokens] @ gate_up.T.astype(np.float64), 2, axis=-1)
        hidden = gate / (1 + np.exp(-gate)) * up
        y[tokens] += plan.gates[own, None] * (hidden @ down.T.astype(np.float64))
    return y.reshape(np.shape(x))


def times(
    runs: dict[str, Callable[[Any], Any]], x: Any, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of each run on ``x``, interleaved, after one untimed round."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run(x)
            taken[name].append(1e3 * (time.perf_counter() - start))
    return {name: values[1:] for name, values in taken.items()}


def random_weights(o: Namespace) -> tuple[dict[str, Array], Array]:
    """Weights and input ``[S, T, H]``, f32, of the sizes and the seed asked for."""
    random = np.random.default_rng(o.seed)
    shapes = {
        "router": (o.experts, o.hidden),
        "gate_up": (o.experts, 2 * o.inner, o.hidden),
        "down": (o.experts, o.hidden, o.inner),
    }
    weights = {
        name: random.standard_normal(shape, np.float32) * np.float32(shape[-1] ** -0.5)
        for name, shape in shapes.items()
    }
    return weights, random.standard_normal((o.batch, o.tokens, o.hidden), np.float32)


def torch_layer(o: Namespace) -> Layer:
    """``OlmoeSparseMoeBlock``, as transformers has it."""
    import torch
    from transformers.models.olmoe import OlmoeConfig
    from transformers.models.olmoe.modeling_olmoe import OlmoeSparseMoeBlock

    torch.set_num_threads(o.threads)
    weights, x = random_weights(o)
    config = OlmoeConfig(
        hidden_size=o.hidden,
        intermediate_size=o.inner,
        num_experts=o.experts,
        num_experts_per_tok=o.k,
    )
    make_block: Callable[[Any], Any] = OlmoeSparseMoeBlock  # has no types
    with torch.device("meta"):
        block = make_block(config).eval().requires_grad_(False)
    names = ("gate.weight", "experts.gate_up_proj", "experts.down_proj")
    tensors = map(torch.from_numpy, weights.values())
    block.load_state_dict(dict(zip(names, tensors, strict=True)), assign=True)

    def run(implementation: str) -> Callable[[Any], Any]:
        def call(x: Any) -> Any:
            config._experts_implementation = implementation
            with torch.no_grad():
                return block(x)

        return call

    tokens = torch.from_numpy(x)
    return Layer(
        x=tokens,
        logits=(tokens @ block.gate.weight.T).numpy(),
        weights=weights,
        k=o.k,
        imported=lambda: moe.from_torch(block, (tokens,)),
        peers={"PyTorch": run("eager"), "PyTorch grouped_mm": run("grouped_mm")},
    )


def jax_layer(o: Namespace) -> Layer:
    """The same layer, written with ``moe_mlir.jax``."""
    import jax

    import moe_mlir.jax

    weights, x = random_weights(o)

    def layer(x: Any, p: dict[str, Any]) -> Any:
        plan = moe_mlir.jax.route(x @ p["router"].T, o.k, layer="layer")
        return moe_mlir.jax.experts(
            x, plan, gate_up=p["gate_up"], down=p["down"], layout="nk"
        )

    params, tokens = jax.tree.map(jax.numpy.asarray, (weights, x))
    compiled = jax.jit(layer)
    return Layer(
        x=tokens,
        logits=np.asarray(tokens @ params["router"].T),
        weights=weights,
        k=o.k,
        imported=lambda: moe.from_jax(layer, tokens, params, params=(1,)),
        peers={"JAX": lambda x: compiled(x, params).block_until_ready()},
    )


LAYERS: dict[str, Callable[[Namespace], Layer]] = {
    "PyTorch": torch_layer,
    "JAX": jax_layer,
}
