"""Making MoE blocks of other libraries call ``moe::route`` and ``moe::experts``.

While a block is adapted, its own router runs as ever. A hook on the block notes S and
T, one on the module that shows the logits notes those, and the experts take a plan
that is made of them in place of the index and the weights that they are called with;
the code that computed those is then dead.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from moe_mlir.errors import MoEError
from moe_mlir.importing.imported import ImportRefused
from moe_mlir.torch import api
from moe_mlir.torch.blocks import (
    ExpertsCall,
    MoEBlock,
    attribute,
    plain_experts,
    read_call,
)
from moe_mlir.torch.dense import as_one_expert, takes_rows_only
from moe_mlir.torch.experts_recipes import (
    TOLERANCE,
    ExpertsRecipe,
    choose_experts,
    expert_count,
)
from moe_mlir.torch.matching import Match, choose_recipe, for_tiny_operations
from moe_mlir.torch.plan import RoutePlan
from moe_mlir.torch.probing import random_state


@dataclasses.dataclass(frozen=True)
class Adapter:
    """How one block is said in the compiler's words.

    Attributes:
        block: The block.
        experts: Recipe of its experts.
        match: Recipe of its router, or why that stays plain code.
    """

    block: MoEBlock
    experts: ExpertsRecipe
    match: Match

    @property
    def raised(self) -> bool:
        return self.match.recipe is not None

    @property
    def name(self) -> str:
        return self.block.name

    @property
    def reason(self) -> str:
        """What kept the router from being raised."""
        return self.match.reason

    def applied(
        self,
        options: dict[str, Any] | None = None,
        valid: Callable[[], Tensor | None] = lambda: None,
    ) -> contextlib.AbstractContextManager[None]:
        """See :func:`adapted`."""
        return adapted(self, options, valid)

    def report(self) -> dict[str, Any]:
        """The layer's entry in the import report."""
        entry = {
            "name": self.block.name,
            "status": "raised" if self.raised else "plain",
            "why": "equal to the original on random inputs",
            "block": type(self.block.block).__name__,
            "router": self.block.router_class(),
        }
        if self.match.recipe is None:
            return entry | {
                "why": "its router is ordinary code, which hands its choice to "
                f"plan_from_choice: {self.match.reason}"
            }
        return entry | {"recipe": str(self.match.recipe)}


def find_adapter(
    block: MoEBlock, known: dict[Any, Match] | None = None
) -> Adapter | str:
    """The adapter of a block, or why its experts cannot be adapted.

    Args:
        block: The block.
        known: What was found for other blocks, by what they are; extended. A block
            that is the same but for its weights is not tried again.
    """
    with for_tiny_operations():
        if expert_count(block.experts) is None:
            return "has weights of no known names and shapes"
        experts = choose_experts(block)
        if isinstance(experts, str):
            return experts
        found = known if known is not None else {}
        kind = block.kind()
        if kind in found:
            return Adapter(block, experts, found[kind])
        match = choose_recipe(block, experts)
        if takes_rows_only(block.experts) and not (match.recipe and match.dense_scores):
            return (
                "takes a row of every token, and the router is not known: "
                f"{match.reason}"
            )
        adapter = Adapter(block, experts, match)
        if match.recipe is None or not _differs(adapter):
            found[kind] = match
            return adapter
        return "is part of a block that computes something else when it is adapted"


def _differs(adapter: Adapter) -> bool:
    """Whether original and adapted block differ, as wholes, on random weights."""
    block = adapter.block
    shapes = {
        f"{block.inside}.{name}": shape
        for name, shape in adapter.experts.narrow.items()
    }
    state = random_state(block.block, torch.float32, 0, shapes)
    generator = torch.Generator().manual_seed(400)
    x = torch.randn(2, 6, adapter.match.width, generator=generator)
    with plain_experts(block.experts):
        want = _first(functional_call(block.block, state, (x,)))
    with adapted(adapter):
        have = _first(functional_call(block.block, state, (x,)))
    # The gates are rounded to the type of the model, the rest is not.
    tolerance, largest = TOLERANCE[adapter.match.gate_type], want.abs().max()
    return not bool((want - have).abs().max() <= tolerance * largest)


def _first(result: Any) -> Tensor:
    first: Tensor = result[0] if isinstance(result, tuple) else result
    return first


def find_adapters(blocks: list[MoEBlock]) -> tuple[list[Adapter], dict[str, str]]:
    """The adapters of blocks, and by path of other experts who they are and why not.

    Raises:
        ImportRefused: Experts that use the library's registry cannot be adapted.
    """
    adapters: list[Adapter] = []
    others: dict[str, str] = {}
    known: dict[Any, Match] = {}
    for block in blocks:
        if isinstance(vars(block.experts).get("forward"), _Adapted):
            raise ImportRefused(
                f"layer '{block.name}' is in the scope that moe_mlir.torch.set_scope "
                "gave it; set_scope(model, 'token') first, and choose the scope of "
                "the imported model by with_scope"
            )
        found = find_adapter(block, known)
        if isinstance(found, Adapter):
            adapters.append(found)
            continue
        reason = f"layer '{block.name}': {type(block.experts).__name__} {found}"
        if block.registered:
            raise ImportRefused(
                f"{reason}, which this importer does not support; write the layer "
                "with moe_mlir.torch.route and moe_mlir.torch.experts"
            )
        others[f"{block.path}.{block.inside}".lstrip(".")] = reason
    return adapters, others


