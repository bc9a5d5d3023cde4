"""Exporting a layer whose routing is written out in a module's own code.

Such code asks which tokens chose an expert: ``torch.where(chosen == e)``, ``if not
mask.any()``, ``counts.tolist()``. An export cannot answer, since it has no values. What
is looked for here is the structure alone, so every such question about a choice gets
one fixed answer, "the first row", and the graph is believed only after what was made of
it gave the same numbers as the code itself.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.export.graph_signature import InputKind
from torch.fx import Node
from torch.overrides import TorchFunctionMode

from moe_mlir.torch.blocks import attribute

#: Functions whose result is a choice, where they look along an axis of experts.
CHOICES = ("topk", "sort", "argsort", "max", "argmax", "kthvalue")


def is_choice(name: str, args: Any, kwargs: Any) -> bool:
    """Whether a call picks among the last dimension of a float tensor."""
    if name not in CHOICES or not args or not isinstance(args[0], Tensor):
        return False
    value = args[0]
    if not value.is_floating_point() or value.dim() < 2 or value.shape[-1] < 2:
        return False
    place = {"topk": 2, "kthvalue": 2}.get(name, 1)
    dim = kwargs.get("dim", args[place] if len(args) > place else None)
    if dim is None:
        return name not in ("max", "argmax")
    return dim in (-1, value.dim() - 1)


class _FirstRow(TorchFunctionMode):
    """Answers what depends on a choice by fixed values of fixed shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen: dict[int, Tensor] = {}

    def _depends(self, tree: Any) -> bool:
        return any(
            isinstance(leaf, Tensor) and id(leaf) in self.chosen
            for leaf in pytree.tree_leaves(tree)
        )

    def _note(self, tree: Any) -> None:
        for leaf in pytree.tree_leaves(tree):
            if isinstance(leaf, Tensor):
                self.chosen[id(leaf)] = leaf

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        depends = self._depends((args, kwargs))
        if not depends and not is_choice(name, args, kwargs):
            return func(*args, **kwargs)
        if depends and name in _ANSWERS:
            result = _ANSWERS[name](*args, **kwargs)
        elif depends and name in ("__getitem__", "__setitem__"):
            result = func(args[0], _first_of_masks(args[1]), *args[2:])
        else:
            result = func(*args, **kwargs)
        self._note(result)
        if name.endswith("_") and args and not name.endswith("like_"):
            self._note(args[0])  # written in place
        return result


def _row(like: Tensor, *shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64, device=like.device)


def _first_of_masks(index: Any) -> Any:
    """An index without masks: each becomes the first place of its dimensions."""
    parts = index if isinstance(index, tuple) else (index,)
    if not any(isinstance(p, Tensor) and p.dtype == torch.bool for p in parts):
        return index
    found: list[Any] = []
    for part in parts:
        if isinstance(part, Tensor) and part.dtype == torch.bool:
            found += [_row(part, 1) for _ in range(part.dim())]
        else:
            found.append(part)
    return tuple(found)


def _where(condition: Tensor, *values: Any, **kwargs: Any) -> Any:
    if values or kwargs:
        return torch.where(condition, *values, **kwargs)
    return _nonzero(condition, as_tuple=True)


def _nonzero(value: Tensor, as_tuple: bool = False, **kwargs: Any) -> Any:
    if as_tuple:
        return tuple(_row(value, 1) for _ in range(value.dim()))
    return _row(value, 1, value.dim())


def _bincount(value: Tensor, weights: Any = None, minlength: int = 0) -> Tensor:
    return _row(value, max(minlength, 1)) + 1


def _list(value: Tensor) -> Any:
    ones: Any = 1
    for size in reversed([int(size) for size in value.shape]):
        ones = [ones] * size
    return ones


def _numpy(value: Tensor, **kwargs: Any) -> Any:
    import numpy

    return numpy.ones([int(size) for size in value.shape], numpy.int64)


def _repeat(value: Tensor, repeats: Any, dim: Any = None, **kwargs: Any) -> Tensor:
    if isinstance(repeats, Tensor):
        return value.clone()
    return value.repeat_interleave(repeats, dim)


def _split(value: Tensor, sizes: Any, dim: int = 0) -> Any:
    if isinstance(sizes, int):
        return torch.functional.split(value, sizes, dim)
    return [value.narrow(dim, 0, size) for size in sizes]


