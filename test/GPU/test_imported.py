"""Layers imported from PyTorch, on the emulator and on the CPU."""

from __future__ import annotations

from typing import Any

import moe_mlir
import pytest
import torch
from torch import nn
from torch_models import H, Stack, mixtral, olmoe, qwen3, x_of


def two_layers() -> nn.Module:
    return Stack(olmoe(), olmoe(norm=True))


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (olmoe, torch.bfloat16),
        (mixtral, torch.float16),
        (qwen3, torch.bfloat16),
        (two_layers, torch.float16),
    ],
)
@torch.no_grad()
def test_blocks_agree_with_the_cpu(make: Any, dtype: torch.dtype) -> None:
    """Routers, experts and sums round at the same places on both: a choice that
    differed would be far outside of the bound."""
    module = make().to(dtype).eval()
    model = moe_mlir.from_torch(module, (x_of(2, 5, H).to(dtype),))
    for scope in ("token", "sequence"):
        in_scope = model.with_scope(scope)
        on_cpu, on_gpu = in_scope.compile(), in_scope.compile(target="emulator")
        for sizes in ((2, 9), (1, 1), (1, 70)):
            x = x_of(*sizes, H).to(dtype)
            got, want = on_gpu(x).float(), on_cpu(x).float()
            bound = 2 * torch.finfo(dtype).eps * want.abs().max().item()
            torch.testing.assert_close(got, want, rtol=0, atol=bound)
