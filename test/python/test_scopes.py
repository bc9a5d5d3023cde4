"""set_scope: PyTorch models in sequence scope, eagerly, with gradients."""

from __future__ import annotations

import copy
import pathlib
import re
import subprocess
import sys
from typing import Any

import moe_mlir
import pytest
import torch
from moe_mlir.errors import MoEError
from moe_mlir.torch import set_scope
from test_families import (
    RAISED,
    E,
    K,
    block_of,
    close,
    compiled,
    first,
    gated_by,
    oracle_gates,
    x_of,
)
from torch import Tensor, nn
from torch_models import olmoe
from transformers import OlmoeConfig, OlmoeForCausalLM


@pytest.mark.parametrize("name", ["olmoe", "qwen2_moe", "deepseek_v3", "llama4"])
@torch.no_grad()
def test_eager_results_are_the_compiled_ones(name: str) -> None:
    block = block_of(name)
    x = x_of(3, 7)
    token = first(block(x))
    assert set_scope(block, "sequence") == ["moe"]
    flipped = first(block(x))
    set_scope(block, "token")
    close(flipped, first(compiled(name, "sequence")(x)))
    assert not torch.allclose(flipped, token)
    assert torch.equal(first(block(x)), token)


@torch.no_grad()
def test_floor_and_cap() -> None:
    block, x = block_of("olmoe"), x_of(2, 31)
    set_scope(block, "sequence", floor=1, cap=3)
    have = block(x)
    set_scope(block, "token")
    options = {"scope": "sequence", "floor": 1, "cap": 3}
    with gated_by(block, oracle_gates(block, (2, 31), **RAISED["olmoe"], **options)):
        close(have, block(x))


def test_gradients_flow_through_the_gates_of_a_fixed_choice() -> None:
    block, x = copy.deepcopy(block_of("olmoe")), x_of(2, 9)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(3))

    def gradients() -> list[Tensor]:
        block.zero_grad()
        (block(x) * direction).sum().backward()
        return [value.grad.clone() for value in block.parameters()]

    def gates(logits: Tensor) -> Tensor:
        fixed = oracle_gates(block, (2, 9), scope="sequence", **RAISED["olmoe"])(logits)
        return logits.softmax(-1) * (fixed != 0)

    with gated_by(block, gates):
        want = gradients()
    set_scope(block, "sequence")
    have = gradients()
    for ours, theirs in zip(have, want, strict=True):
        close(ours, theirs)
    assert have[0].abs().max() > 0


def language_model() -> OlmoeForCausalLM:
    config = OlmoeConfig(
        vocab_size=32, hidden_size=16, intermediate_size=12, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, num_experts=E,
        num_experts_per_tok=K, pad_token_id=None, use_cache=False,
    )  # fmt: skip
    model = OlmoeForCausalLM._from_config(config, attn_implementation="eager")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.parameters():
            if value.dim() > 1:
                value.copy_(torch.randn(value.shape, generator=generator) * 0.4)
    return model.eval()


@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padding_is_not_in_the_budget(side: str) -> None:
    model = language_model()
    assert set_scope(model, "sequence") == [f"model.layers.{i}.mlp" for i in (0, 1)]
    ids = torch.randint(0, 32, (1, 9), generator=torch.Generator().manual_seed(1))
    padding = torch.zeros(1, 4, dtype=torch.int64)
    pair = (padding, ids) if side == "left" else (ids, padding)
    ones, zeros = torch.ones_like(ids), torch.zeros_like(padding)
    mask = torch.cat((zeros, ones) if side == "left" else (ones, zeros), 1)
    want = model(ids).logits
    place = slice(4, None) if side == "left" else slice(None, 9)
    # Rotary positions are relative: a shift by the padding changes nothing.
    have = model(torch.cat(pair, 1), attention_mask=mask).logits[:, place]
    torch.testing.assert_close(have, want, rtol=1e-4, atol=1e-4)
    unmasked = model(torch.cat(pair, 1)).logits[:, place]
    assert not torch.allclose(unmasked, want, rtol=1e-2, atol=1e-2)


@torch.no_grad()
def test_some_layers_and_back() -> None:
    model = language_model()
    before = [dict(vars(module)) for module in model.modules()]
    ids = torch.randint(0, 32, (2, 9), generator=torch.Generator().manual_seed(1))
    token = model(ids).logits
    every = (set_scope(model, "sequence"), model(ids).logits)[1]
    second = ["model.layers.1.mlp"]
    assert set_scope(model, "sequence", layers=second) == second
    one = model(ids).logits
    assert not torch.allclose(one, token) and not torch.allclose(one, every)
    assert set_scope(model, "token") == []
    assert torch.equal(model(ids).logits, token)
    for old, module in zip(before, model.modules(), strict=True):
        assert vars(module).keys() == old.keys()
        assert not module._forward_hooks and not module._forward_pre_hooks


def refusals() -> dict[str, Any]:
    return {
        "scope must be one of token, sequence; got 'batch'": lambda: set_scope(
            olmoe(), "batch"
        ),
        "the model is a int": lambda: set_scope(3, "sequence"),  # type: ignore
        "Linear has no MoE layer: none": lambda: set_scope(nn.Linear(2, 2), "sequence"),
        "there is no layer a; the layers are moe": lambda: set_scope(
            olmoe(), "sequence", layers=["a"]
        ),
        "'moe' cannot leave token scope: the nearest recipe is": lambda: set_scope(
            block_of("phimoe"), "sequence"
        ),
    }


@pytest.mark.parametrize("message", refusals())
def test_refusals(message: str) -> None:
    with pytest.raises(MoEError, match=re.escape(message)):
        refusals()[message]()


def test_what_a_switched_model_refuses() -> None:
    model = language_model()
    set_scope(model, "sequence")
    ids = torch.zeros(1, 3, dtype=torch.int64)
    with pytest.raises(MoEError, match=r"attention_mask of Olmoe.* is \[1, 1, 3, 3\]"):
        model(ids, attention_mask=torch.ones(1, 1, 3, 3))
    with pytest.raises(MoEError, match="cannot be copied.*weights of the original"):
        copy.deepcopy(model)
    block = model.model.layers[0].mlp
    with pytest.raises(MoEError, match=r"set_scope\(model, 'token'\) first"):
        moe_mlir.from_torch(block, (x_of(2, 3),))


def test_the_example_shows_the_loss_fall(
    source_root: pathlib.Path, build_root: pathlib.Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(source_root / "examples" / "fine_tune.py"),
         "--steps", "30", "--tune", "12"],
        env={"PYTHONPATH": str(build_root / "python"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = dict(re.findall(r"^(\S.*?) {2,}([\d.]+)", done.stdout, re.M))
    found |= dict(re.findall(r"^(fine-tuned in it) ([\d.]+)", done.stdout, re.M))
    losses = {name: float(value) for name, value in found.items()}
    assert losses["token scope"] < losses["before"] - 1
    assert losses["fine-tuned in it"] < losses["sequence scope"] - 0.05
    (difference,) = re.findall(r"differs by ([\d.e-]+)", done.stdout)
    assert float(difference) < 2e-5
