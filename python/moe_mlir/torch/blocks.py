"""Finding the MoE blocks of a model, and reading what a block hands its experts."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import types
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class MoEBlock:
    """One MoE layer of a model.

    Attributes:
        path: Dotted path of the block in the imported module; "" for the module itself.
        block, experts: The modules.
        inside: Path of the experts in the block.
    """

    path: str
    block: nn.Module
    experts: nn.Module
    inside: str

    @property
    def name(self) -> str:
        """Layer name in the compiler."""
        return self.path or "moe"

    @property
    def registered(self) -> bool:
        """Whether the experts use the library's registry of implementations."""
        return uses_registry(self.experts)

    def outside(self) -> Iterator[tuple[str, nn.Module]]:
        """The modules below the block that are not part of its experts, by path."""
        for path, module in self.block.named_modules():
            if path and f"{path}.".startswith(f"{self.inside}."):
                continue
            if path:
                yield path, module

    def kind(self) -> tuple[Any, ...]:
        """Equal for blocks that differ in the values of their weights alone.

        Their modules are of the same classes, with the same numbers, words and
        functions as attributes, one configuration, and tensors of the same types.
        """
        found: list[Any] = []
        for path, module in self.block.named_modules():
            for name, value in sorted(vars(module).items()):
                if isinstance(value, int | float | str | None) and name != "layer_idx":
                    found.append((path, name, value))
                elif name == "config" or isinstance(value, types.FunctionType):
                    found.append((path, name, id(value)))
            tensors = (
                *module.named_parameters(recurse=False),
                *module.named_buffers(recurse=False),
            )
            found.append((path, type(module)))
            found += [(path, n, tuple(t.shape), t.dtype) for n, t in tensors]
        return tuple(found)

    def router_class(self) -> str:
        """For reports: the class of the module that is called router or gate."""
        for path, module in self.outside():
            if re.search(r"(router|gate)$", path.lower()):
                return type(module).__name__
        return type(self.block).__name__


def uses_registry(module: nn.Module) -> bool:
    """Whether ``@use_experts_implementation`` of transformers decorates its class."""
    return hasattr(type(module), "_apply_gate") and hasattr(module, "is_transposed")


def find_blocks(module: nn.Module) -> list[MoEBlock]:
    """All blocks with experts: those of the registry, and those that look like some."""
    modules = dict(module.named_modules())
    found: list[str] = []
    for path, child in modules.items():
        if not path or any(path.startswith(f"{outer}.") for outer in found):
            continue
        if uses_registry(child) or re.search(r"Experts\d*$", type(child).__name__):
            found.append(path)
    blocks = []
    for path in found:
        parent, _, inside = path.rpartition(".")
        blocks.append(MoEBlock(parent, modules[parent], modules[path], inside))
    return blocks


@dataclasses.dataclass(frozen=True)
class ExpertsCall:
    """What experts were called with.

    Attributes:
        hidden: Rows of tokens, ``[..., H]``.
        index: ``[tokens, K]``; an index that is no expert stands for "none".
        weights: ``[tokens, K]``.
    """

    hidden: Tensor
    index: Tensor
    weights: Tensor

    def detached(self) -> ExpertsCall:
        """Copies that nothing else writes."""
        values = (self.hidden, self.index, self.weights)
        return ExpertsCall(*(value.detach().clone() for value in values))


def read_call(args: Any, kwargs: Any, experts: int) -> ExpertsCall | None:
    """The call of experts in one form, or None where it is of no known form.

    Known are ``(hidden, index [tokens, K], weights [tokens, K])`` in any order of the
    last two, and masks ``[tokens, K, E]`` of zeros and ones in place of the index.
    """
    given = [v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)]
    if len(given) != 3 or not given[0].is_floating_point():
        return None
    hidden, *rest = given
    index = [v for v in rest if not v.is_floating_point() and v.dtype != torch.bool]
    weights = [v for v in rest if v.is_floating_point()]
    if len(index) != 1 or len(weights) != 1:
        return None
    if index[0].dim() == 3 and index[0].shape[-1] == experts:
        mask = index[0]
        number = torch.arange(experts, dtype=mask.dtype, device=mask.device)
        # A row of zeros, which no expert has room for, gets the number E.
        index = [(mask * (number - experts)).sum(-1) + experts]
    if index[0].dim() != 2 or index[0].shape != weights[0].shape:
        return None
    return ExpertsCall(hidden, index[0], weights[0])


class _ExpertsConfig:
    """A model's configuration with another implementation of the experts."""

    def __init__(self, config: Any, implementation: str) -> None:
        self._config = config
        self._experts_implementation = implementation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._config, name)


@contextlib.contextmanager
def plain_experts(experts: nn.Module) -> Iterator[None]:
    """These experts run their class's own code, whatever the registry says.

    The registry looks it up in the configuration, which the whole model shares.
    """
    if not uses_registry(experts):
        yield
        return
    with attribute(experts, "config", _ExpertsConfig(experts.config, "eager")):
        yield


@contextlib.contextmanager
def attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Sets an instance attribute and restores exactly what was there."""
    missing = object()
    before = vars(owner).get(name, missing)
    object.__setattr__(owner, name, value)
    try:
        yield
    finally:
        if before is missing:
            object.__delattr__(owner, name)
        else:
            object.__setattr__(owner, name, before)


@contextlib.contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """``module.eval()``, undone afterwards for each sub-module."""
    training = [m for m in module.modules() if m.training]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m in training:
            m.training = True
