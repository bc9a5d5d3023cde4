"""Finding the layers of a model whose routing is written out.

The model is run once. A module that runs while something chooses along an axis, and
that holds weights for as many experts, may be such a layer.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.torch.blocks import MoEBlock
from moe_mlir.torch.matching import for_tiny_operations
from moe_mlir.torch.recipes import Recipe
from moe_mlir.torch.written_adapter import MARK, Forward, WrittenAdapter
from moe_mlir.torch.written_gates import NotMatched, Written
from moe_mlir.torch.written_layer import find_layer, find_stacks
from moe_mlir.torch.written_matching import agrees, match, reading
from moe_mlir.torch.written_out import WrittenOut, is_choice


class _Replaced(nn.Module):
    """A block that runs as adapted."""

    def __init__(self, adapter: WrittenAdapter) -> None:
        super().__init__()
        self.block = adapter.written.block
        self.ours = Forward(adapter, {}, lambda: None)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.ours(*args, **kwargs)


@dataclasses.dataclass(frozen=True)
class _Call:
    """A module that was running when something chose among ``experts`` things."""

    path: str
    module: nn.Module
    args: Any
    kwargs: Any


class _Watch(TorchFunctionMode):
    """Notes which modules run while a choice is made."""

    def __init__(self) -> None:
        super().__init__()
        self.running: list[_Call] = []
        self.found: dict[tuple[Any, ...], tuple[list[_Call], int]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if is_choice(getattr(func, "__name__", ""), args, kwargs):
            experts = int(args[0].shape[-1])
            key = (experts, *(call.path for call in self.running))
            self.found.setdefault(key, (list(self.running), experts))
        return func(*args, **kwargs)


def _watch(module: nn.Module, inputs: Any) -> list[tuple[list[_Call], int]]:
    """The modules that run, inner ones last, when a choice is made, and its size."""
    watch = _Watch()
    with contextlib.ExitStack() as undo:
        for path, child in module.named_modules():

            def enter(
                child: nn.Module, args: Any, kwargs: Any, path: str = path
            ) -> None:
                watch.running.append(_Call(path, child, args, kwargs))

            def leave(child: nn.Module, args: Any, result: Any) -> None:
                watch.running.pop()

            hook = child.register_forward_pre_hook(enter, with_kwargs=True)
            undo.callback(hook.remove)
            undo.callback(child.register_forward_hook(leave, always_call=True).remove)
        undo.enter_context(torch.no_grad())
        undo.enter_context(watch)
        module(*inputs)
    return list(watch.found.values())


def find_written(
    module: nn.Module, inputs: Any, taken: list[str]
) -> tuple[list[WrittenAdapter], dict[str, str]]:
    """The layers that are written out in a model, and those that are none after all.

    Args:
        module: The model, in evaluation mode.
        inputs: Its positional inputs; it is run once.
        taken: Paths of blocks that need not be looked at.

    Returns:
        The adapters, and for other modules that choose among experts, by path, who they
        are and why they are not raised.
    """
    for path, child in module.named_modules():
        if MARK in vars(child):
            raise ImportRefused(
                f"layer '{path or 'moe'}' is in the scope that "
                "moe_mlir.torch.set_scope gave it; set_scope(model, 'token') first, "
                "and choose the scope of the imported model by with_scope"
            )
    values = (*module.parameters(), *module.buffers())
    if any(type(v.data) is not Tensor or v.is_meta for v in values):
        return [], {}  # without values nothing can be tried
    try:
        seen = _watch(module, inputs)
    except Exception:  # the export says what is wrong
        return [], {}
    adapters: dict[str, WrittenAdapter] = {}
    others: dict[str, str] = {}
    known: dict[Any, Any] = {}
    for running, experts in seen:
        holders = [
            call
            for call in reversed(running)
            if sum(len(s.shape) == 3 for s in find_stacks(call.module, experts)) >= 2
        ]
        paths = {call.path for call in running}
        if not holders or paths & {*taken, *adapters} or holders[0].path in others:
            continue
        found = _first_match(holders, experts, known)
        if isinstance(found, str):
            kind = type(holders[0].module).__name__
            others[holders[0].path] = (
                f"layer '{holders[0].path or 'moe'}': {kind} {found}"
            )
        else:
            adapters[found.written.path] = found
    # What contains a layer that was found is none itself.
    inside = [*taken, *adapters]
    return list(adapters.values()), {
        path: why
        for path, why in others.items()
        if not any(f"{one}.".startswith(f"{path}." if path else "") for one in inside)
    }


def _first_match(
    holders: list[_Call], experts: int, known: dict[Any, Any]
) -> WrittenAdapter | str:
    """The adapter of the innermost module that is a layer, or why there is none."""
    reasons = []
    for call in holders[:2]:
        block = MoEBlock(call.path, call.module, call.module, "")
        leaves, spec = pytree.tree_flatten((call.args, call.kwargs))
        shapes = tuple(getattr(leaf, "shape", leaf) for leaf in leaves)
        key = (*block.kind(), str(spec), shapes)
        if key not in known:
            with for_tiny_operations():
                known[key] = _try(call, experts)
        found = known[key]
        if not isinstance(found, str):
            written, place, recipe = found
            written = dataclasses.replace(written, path=call.path, block=call.module)
            return _adapter(written, place, recipe)
        reasons.append(found)
    return reasons[0]


def _adapter(written: Written, place: int, recipe: Recipe) -> WrittenAdapter:
    return WrittenAdapter(written, reading(written, place), recipe, written.dtype)


def _try(call: _Call, experts: int) -> tuple[Written, int, Recipe] | str:
    try:
        written = _write(call, experts)
        wide = written
        if written.dtype != torch.float32:
            wide = _write(_in_float(call), experts)
        place, recipe = match(written, wide)
        for one in dict.fromkeys((written, wide)):
            if not agrees(one, _Replaced(_adapter(one, place, recipe))):
                return "computes something else when its layer is replaced"
    except NotMatched as reason:
        return str(reason)
    return written, place, recipe


def _write(call: _Call, experts: int) -> Written:
    try:
        graph = WrittenOut.export(call.module, call.args, call.kwargs)
    except Exception as error:  # torch.export has no common base class
        first = str(error).strip().split("\n")[0]
        raise NotMatched(f"cannot be exported by itself: {first}") from error
    layer = find_layer(call.module, graph, experts)
    if isinstance(layer, str):
        raise NotMatched(layer)
    return Written(call.path, call.module, graph, layer, call.args, call.kwargs)


def _in_float(call: _Call) -> _Call:
    """The same call in f32, of a copy."""
    args, kwargs = pytree.tree_map(
        lambda v: v.float() if isinstance(v, Tensor) and v.is_floating_point() else v,
        (call.args, call.kwargs),
    )
    return _Call(call.path, copy.deepcopy(call.module).float(), args, kwargs)