_ANSWERS: dict[str, Callable[..., Any]] = {
    "where": _where,
    "nonzero": _nonzero,
    "argwhere": _nonzero,
    "bincount": _bincount,
    "unique": lambda value, *args, **kwargs: _row(value, 1),
    "_unique2": lambda value, *args, **kwargs: _row(value, 1),
    "masked_select": lambda value, mask: value[(_row(value, 1),) * value.dim()],
    "repeat_interleave": _repeat,
    "split": _split,
    "tolist": _list,
    "numpy": _numpy,
    "item": lambda value: 1,
    "__int__": lambda value: 1,
    "__index__": lambda value: 1,
    "__float__": lambda value: 1.0,
    "__bool__": lambda value: True,
    "any": lambda value, *args, **kwargs: torch.any(value, *args, **kwargs),
}


@contextlib.contextmanager
def _first_rows(block: nn.Module) -> Iterator[None]:
    original = block.forward

    @functools.wraps(original)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with _FirstRow():
            return original(*args, **kwargs)

    with attribute(block, "forward", forward):
        yield


class WrittenOut:
    """The graph of a block, runnable in pieces.

    Attributes:
        nodes: In order.
        inputs: The placeholders of the block's own inputs, by their place among the
            flattened ones.
        weights: Path in the block of each placeholder that is a parameter or buffer.
        results: The nodes, or constants, of the flattened results.
    """

    def __init__(self, program: ExportedProgram) -> None:
        self.spec = program.call_spec
        self.nodes: list[Node] = list(program.graph.nodes)
        by_name = {n.name: n for n in self.nodes if n.op == "placeholder"}
        self.inputs: list[Node | Any] = []
        self.weights: dict[Node, str] = {}
        self.constants: dict[Node, Any] = {}
        for spec in program.graph_signature.input_specs:
            name = getattr(spec.arg, "name", "")
            node = by_name[name]
            if spec.kind is InputKind.USER_INPUT:
                self.inputs.append(node)
            elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
                self.weights[node] = str(spec.target)
            else:
                self.constants[node] = program.constants[str(spec.target)]
        (output,) = (node for node in self.nodes if node.op == "output")
        # Buffers that are written come first; nothing of theirs is kept.
        count = program.call_spec.out_spec.num_leaves
        given: Any = output.args[0]
        self.results: list[Any] = list(given)[-count:] if count else []

    @staticmethod
    def export(block: nn.Module, args: Any, kwargs: Any) -> WrittenOut:
        """The graph of ``block(*args, **kwargs)``, its sizes dynamic where they can be.

        Raises:
            Exception: Whatever torch.export raises.
        """
        bound = inspect.signature(block.forward).bind(*args, **kwargs).arguments
        shapes = pytree.tree_map(
            lambda v: (
                dict.fromkeys(range(v.dim()), Dim.AUTO)
                if isinstance(v, Tensor)
                else None
            ),
            dict(bound),
        )
        with _first_rows(block), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                block, tuple(args), dict(kwargs), dynamic_shapes=shapes, strict=False
            )
            # Without operators that write in place, otherwise as it is.
            return WrittenOut(program.run_decompositions({}))

    def order(self, wanted: list[Any], cuts: dict[Node, list[Node]]) -> list[Node]:
        """The calls that give ``wanted``, where each cut needs only its own inputs."""
        needed: set[Node] = set()
        stack = [node for node in wanted if isinstance(node, Node)]
        while stack:
            node = stack.pop()
            if node not in needed:
                needed.add(node)
                stack += cuts.get(node, node.all_input_nodes)
        return [n for n in self.nodes if n in needed and n.op == "call_function"]

    def bind(self, weight: Callable[[str], Any], flat: list[Any]) -> dict[Node, Any]:
        """Values of the placeholders: weights by path, and inputs."""
        values = dict(zip(self.inputs, flat, strict=True))
        values |= {node: weight(path) for node, path in self.weights.items()}
        return values | self.constants

    @staticmethod
    def run(
        order: list[Node],
        values: dict[Node, Any],
        replaced: dict[Node, Callable[[dict[Node, Any]], Any]],
    ) -> dict[Node, Any]:
        """Runs calls in order; ``replaced`` ones are functions of the values so far."""
        for node in order:
            if node in replaced:
                values[node] = replaced[node](values)
                continue
            args, kwargs = torch.fx.node.map_arg(
                (node.args, node.kwargs), lambda n: values[n]
            )
            values[node] = node.target(*args, **kwargs)  # type: ignore[operator]
        return values
