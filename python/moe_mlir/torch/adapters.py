"""Making MoE blocks of transformers call ``moe::route`` and ``moe::experts``.

A block of the library is ``_, weights, index = self.gate(h); self.experts(h, index,
weights)`` on tokens flattened to ``[S*T, H]``. While adapted, a hook on the block notes
S and T, the router returns the plan in place of the index, and the experts, reached
through the library's own registry of expert implementations, take it from there.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.torch import api
from moe_mlir.torch.plan import RoutePlan
from moe_mlir.torch.routers import KNOWN_ROUTERS, RouterSpec

#: Our entry in the library's registry of expert implementations.
EXPERTS_IMPLEMENTATION = "moe"


@dataclasses.dataclass(frozen=True)
class MoEBlock:
    """One MoE layer of a model.

    Attributes:
        path: Dotted path of the block in the imported module; "" for the module itself.
        block, router, experts: The modules.
    """

    path: str
    block: nn.Module
    router: nn.Module
    experts: nn.Module

    @property
    def name(self) -> str:
        """Layer name in the compiler."""
        return self.path or "moe"


@dataclasses.dataclass(frozen=True)
class _CarriedPlan:
    """Travels from router to experts in place of the index tensor.

    ``choice_bias`` was part of the keys by which the plan was chosen.
    """

    plan: RoutePlan
    sequences_tokens: tuple[Any, Any]
    choice_bias: Tensor | None


def find_blocks(module: nn.Module) -> list[MoEBlock]:
    """All MoE blocks whose experts use the library's registry.

    Raises:
        ImportRefused: A block has no router of its own that could be adapted.
    """
    modules = dict(module.named_modules())
    blocks = []
    for path, experts in modules.items():
        if not _uses_registry(experts):
            continue
        parent_path = path.rpartition(".")[0]
        block = modules[parent_path] if path else experts
        name = parent_path or "moe"
        _check_experts(name, experts)
        routers = [
            child
            for child in block.children()
            if child is not experts and _looks_like_router(child)
        ]
        if len(routers) != 1:
            children = ", ".join(
                f"{key}: {type(child).__name__}"
                for key, child in block.named_children()
            )
            raise ImportRefused(
                f"layer '{name}' ({type(block).__name__}) has {len(routers)} modules "
                f"that could be its router, expected one ({children}); supported "
                f"routers: {', '.join(KNOWN_ROUTERS)}"
            )
        blocks.append(MoEBlock(parent_path, block, routers[0], experts))
    return blocks


def _uses_registry(module: nn.Module) -> bool:
    return hasattr(type(module), "_apply_gate") and hasattr(module, "is_transposed")


def _looks_like_router(module: nn.Module) -> bool:
    name = type(module).__name__
    return name in KNOWN_ROUTERS or name.lower().endswith(("router", "gate"))


def _check_experts(layer: str, experts: Any) -> None:
    """Refuses expert features that have no adapter."""
    default_gate = type(experts)._apply_gate.__module__ == (
        "transformers.integrations.moe"
    )
    unsupported = {
        "experts without a gate projection": not experts.has_gate,
        "experts with biases": experts.has_bias,
        "transposed expert weights": experts.is_transposed,
        "interleaved gate and up weights": not experts.is_concatenated,
        "a norm after each expert": experts.has_post_expert_norm,
        "expert parallelism": experts._is_expert_parallel,
        "an activation of its own": not default_gate,
    }
    for what, present in unsupported.items():
        if present:
            raise ImportRefused(
                f"layer '{layer}': {type(experts).__name__} has {what}, which this "
                "importer does not support; write the layer with "
                "moe_mlir.torch.route and moe_mlir.torch.experts"
            )
    _activation(layer, experts)


_ACTIVATIONS = {
    "SiLU": "silu",
    "SiLUActivation": "silu",
    "GELU": "gelu",
    "GELUActivation": "gelu",
    "GELUTanh": "gelu_tanh",
    "PytorchGELUTanh": "gelu_tanh",
    "ReLU": "relu",
    "ReLUSquaredActivation": "relu2",
}


def _activation(layer: str, experts: Any) -> str:
    name = type(experts.act_fn).__name__
    if name not in _ACTIVATIONS:
        raise ImportRefused(
            f"layer '{layer}': expert activation {name} is not supported; supported: "
            f"{', '.join(sorted(_ACTIVATIONS))}"
        )
    return _ACTIVATIONS[name]


def _experts_forward(
    experts: Any, hidden: Tensor, carried: Any, weights: Tensor
) -> Tensor:
    """Entry of the registry: ``hidden [S*T, H]`` to ``[S*T, H]``."""
    if not isinstance(carried, _CarriedPlan):
        raise ImportRefused(
            f"experts_implementation='{EXPERTS_IMPLEMENTATION}' works only while "
            "moe_mlir.from_torch imports the model, and only if the block hands the "
            f"router's results straight to {type(experts).__name__}"
        )
    tokens = _split(_fresh(hidden), carried.sequences_tokens)
    y = api.experts(
        tokens,
        carried.plan._replace(gates=weights),
        gate_up=experts.gate_up_proj,
        down=experts.down_proj,
        activation=_activation("", experts),
    )
    return _fresh(y.flatten(0, 1))


def _split(value: Tensor, sequences_tokens: tuple[Any, Any]) -> Tensor:
    """``[S*T, ...]`` to ``[S, T, ...]``."""
    return value.reshape(*sequences_tokens, *value.shape[1:])


def _fresh(value: Tensor) -> Tensor:
    """A copy, for torch.export: it cannot undo a view that merges dynamic dimensions
    without a guard on strides that it then fails to prove. The import drops it again.
    """
    return value.clone(memory_format=torch.contiguous_format)


class _AdaptedRouter:
    """Stands in for the ``forward`` of one router."""

    def __init__(self, spec: RouterSpec, layer: str) -> None:
        self.spec = spec
        self.layer = layer
        self.sequences_tokens: tuple[Any, Any] | None = None

    def note_shape(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Forward pre-hook of the block: notes S and T of its input ``[S, T, H]``."""
        del module
        hidden = next(
            (v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None
        )
        if hidden is None or hidden.dim() != 3:
            shape = None if hidden is None else tuple(hidden.shape)
            raise ImportRefused(
                f"layer '{self.layer}': the block's input must be [S, T, H] so that "
                f"sequences stay apart, got {shape}"
            )
        self.sequences_tokens = (hidden.shape[0], hidden.shape[1])

    def __call__(self, hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            raise ImportRefused(
                f"layer '{self.layer}': the block gives its router more than the "
                "hidden states, which no adapter understands"
            )
        assert self.sequences_tokens is not None
        logits = self.spec.logits(hidden.flatten(0, -2))
        bias = self.spec.choice_bias() if self.spec.choice_bias else None
        plan = api.route(
            _split(logits, self.sequences_tokens),
            **self.spec.options,
            choice_bias=bias,
            layer=self.layer,
        )
        gates = plan.gates.to(logits.dtype) if self.spec.cast_gates else plan.gates
        return logits, gates, _CarriedPlan(plan, self.sequences_tokens, bias)


@contextlib.contextmanager
def adapted(block: MoEBlock, spec: RouterSpec) -> Iterator[None]:
    """The block calls our operators inside this context and is itself again after."""
    from transformers.integrations.moe import ExpertsInterface

    ExpertsInterface.register(EXPERTS_IMPLEMENTATION, _experts_forward)
    router = _AdaptedRouter(spec, block.name)
    with contextlib.ExitStack() as undo:
        hook = block.block.register_forward_pre_hook(
            router.note_shape, with_kwargs=True, prepend=True
        )
        undo.callback(hook.remove)
        undo.enter_context(_attribute(block.router, "forward", router))
        undo.enter_context(experts_run_as(block.experts, EXPERTS_IMPLEMENTATION))
        yield


class _ExpertsConfig:
    """A model's configuration with another implementation of the experts."""

    def __init__(self, config: Any, implementation: str) -> None:
        self._config = config
        self._experts_implementation = implementation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._config, name)


@contextlib.contextmanager
def experts_run_as(experts: nn.Module, implementation: str) -> Iterator[None]:
    """These experts alone use an entry of the library's registry.

    The registry looks it up in the configuration, which the whole model shares.
    """
    with _attribute(experts, "config", _ExpertsConfig(experts.config, implementation)):
        yield


@contextlib.contextmanager
def _attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
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
