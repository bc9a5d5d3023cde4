"""Making layers whose routing is written out call ``moe::route`` and ``moe::experts``.

The module's ``forward`` is replaced by its graph, in which the layer's result comes
from our operators; what led to it before is then not run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn

from moe_mlir.errors import MoEError
from moe_mlir.importing.imported import ImportRefused
from moe_mlir.torch import api
from moe_mlir.torch.blocks import attribute
from moe_mlir.torch.experts_recipes import ExpertsRecipe
from moe_mlir.torch.recipes import Recipe
from moe_mlir.torch.written_gates import Written
from moe_mlir.torch.written_layer import attribute_at


@dataclasses.dataclass(frozen=True)
class WrittenAdapter:
    """How a module with a written-out layer is said in the compiler's words."""

    written: Written
    experts: ExpertsRecipe
    recipe: Recipe
    gate_type: torch.dtype

    raised = True
    reason = ""

    @property
    def name(self) -> str:
        return self.written.path or "moe"

    def report(self) -> dict[str, Any]:
        """The layer's entry in the import report."""
        return {
            "name": self.name,
            "status": "raised",
            "why": "its graph has the form of a layer, and is equal to the original "
            "on random inputs",
            "block": type(self.written.block).__name__,
            "router": type(self.written.block).__name__,
            "recipe": str(self.recipe),
        }

    @contextlib.contextmanager
    def applied(
        self,
        options: dict[str, Any] | None = None,
        valid: Callable[[], Tensor | None] = lambda: None,
    ) -> Iterator[None]:
        """The block calls our operators inside this context and is itself again after.

        Args:
            options: Options of :func:`moe_mlir.torch.route` that replace the recipe's.
            valid: Gives ``valid [S, T]`` for the call that is under way.
        """
        block = self.written.block
        ours = Forward(self, options or {}, valid)

        @functools.wraps(block.forward)  # torch.export wants a function
        def forward(*args: Any, **kwargs: Any) -> Any:
            return ours(*args, **kwargs)

        with attribute(block, MARK, ours), attribute(block, "forward", forward):
            yield


#: The attribute of a block that tells that its ``forward`` is replaced.
MARK = "_moe_mlir_written"


class Forward:
    """What stands in for the ``forward`` of a block."""

    def __init__(
        self,
        adapter: WrittenAdapter,
        options: dict[str, Any],
        valid: Callable[[], Tensor | None],
    ) -> None:
        self.adapter, self.options, self.valid = adapter, options, valid
        self.graph, self.layer = adapter.written.graph, adapter.written.layer
        source = adapter.recipe.source.module
        self.logits = next(n for n in self.layer.logits if n.name == source)

    def __deepcopy__(self, memo: Any) -> Forward:
        raise MoEError(
            "a model whose scope is set by moe_mlir.torch.set_scope cannot be copied: "
            "the copy would use the weights of the original; set_scope(model, "
            "'token') first, and set the scope of both afterwards"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        block, name = self.adapter.written.block, self.adapter.name
        if block.training and any(
            isinstance(m, nn.Dropout) and m.p > 0 for m in block.modules()
        ):
            raise MoEError(
                f"layer '{name}': its code was exported in evaluation mode, without "
                "dropout; set p to 0 in the block, or call .eval()"
            )
        flat, spec = pytree.tree_flatten((args, kwargs))
        if spec != self.graph.spec.in_spec:
            raise ImportRefused(
                f"layer '{name}': the block is called otherwise than when it was tried"
            )
        return self.run(lambda path: attribute_at(block, path), flat)

    def run(self, weight: Callable[[str], Any], flat: list[Any]) -> Any:
        """The block's results on flattened inputs, with weights by path."""
        graph, layer = self.graph, self.layer
        cut = layer.combined
        cuts = {cut: [layer.hidden, layer.sequences, self.logits]}
        values = graph.bind(weight, flat)
        graph.run(
            graph.order(graph.results, cuts),
            values,
            {cut: functools.partial(self._combine, weight)},
        )
        results = [
            values[leaf] if isinstance(leaf, torch.fx.Node) else leaf
            for leaf in graph.results
        ]
        return pytree.tree_unflatten(results, graph.spec.out_spec)

    def _combine(self, weight: Callable[[str], Any], values: dict[Any, Any]) -> Tensor:
        """The layer's result in the shape and type that the graph has for it."""
        adapter, layer = self.adapter, self.layer
        sequences = values[layer.sequences].shape[:2]
        hidden, logits = values[layer.hidden], values[self.logits]
        recipe = adapter.recipe
        bias = None if recipe.bias is None else weight(recipe.bias)
        plan = api.route(
            _split(logits, sequences),
            **recipe.options | self.options,
            choice_bias=bias.reshape(-1).float() if bias is not None else None,
            valid=self.valid(),
            layer=adapter.name,
        )
        y = api.experts(
            _split(hidden, sequences),
            plan._replace(gates=plan.gates.to(adapter.gate_type)),
            **adapter.experts.weights(),
            **adapter.experts.options,
        )
        old = layer.combined.meta["val"]
        if old.dim() == 2:
            y = y.flatten(0, 1).clone(memory_format=torch.contiguous_format)
        return y.to(old.dtype)


def _split(value: Tensor, sequences: Any) -> Tensor:
    """``[tokens, ...]`` to ``[S, T, ...]``; a fresh copy for torch.export."""
    if value.dim() == 3 and str(value.shape[:2]) == str(sequences):
        return value
    value = value.clone(memory_format=torch.contiguous_format)
    return value.reshape(*sequences, value.shape[-1])
