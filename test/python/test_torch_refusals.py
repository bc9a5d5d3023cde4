"""import_torch: what is refused, and that a router's behaviour decides."""

from __future__ import annotations

import re

import moe_mlir.torch as moe
import pytest
import torch
from moe_mlir.importing import ImportRefused
from moe_mlir.torch.importer import import_torch
from torch import Tensor, nn
from torch_models import INNER, SIZES, E, H, K, OwnLayer, S, T, olmoe, x_of
from transformers import OlmoeConfig
from transformers.models.olmoe.modeling_olmoe import (
    OlmoeForCausalLM,
    OlmoeSparseMoeBlock,
)


class TamperedRouter(nn.Module):
    """Takes the place of OLMoE's router and does something else."""

    def __init__(self, router: nn.Module, what: str) -> None:
        super().__init__()
        self.weight, self.what = router.weight, what
        self.top_k, self.num_experts = router.top_k, router.num_experts
        self.norm_topk_prob, self.hidden_dim = False, router.hidden_dim

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = hidden.reshape(-1, self.hidden_dim) @ self.weight.T
        heat = 1.1 if self.what == "temperature" else 1.0
        probabilities = (logits * heat).float().softmax(-1)
        least = self.what == "worst experts"
        weights, index = probabilities.topk(self.top_k, -1, largest=not least)
        if self.what == "squared weights":
            weights = weights.square()
        if self.what == "one expert less":
            weights, index = weights[:, 1:], index[:, 1:]
        if self.what == "shifted experts":
            index = (index + 1) % self.num_experts
        if self.what == "the next best for one token" and logits.dtype != torch.float32:
            _, longer = probabilities.topk(self.top_k + 1, -1)
            index[0, -1] = longer[0, -1]
        if self.what == "the last of equal experts":
            index = self.num_experts - 1 - probabilities.flip(-1).topk(self.top_k)[1]
        return logits, weights.to(logits.dtype), index


@pytest.mark.parametrize(
    "what",
    [
        "temperature",
        "worst experts",
        "squared weights",
        "one expert less",
        "shifted experts",
    ],
)
@pytest.mark.parametrize("name", ["TamperedRouter", "OlmoeTopKRouter"])
def test_a_router_that_computes_something_else_stays_plain(
    what: str, name: str
) -> None:
    """A class name is no proof."""
    block = olmoe()
    block.gate = type(name, (TamperedRouter,), {})(block.gate, what)
    imported = import_torch(block, (x_of(S, T, H),))
    (layer,) = imported.report["layers"]
    assert layer["name"] == "moe" and layer["status"] == "plain"
    assert layer["router"] == name
    assert re.search(
        r"plan_from_choice: the nearest recipe is .*, but the router "
        r"(chooses|weights) experts differently for \d+ of \d+ tokens",
        layer["why"],
    )
    assert imported.report["markers"] == {"plan_from_choice": 1, "experts": 1}


