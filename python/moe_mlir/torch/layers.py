"""All MoE layers of a model: blocks of modules, and code that is written out."""

from __future__ import annotations

from typing import Any

from torch import nn

from moe_mlir.torch.adapters import Adapter, find_adapters
from moe_mlir.torch.blocks import find_blocks
from moe_mlir.torch.written_adapter import WrittenAdapter
from moe_mlir.torch.written_search import find_written

AnyAdapter = Adapter | WrittenAdapter


def find_layers(
    module: nn.Module, inputs: Any
) -> tuple[list[AnyAdapter], dict[str, str]]:
    """The adapters of a model's layers, and by path why others have none.

    Args:
        module: The model, in evaluation mode.
        inputs: Its positional inputs, with which it is run once to see layers whose
            routing is written out; None leaves those out.

    Raises:
        ImportRefused: Experts that use the library's registry cannot be adapted.
    """
    adapters, others = find_adapters(find_blocks(module))
    if inputs is None:
        return [*adapters], others
    written, unknown = find_written(module, inputs, [a.block.path for a in adapters])
    paths = [adapter.written.path for adapter in written]
    others = unknown | {
        path: why
        for path, why in others.items()
        if not any(path == p or path.startswith(f"{p}.") or not p for p in paths)
    }
    return [*adapters, *written], others
