"""Running a PyTorch model's MoE layers in another scope, eagerly and with gradients."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from moe_mlir.errors import MoEError
from moe_mlir.importing.options import check_choice
from moe_mlir.torch.blocks import evaluation_mode
from moe_mlir.torch.layers import find_layers

#: The attribute of a model that is in another scope than its own: what undoes that.
_UNDO = "_moe_mlir_undo"


class _Mask:
    """The attention mask of the call that is under way."""

    def __init__(self, model: nn.Module) -> None:
        names = list(inspect.signature(model.forward).parameters)
        known = "attention_mask" in names
        self.place = names.index("attention_mask") if known else None
        self.value: Tensor | None = None

    def note(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Forward pre-hook of the model.

        Raises:
            MoEError: The mask is no ``[S, T]`` of zeros and ones.
        """
        mask = kwargs.get("attention_mask")
        if mask is None and self.place is not None and self.place < len(args):
            mask = args[self.place]
        if mask is not None and not (isinstance(mask, Tensor) and mask.dim() == 2):
            shape = list(getattr(mask, "shape", [])) or type(mask).__name__
            raise MoEError(
                f"set_scope: the attention_mask of {type(module).__name__} is {shape}; "
                "in sequence scope it must be [S, T], one for a token and zero for "
                "padding"
            )
        self.value = mask

    def forget(self, module: nn.Module, args: Any, result: Any) -> None:
        self.value = None

    def valid(self) -> Tensor | None:
        """``[S, T]`` bool: what is no padding; None without a mask."""
        return None if self.value is None else self.value.to(torch.bool)


def set_scope(
    model: nn.Module,
    scope: str,
    *,
    floor: int = 0,
    cap: int | None = None,
    layers: list[str] | None = None,
    example_inputs: Sequence[Any] | None = None,
) -> list[str]:
    """Makes the MoE layers of a PyTorch model choose in a scope, until called again.

    The model keeps its weights, code and mode; only the choice of experts changes. It
    can be trained: gradients flow through the gates, the choice itself is held fixed.
    A 2-dimensional ``attention_mask`` of the model's call excludes padding from the
    budget. The results are those of the compiled model, up to rounding.

    Args:
        model: A model with blocks that ``moe_mlir.from_torch`` can raise.
        scope: ``"sequence"``; or ``"token"``, which gives the model its own code back.
        floor, cap: Least and most experts of a token, as in
            :func:`moe_mlir.torch.route`.
        layers: Paths of the layers to switch; all by default.
        example_inputs: Positional inputs of the model. With them it is run once, and
            layers whose routing is written out in a module's own code are found too.

    Returns:
        The paths of the layers that are switched.

    Raises:
        MoEError: A layer's router is of no known form, or there is no layer. The model
            is then as it was.
    """
    check_choice("set_scope", "scope", scope, ("token", "sequence"))
    if not isinstance(model, nn.Module):
        raise MoEError(
            f"set_scope: the model is a {type(model).__name__}; it must be a "
            "torch.nn.Module"
        )
    if before := vars(model).pop(_UNDO, None):
        before.close()
    if scope == "token":
        return []
    with evaluation_mode(model):
        adapters, others = find_layers(model, example_inputs)
    names = [adapter.name for adapter in adapters]
    chosen = names if layers is None else layers
    if unknown := set(chosen) - set(names):
        raise MoEError(
            f"set_scope: there is no layer {', '.join(sorted(unknown))}; the layers "
            f"are {', '.join(names) or 'none'}"
        )
    if not names:
        reason = "; ".join(others.values()) or (
            "none of its modules holds experts"
            if example_inputs is not None
            else "none of its modules holds experts; give example_inputs if its "
            "routing is written out in its own code"
        )
        raise MoEError(f"set_scope: {type(model).__name__} has no MoE layer: {reason}")
    picked = [adapter for adapter in adapters if adapter.name in chosen]
    for adapter in picked:
        if not adapter.raised:
            raise MoEError(
                f"set_scope: layer '{adapter.name}' cannot leave token scope: "
                f"{adapter.reason}"
            )
    options = {"scope": scope, "floor": floor, "cap": cap}
    mask = _Mask(model)
    with contextlib.ExitStack() as undo:
        hook = model.register_forward_pre_hook(
            mask.note, with_kwargs=True, prepend=True
        )
        undo.callback(hook.remove)
        undo.callback(model.register_forward_hook(mask.forget, always_call=True).remove)
        for adapter in picked:
            undo.enter_context(adapter.applied(options, mask.valid))
        object.__setattr__(model, _UNDO, undo.pop_all())
    return [adapter.name for adapter in picked]
