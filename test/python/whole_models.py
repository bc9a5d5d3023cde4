"""Tiny random causal language models of transformers, and an independent reference."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import oracle
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn

E, K, INNER, VOCABULARY = 8, 2, 12, 64
_SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": INNER,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
    "num_experts_per_tok": K,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
_DEEPSEEK: dict[str, Any] = {
    "n_routed_experts": E,
    "n_shared_experts": 1,
    "moe_intermediate_size": INNER,
    "n_group": 4,
    "topk_group": 2,
    "first_k_dense_replace": 1,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "num_key_value_heads": 4,
}
#: Family: name of the classes without Config and ForCausalLM, sizes of its own.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "olmoe": ("Olmoe", {"num_experts": E}),
    "mixtral": ("Mixtral", {"num_local_experts": E}),
    "qwen2_moe": (
        "Qwen2Moe",
        {
            "num_experts": E,
            "moe_intermediate_size": INNER,
            "shared_expert_intermediate_size": 20,
        },
    ),
    "qwen3_moe": (
        "Qwen3Moe",
        {
            "num_experts": E,
            "moe_intermediate_size": INNER,
            "norm_topk_prob": True,
            "head_dim": 8,
        },
    ),
    "deepseek_v2": (
        "DeepseekV2",
        _DEEPSEEK | {"topk_method": "group_limited_greedy"},
    ),
    "deepseek_v3": (
        "DeepseekV3",
        _DEEPSEEK | {"norm_topk_prob": True, "routed_scaling_factor": 2.5},
    ),
    "granitemoe": ("GraniteMoe", {"num_local_experts": E}),
    "glm4_moe": (
        "Glm4Moe",
        {
            "n_routed_experts": E,
            "n_shared_experts": 1,
            "moe_intermediate_size": INNER,
            "first_k_dense_replace": 1,
            "head_dim": 8,
        },
    ),
    "jamba": ("Jamba", {"num_experts": E, "attn_layer_offset": 0}),
    "minimax_m2": ("MiniMaxM2", {"num_local_experts": E, "head_dim": 8}),
    "gpt_oss": ("GptOss", {"num_local_experts": E, "head_dim": 8}),
    "ernie4_5_moe": (
        "Ernie4_5_Moe",
        {
            "moe_num_experts": E,
            "moe_k": K,
            "moe_intermediate_size": INNER,
            "moe_num_shared_experts": 1,
            "moe_layer_start_index": 0,
        },
    ),
}


def make(family: str, dtype: torch.dtype = torch.float32, **sizes: Any) -> Any:
    """A model with weights that leave no expert and no router idle."""
    name, own = FAMILIES[family]
    config = getattr(transformers, f"{name}Config")(**(_SIZES | own | sizes))
    model = getattr(transformers, f"{name}ForCausalLM")._from_config(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for path, tensor in (*model.named_parameters(), *model.named_buffers()):
            noise = torch.randn(tensor.shape, generator=generator)
            if "norm" in path:
                tensor.copy_(1 + 0.2 * noise)
            elif isinstance(tensor, nn.Parameter) or "bias" in path:
                tensor.copy_(0.3 * noise)
    # The default needs aligned sizes in bf16.
    model.set_experts_implementation("eager")
    return model.eval().to(dtype)


def batch(lengths: list[int], side: str, tokens: int = 0) -> tuple[Tensor, Tensor]:
    """``input_ids`` and ``attention_mask`` of sequences, padded on one side."""
    tokens = tokens or max(lengths)
    generator = torch.Generator().manual_seed(sum(lengths))
    ids = torch.randint(0, VOCABULARY, (len(lengths), tokens), generator=generator)
    place = torch.arange(tokens)
    length = torch.tensor(lengths)[:, None]
    mask = place < length if side == "right" else place >= tokens - length
    return ids, mask.long()


@contextlib.contextmanager
def routed_by(model: Any, gates_of: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """The model's blocks with other gates: of logits ``[S, T, E]``, zero for no expert.

    For blocks without a shared expert, whose router is linear in ``gate.weight``.
    """

    def forward_of(block: Any) -> Any:
        def forward(x: Tensor) -> Tensor:
            gates = gates_of(F.linear(x, block.gate.weight))
            both = torch.einsum("sth,eih->stei", x, block.experts.gate_up_proj)
            gate, up = both.chunk(2, -1)
            y = torch.einsum(
                "stei,ehi->steh", F.silu(gate) * up, block.experts.down_proj
            )
            return (y * gates[..., None]).sum(2)

        return forward

    blocks = [m for m in model.modules() if type(m).__name__.endswith("MoeBlock")]
    for block in blocks:
        block.forward = forward_of(block)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


@contextlib.contextmanager
def routed_by_oracle(model: Any, mask: Tensor, **options: Any) -> Iterator[list[Any]]:
    """The model's blocks with the oracle's choice; gives the plans as they are made."""
    plans: list[Any] = []

    def gates_of(logits: Tensor) -> Tensor:
        plan = oracle.route(logits.numpy(), K, valid=mask.bool().numpy(), **options)
        plans.append(plan)
        dense = torch.zeros(logits.shape[0] * logits.shape[1], E)
        for e in range(E):
            rows = slice(plan.expert_offsets[e], plan.expert_offsets[e + 1])
            token = torch.from_numpy(plan.row_token[rows]).long()
            dense[token, e] = torch.from_numpy(plan.gates[rows])
        return dense.view(logits.shape)

    with routed_by(model, gates_of):
        yield plans


def experts_per_token(plan: Any) -> np.ndarray:
    """``[S, T]``."""
    return np.diff(plan.token_offsets, axis=-1)
