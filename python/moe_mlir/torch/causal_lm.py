"""Whole causal language models of transformers, as functions of tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from moe_mlir.importing.imported import Imported, ImportRefused
from moe_mlir.torch.blocks import find_blocks
from moe_mlir.torch.importer import import_torch

#: Sizes of the example: no dimension of a model is likely to be one of them.
_SEQUENCES, _TOKENS = 2, 7

INPUTS = ("input_ids", "attention_mask")


def import_causal_lm(model: nn.Module, *, name: str | None = None) -> Imported:
    """Imports ``(input_ids, attention_mask) -> logits`` of a causal language model.

    Batch and tokens are dynamic. What the mask leaves out, on the left or on the
    right, is no candidate of a routing and not in its budget; the logits of such
    tokens mean nothing.

    Args:
        model: A ``...ForCausalLM`` of transformers. It is left as it was.
        name: Name of the model; its class by default.

    Raises:
        ImportRefused: It is no such model, or something in it is not understood.
    """
    _check(model)
    ids = torch.zeros((_SEQUENCES, _TOKENS), dtype=torch.int64)
    with _as_function(model):
        return import_torch(
            model,
            (ids, torch.ones_like(ids)),
            name=name or type(model).__name__,
            valid=INPUTS[1],
            # A run would read the weights, which may be larger than memory.
            written_out=not find_blocks(model),
        )


def _check(model: nn.Module) -> None:
    config = getattr(model, "config", None)
    head = getattr(model, "get_output_embeddings", lambda: None)()
    if config is None or head is None:
        raise ImportRefused(
            f"{type(model).__name__} is not a causal language model of transformers "
            "(it has no config or no output embeddings); use from_torch for other "
            "modules"
        )
    if getattr(config, "is_encoder_decoder", False):
        raise ImportRefused(
            f"{type(model).__name__} is an encoder and a decoder; only models of one "
            "stack, from input_ids to logits, are imported whole"
        )


@contextlib.contextmanager
def _as_function(model: Any) -> Iterator[None]:
    """``model(input_ids, attention_mask)`` gives logits alone, without a cache.

    The forward of the class is reached by an attribute of the instance, so that names
    of modules and weights stay those of the checkpoint. Attention is written out:
    kernels of a device have no place in an exported program.
    """

    def forward(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        result = type(model).forward(
            model,
            input_ids=input_ids,
            attention_mask=attention_mask,
            use_cache=False,
            return_dict=True,
        )
        logits: Tensor = result.logits
        return logits

    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    model.forward = forward
    try:
        yield
    finally:
        del model.forward
        model.set_attn_implementation(before)