def test_a_single_wrong_choice_is_noticed() -> None:
    """Narrow types have many equal keys; only those excuse another choice."""
    block = olmoe(torch.bfloat16)
    block.gate = TamperedRouter(block.gate, "the next best for one token")
    (layer,) = import_torch(block, (x_of(S, T, H).bfloat16(),)).report["layers"]
    assert layer["status"] == "plain"
    assert "chooses experts differently for 1 of" in layer["why"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("what", ["nothing", "the last of equal experts"])
def test_the_untampered_stand_in_is_accepted(what: str, dtype: torch.dtype) -> None:
    """So that the refusals above are about what the router does."""
    block = olmoe(dtype)
    block.gate = TamperedRouter(block.gate, what)
    imported = import_torch(block, (x_of(S, T, H).to(dtype),))
    (layer,) = imported.report["layers"]
    assert (layer["router"], layer["status"]) == ("TamperedRouter", "raised")


def test_what_the_experts_are_given_decides() -> None:
    class Doubled(OlmoeSparseMoeBlock):
        def forward(self, hidden_states: Tensor) -> Tensor:
            return super().forward(hidden_states) * 2 + hidden_states.mean()

    block = olmoe()
    block.__class__ = Doubled
    imported = import_torch(block, (x_of(S, T, H),))  # plain code around the layer
    assert len(imported.report["layers"]) == 1

    class Mixed(OlmoeSparseMoeBlock):
        def forward(self, hidden_states: Tensor) -> Tensor:
            flat = hidden_states.view(-1, H)
            _, weights, index = self.gate(flat)
            y = self.experts(flat, index.flip(-1), weights)
            return y.view(hidden_states.shape)

    block.__class__ = Mixed
    (layer,) = import_torch(block, (x_of(S, T, H),)).report["layers"]
    assert layer["status"] == "plain" and "nearest recipe is softmax" in layer["why"]


def test_routers_with_zero_weights_can_be_imported() -> None:
    """The library initialises OLMoE's router to zero: all keys tie."""
    block = OlmoeSparseMoeBlock(
        OlmoeConfig(intermediate_size=INNER, num_experts=E, **SIZES)
    )
    assert import_torch(block, (x_of(S, T, H),)).report["layers"]


def test_unsupported_expert_features_are_named() -> None:
    block = olmoe()
    block.experts.has_post_expert_norm = True
    with pytest.raises(ImportRefused, match="OlmoeExperts has a norm after each exp"):
        import_torch(block, (x_of(S, T, H),))
    block = olmoe()
    block.experts.act_fn = nn.Tanh()
    with pytest.raises(
        ImportRefused, match="no supported activation.* \\(its modules: Tanh"
    ):
        import_torch(block, (x_of(S, T, H),))


def test_a_module_without_an_moe_layer_is_refused() -> None:
    mlp = nn.Sequential(nn.Linear(H, H), nn.ReLU())
    message = r"Sequential has no MoE layer.*\(Linear, ReLU, Sequential\)"
    with pytest.raises(ImportRefused, match=message):
        import_torch(mlp, (x_of(S, T, H),))


def test_generation_and_caches_are_refused_by_name() -> None:
    config = OlmoeConfig(
        intermediate_size=INNER, num_experts=E, num_hidden_layers=1, vocab_size=32,
        num_attention_heads=2, num_key_value_heads=2, pad_token_id=None, **SIZES,
    )  # fmt: skip
    model = OlmoeForCausalLM._from_config(config, attn_implementation="eager")
    ids = torch.zeros(S, T, dtype=torch.int64)
    with pytest.raises(ImportRefused, match="got method generate; a generation loop"):
        import_torch(model.generate, (ids,))
    with pytest.raises(
        ImportRefused, match=r"returns a key/value cache \(DynamicCache"
    ):
        import_torch(model, (ids,), dynamic_shapes={})


def test_a_training_graph_is_refused_by_name() -> None:
    class Gradient(OwnLayer):
        def forward(self, x: Tensor) -> Tensor:
            plan = moe.route(self.router(x), K)
            return torch.ops.moe.route_backward(
                plan.gates, self.router(x), *plan[:2], "softmax", "none", 1.0, 0.0, 0.0
            )

    with pytest.raises(ImportRefused, match="route_backward.*training graphs are not"):
        import_torch(Gradient(), (x_of(S, T, H),))


def test_an_operator_that_cannot_be_lowered_is_named() -> None:
    class Odd(OwnLayer):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svdvals(super().forward(x)).sum()

    with pytest.raises(ImportRefused, match="linalg_svd"):
        import_torch(Odd(), (x_of(S, T, H),))


def test_a_buffer_that_forward_writes_is_refused() -> None:
    class Counting(OwnLayer):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls.add_(1)
            return super().forward(x)

    with pytest.raises(ImportRefused, match="writes its buffer 'calls'"):
        import_torch(Counting(), (x_of(S, T, H),))


def test_an_input_without_sequences_is_refused() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = olmoe()

        def forward(self, x: Tensor) -> Tensor:
            return self.block(x[0])

    with pytest.raises(ImportRefused, match=r"layer 'block'.*must be \[S, T, H\]"):
        import_torch(Flat(), (x_of(S, T, H),))
