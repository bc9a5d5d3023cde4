"""Small random MoE modules that the tests of the PyTorch importer share."""

from __future__ import annotations

import moe_mlir.torch as moe
import torch
from torch import Tensor, nn
from transformers import MixtralConfig, OlmoeConfig, Qwen3MoeConfig
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
from transformers.models.olmoe.modeling_olmoe import (
    OlmoeSparseMoeBlock,
)
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock

S, T, E, K, H, INNER = 2, 5, 8, 2, 16, 12
torch.set_num_threads(1)
SIZES = {"hidden_size": H, "num_experts_per_tok": K}


def olmoe(dtype: torch.dtype = torch.float32, *, norm: bool = False) -> nn.Module:
    config = OlmoeConfig(
        intermediate_size=INNER, num_experts=E, norm_topk_prob=norm, **SIZES
    )
    return random_weights(OlmoeSparseMoeBlock(config)).to(dtype)


def mixtral() -> nn.Module:
    config = MixtralConfig(intermediate_size=INNER, num_local_experts=E, **SIZES)
    return random_weights(MixtralSparseMoeBlock(config))


def qwen3() -> nn.Module:
    config = Qwen3MoeConfig(
        moe_intermediate_size=INNER, num_experts=E, norm_topk_prob=True, **SIZES
    )
    return random_weights(Qwen3MoeSparseMoeBlock(config))


def random_weights(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


def x_of(*sizes: int) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(1))


class OwnLayer(nn.Module):
    """A layer of a user, two calls deep, with a normalisation the compiler sees."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(H, E, bias=False)
        self.gate_up = nn.Parameter(torch.randn(E, 2 * INNER, H))
        self.down = nn.Parameter(torch.randn(E, H, INNER))

    def forward(self, x: Tensor) -> Tensor:
        x = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        plan = moe.route(self.router(x), K, scope="sequence", normalize="sum")
        return moe.experts(x, plan, gate_up=self.gate_up, down=self.down)


class Stack(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x
