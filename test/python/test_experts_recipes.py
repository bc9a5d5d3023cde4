"""Experts are taken for what they compute."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from moe_mlir.torch.adapters import Adapter, find_adapter
from moe_mlir.torch.blocks import find_blocks
from test_families import block_of
from torch import Tensor
from torch_models import olmoe


def adapter_of(block: Any) -> Adapter | str:
    (found,) = map(find_adapter, find_blocks(block))
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("olmoe", {"layout": "nk", "arrangement": "concat", "activation": "silu"}),
        (
            "gpt_oss",
            {
                "layout": "kn",
                "arrangement": "interleaved",
                "activation": "clamped_swiglu",
                "limit": 7.0,
                "alpha": 1.702,
            },
        ),
        ("switch_transformers", {"layout": "nk", "activation": "relu"}),
    ],
)
def test_what_is_found(name: str, options: dict[str, Any]) -> None:
    found = adapter_of(block_of(name))
    assert isinstance(found, Adapter) and found.experts.options == options


def test_a_clamp_that_ordinary_values_never_reach_is_noticed() -> None:
    block = olmoe()

    def clamped(gate_up: Tensor) -> Tensor:
        gate, up = gate_up.chunk(2, -1)
        return torch.nn.functional.silu(gate.clamp(max=5.0)) * up

    original = type(block.experts)

    class Clamped(original):  # type: ignore[misc, valid-type]
        def forward(self, hidden: Tensor, index: Tensor, weights: Tensor) -> Tensor:
            y = torch.zeros_like(hidden)
            for k in range(index.shape[1]):
                both = torch.einsum(
                    "th,tih->ti", hidden, self.gate_up_proj[index[:, k]]
                )
                down = self.down_proj[index[:, k]]
                y += (
                    torch.einsum("ti,thi->th", clamped(both), down)
                    * weights[:, k : k + 1]
                )
            return y

    assert isinstance(adapter_of(block), Adapter)
    block.experts.__class__ = Clamped
    found = adapter_of(block)
    assert isinstance(found, str) and "no supported activation" in found


def test_a_name_of_an_activation_is_no_proof() -> None:
    class SiLU(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.nn.functional.gelu(x)

    block = olmoe()
    block.experts.act_fn = SiLU()
    found = adapter_of(block)
    assert isinstance(found, Adapter)
    assert found.experts.options["activation"] == "gelu"
