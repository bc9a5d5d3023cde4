"""The OLMoE block of transformers with seeded random weights."""

import torch
from transformers import OlmoeConfig
from transformers.models.olmoe.modeling_olmoe import OlmoeSparseMoeBlock

EXPERTS, K, HIDDEN, INNER = 64, 8, 1024, 512


def make_block(
    dtype: torch.dtype, hidden: int = HIDDEN, inner: int = INNER
) -> OlmoeSparseMoeBlock:
    """A block of 64 experts of which a token gets 8; weights of the usual size."""
    torch.manual_seed(0)
    config = OlmoeConfig(
        hidden_size=hidden,
        intermediate_size=inner,
        num_experts=EXPERTS,
        num_experts_per_tok=K,
        num_hidden_layers=1,
        num_attention_heads=8,
    )
    block = OlmoeSparseMoeBlock(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(0, parameter.shape[-1] ** -0.5)
    return block