def _split(value: Tensor, sequences_tokens: tuple[Any, Any]) -> Tensor:
    """``[S*T, ...]`` to ``[S, T, ...]``."""
    return value.reshape(*sequences_tokens, *value.shape[1:])


def _fresh(value: Tensor) -> Tensor:
    """A copy, for torch.export: it cannot undo a view that merges dynamic dimensions
    without a guard on strides that it then fails to prove. The import drops it again.
    """
    return value.clone(memory_format=torch.contiguous_format)


class _Adapted:
    """What stands in for the ``forward`` of a block's experts."""

    def __init__(
        self,
        adapter: Adapter,
        options: dict[str, Any],
        valid: Callable[[], Tensor | None],
    ) -> None:
        self.adapter, self.options, self.valid = adapter, options, valid
        self.name = adapter.block.name
        self.sequences_tokens: tuple[Any, Any] | None = None
        self.logits: Tensor | None = None

    def __deepcopy__(self, memo: Any) -> _Adapted:
        raise MoEError(
            "a model whose scope is set by moe_mlir.torch.set_scope cannot be copied: "
            "the copy would use the weights of the original; set_scope(model, "
            "'token') first, and set the scope of both afterwards"
        )

    def note_shape(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        """Forward pre-hook of the block: notes S and T of its input ``[S, T, H]``."""
        del module
        hidden = next(
            (v for v in (*args, *kwargs.values()) if isinstance(v, Tensor)), None
        )
        if hidden is None or hidden.dim() != 3:
            shape = None if hidden is None else tuple(hidden.shape)
            raise ImportRefused(
                f"layer '{self.name}': the block's input must be [S, T, H] so that "
                f"sequences stay apart, got {shape}"
            )
        self.sequences_tokens = (hidden.shape[0], hidden.shape[1])
        self.logits = None

    def note_logits(self, module: nn.Module, args: Any, result: Any) -> None:
        """Forward hook of the module that shows the router's logits."""
        del module, args
        recipe = self.adapter.match.recipe
        assert recipe is not None
        self.logits = recipe.source.read(result)

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        call = (
            read_call(args, kwargs, self.adapter.experts.count)
            if self.adapter.match.dense_scores is None
            else ExpertsCall(args[0], args[0], args[0])  # only the rows are read
        )
        if call is None or self.sequences_tokens is None:
            raise ImportRefused(
                f"layer '{self.name}': the block calls its experts otherwise than "
                "when it was tried"
            )
        tokens = call.hidden
        if tokens.dim() == 2:
            tokens = _split(_fresh(tokens), self.sequences_tokens)
        y = api.experts(
            tokens,
            self._plan(call.index, call.weights),
            **self.adapter.experts.weights(),
            **self.adapter.experts.options,
        )
        return y if call.hidden.dim() == 3 else _fresh(y.flatten(0, 1))

    def _plan(self, index: Tensor, weights: Tensor) -> RoutePlan:
        assert self.sequences_tokens is not None
        recipe = self.adapter.match.recipe
        if recipe is None:
            return api.plan_from_choice(
                _split(index, self.sequences_tokens),
                _split(weights, self.sequences_tokens),
                self.adapter.experts.count,
            )
        if self.logits is None:
            raise ImportRefused(
                f"layer '{self.name}': '{recipe.source.module}' did not run before "
                "the experts"
            )
        logits, self.logits = self.logits, None
        bias = _at(self.adapter.block.block, recipe.bias) if recipe.bias else None
        plan = api.route(
            _split(logits.flatten(0, -2), self.sequences_tokens),
            **recipe.options | self.options,
            choice_bias=bias.reshape(-1).float() if bias is not None else None,
            valid=self.valid(),
            layer=self.name,
        )
        return plan._replace(gates=plan.gates.to(self.adapter.match.gate_type))


def _at(module: nn.Module, path: str) -> Any:
    """The attribute of a dotted path."""
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value


@contextlib.contextmanager
def adapted(
    adapter: Adapter,
    options: dict[str, Any] | None = None,
    valid: Callable[[], Tensor | None] = lambda: None,
) -> Iterator[None]:
    """The block calls our operators inside this context and is itself again after.

    Args:
        adapter: Of the block.
        options: Options of :func:`moe_mlir.torch.route` that replace the recipe's.
        valid: Gives ``valid [S, T]`` for the call that is under way.
    """
    block = adapter.block
    ours = _Adapted(adapter, options or {}, valid)
    with contextlib.ExitStack() as undo:
        hook = block.block.register_forward_pre_hook(
            ours.note_shape, with_kwargs=True, prepend=True
        )
        undo.callback(hook.remove)
        if adapter.match.recipe is not None:
            shown = block.block.get_submodule(adapter.match.recipe.source.module)
            undo.callback(shown.register_forward_hook(ours.note_logits).remove)
        if adapter.match.dense_scores is not None:
            scores = adapter.match.dense_scores
            hook = block.block.get_submodule(scores.module).register_forward_hook(
                lambda module, args, result: as_one_expert(scores, result)
            )
            undo.callback(hook.remove)
        undo.enter_context(attribute(block.experts, "forward", ours))
        yield
