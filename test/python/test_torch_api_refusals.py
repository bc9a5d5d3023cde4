"""moe_mlir.torch: wrong options, weights and shapes are refused with a message."""

from __future__ import annotations

import moe_mlir.torch as moe
import pytest
import torch
from moe_mlir.errors import MoEError
from test_torch_api import E, K, S, T, layer_weights, random_logits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 9}, "k = 9 exceeds the 8 experts"),
        ({"k": 0}, "set k >= 1"),
        ({"floor": 3, "scope": "sequence"}, "floor = 3"),
        ({"cap": 1, "scope": "sequence"}, "cap = 1"),
        ({"floor": 1}, "floor and cap belong to scope = sequence"),
        ({"groups": (3, 1, "max")}, "n_group = 3 does not divide the 8 experts"),
        ({"groups": (4, 5, "max")}, "topk_group = 5 is not between 1 and n_group = 4"),
        ({"groups": (8, 1, "max")}, "raise topk_group or lower k"),
        ({"groups": (4, 2, "mean")}, "group score must be one of max, top2_sum"),
        ({"scope": "batch"}, "scope must be one of token, sequence"),
        ({"score": "tanh"}, "score must be one of softmax"),
        ({"normalize": "max"}, "normalize must be one of none, sum, softmax"),
        ({"score": "identity", "normalize": "sum"}, "divides by a sum of raw logits"),
        ({"score": "sigmoid", "normalize": "softmax"}, "needs score = softmax or"),
        ({"score": "identity", "scope": "sequence"}, "set rank_logits"),
        ({"k": 2.7}, "k is 2.7; it must be an integer"),
        ({"k": True}, "k is True; it must be an integer"),
        ({"floor": 1.5, "scope": "sequence"}, "floor is 1.5; it must be an integer"),
        ({"scale": "2"}, "scale is '2'; it must be a number"),
        ({"rank_logits": "no"}, "rank_logits is 'no'; it must be True or False"),
        ({"groups": (4, 2)}, "use .number of groups, groups kept"),
        ({"layer": 3}, "layer is 3; it must be a name"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(MoEError, match=message):
        moe.route(random_logits(), options.pop("k", K), **options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "got none of them"),
        ({"gate": 0}, "got gate"),
        ({"gate_up": 0, "up": 0}, "got gate_up, up"),
        ({"up": 0, "gate_bias": 0}, "gate_bias is given, but gate is not"),
        ({"up": 0, "activation": "clamped_swiglu"}, "needs gate and up"),
        ({"up": 0, "activation": "tanh"}, "activation must be one of silu"),
        ({"up": 0, "layout": "mk"}, "layout must be one of nk, kn"),
        ({"up": 0, "gate_on": "both"}, "gate_on must be one of output, input"),
        ({"up": 0, "down": None}, "down is missing"),
        ({"up": 0, "down_bias": 3}, "down_bias is a int; it must be a torch.Tensor"),
        ({"up": torch.zeros(1).double()}, "up is torch.float64 and x is torch.float32"),
        ({"gate_up": 0, "activation": "clamped_swiglu", "limit": -1}, "limit is -1.0"),
        ({"up": 0, "limit": "1"}, "limit is '1'; it must be a number"),
    ],
)
def test_wrong_expert_arguments_are_refused(
    weights: dict[str, object], message: str
) -> None:
    plan = moe.route(random_logits(), K)
    matrix = torch.zeros(E, 2, 2)
    given = {
        k: matrix if isinstance(v, int) and v == 0 else v for k, v in weights.items()
    }
    with pytest.raises(MoEError, match=message):
        moe.experts(layer_weights()["x"], plan, **({"down": matrix} | given))


def test_wrong_shapes_are_refused() -> None:
    logits, w = random_logits(), layer_weights()
    with pytest.raises(MoEError, match=r"choice_bias must be \[E\] = \[8\], got \[7\]"):
        moe.route(logits, K, choice_bias=torch.zeros(7))
    with pytest.raises(MoEError, match=r"valid must be \[S, T\]"):
        moe.route(logits, K, valid=torch.ones(S, T + 1, dtype=torch.bool))
    plan = moe.route(logits, K)
    with pytest.raises(MoEError, match=r"x must be \[S, T, H\], got \[21, 10\]"):
        moe.experts(w["x"].flatten(0, 1), plan, gate_up=w["gate_up"], down=w["down"])
    with pytest.raises(MoEError, match=r"gate_up must be \[8, 12, 10\].*layout 'nk'"):
        moe.experts(w["x"], plan, gate_up=w["gate_up"].mT, down=w["down"])
    with pytest.raises(MoEError, match=r"gate_up must be \[8, 12, 10\]"):
        moe.experts(w["x"], plan, gate_up=w["gate_up"][:7], down=w["down"][:7])
    # As many tokens, but other sequences: a row would belong to another token.
    swapped = w["x"].transpose(0, 1)
    with pytest.raises(MoEError, match="the plan is of 3 sequences of 7 tokens"):
        moe.experts(swapped, plan, gate_up=w["gate_up"], down=w["down"])
    with pytest.raises(MoEError, match="logits is a ndarray"):
        moe.route(logits.numpy(), K)
    with pytest.raises(MoEError, match="the plan is a tuple"):
        moe.experts(w["x"], tuple(plan), gate_up=w["gate_up"], down=w["down"])


@pytest.mark.parametrize(
    ("ids", "weights", "experts", "message"),
    [
        (torch.zeros(S, T, K).long(), torch.zeros(S, T, 1), E, "must both be"),
        (torch.zeros(S, T, K), torch.zeros(S, T, K), E, "ids are torch.float32"),
        (torch.zeros(S, T, K).int(), torch.zeros(S, T, K).int(), E, "must be floats"),
        (torch.zeros(S, T, K).int(), torch.zeros(S, T, K), 0, "there is at least one"),
        (torch.zeros(S, T, K).int(), torch.zeros(S, T, K), 1.5, "must be an integer"),
        (torch.zeros(S, T, 0).int(), torch.zeros(S, T, 0), E, "K must be at least 1"),
    ],
)
def test_wrong_choices_are_refused(
    ids: torch.Tensor, weights: torch.Tensor, experts: int, message: str
) -> None:
    with pytest.raises(MoEError, match=message):
        moe.plan_from_choice(ids, weights, experts)
