"""The parts of an MoE layer in the graph of a block: who chooses, and what is weighted.

Weights of experts are tensors ``[E, ...]``, or E tensors whose paths differ in one
number. Of those, ``down`` is the one that comes after all others. All paths from it to
the results lead through the layer's result; its experts' input is the last value ``[S,
T, H]`` in front of them that does not depend on the choice. What this finds are
candidates: numbers decide.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

from moe_mlir.torch.written_out import WrittenOut, is_choice

#: Products whose result may be logits, as operators name them.
PRODUCTS = ("linear", "matmul", "mm", "addmm", "einsum")


@dataclasses.dataclass(frozen=True)
class Stack:
    """One kind of weights of all experts.

    Attributes:
        paths: The one path of a tensor ``[E, ...]``, or the E paths in order.
        shape: ``[E, a, b]`` of matrices, ``[E, a]`` of biases.
    """

    paths: tuple[str, ...]
    shape: tuple[int, ...]

    def read(self, block: nn.Module) -> Tensor:
        """The stacked tensor."""
        values = [attribute_at(block, path) for path in self.paths]
        return values[0] if len(values) == 1 else torch.stack(values)


def attribute_at(module: nn.Module, path: str) -> Any:
    """The attribute of a dotted path."""
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value


def find_stacks(block: nn.Module, experts: int) -> list[Stack]:
    """All tensors that could be weights of ``experts`` experts."""
    shapes = {
        path: tuple(value.shape)
        for path, value in block.named_parameters()
        if value.is_floating_point()
    }
    found = [
        Stack((path,), shape)
        for path, shape in shapes.items()
        if len(shape) in (2, 3) and shape[0] == experts
    ]
    numbered: dict[tuple[str, str], dict[int, str]] = {}
    for path in shapes:
        for part in re.finditer(r"(?<![^.])\d+(?![^.])", path):
            key = (path[: part.start()], path[part.end() :])
            numbered.setdefault(key, {})[int(part[0])] = path
    for places in numbered.values():
        paths = tuple(places[i] for i in sorted(places))
        kinds = {shapes[path] for path in paths}
        if sorted(places) == list(range(experts)) and len(kinds) == 1:
            (shape,) = kinds
            if len(shape) in (1, 2):
                found.append(Stack(paths, (experts, *shape)))
    return found


@dataclasses.dataclass(frozen=True)
class Layer:
    """Candidates for the parts of a layer.

    Attributes:
        experts: E.
        matrices, biases: The stacks behind the choice; ``down`` is the last matrix.
        logits: Nodes ``[tokens, E]``, the first product first.
        product: The node whose result can be replaced to steer the choice.
        position: Its place among the products of that shape.
        hidden: Input of the experts, ``[tokens, H]`` or ``[S, T, H]``.
        sequences: The first node ``[S, T, H]`` in front of it, with the same tokens.
        choices: Nodes that choose.
        combined: The layer's result.
    """

    experts: int
    matrices: list[Stack]
    biases: list[Stack]
    logits: list[Node]
    product: Node
    position: int
    hidden: Node
    sequences: Node
    choices: list[Node]
    combined: Node


def size(value: Any) -> int:
    """A size of the example, which a dynamic dimension has as its hint."""
    return int(value.node.hint) if isinstance(value, torch.SymInt) else int(value)


def shape_of(node: Any) -> tuple[int, ...] | None:
    value = node.meta.get("val") if isinstance(node, Node) else None
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return None
    return tuple(map(size, value.shape))


def _name(node: Node) -> str:
    packet = getattr(node.target, "overloadpacket", node.target)
    return getattr(packet, "__name__", "")


def _after(graph: WrittenOut, sources: Iterable[Node]) -> set[Node]:
    """What depends on any of ``sources``, themselves included."""
    found = set(sources)
    for node in graph.nodes:
        if any(arg in found for arg in node.all_input_nodes):
            found.add(node)
    return found


def _before(nodes: Iterable[Node]) -> set[Node]:
    found: set[Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack += node.all_input_nodes
    return found


def find_layer(block: nn.Module, graph: WrittenOut, experts: int) -> Layer | str:
    """The parts of the layer with ``experts`` experts, or what is missing."""
    choices = [n for n in graph.nodes if _chooses(n, experts)]
    if not choices:
        return "does not choose among its experts in code that could be exported"
    before = _before(choices)
    by_path = {path: node for node, path in graph.weights.items()}
    stacks = [
        stack
        for stack in find_stacks(block, experts)
        if any(p in by_path and by_path[p].users for p in stack.paths)
        and not any(by_path.get(p) in before for p in stack.paths)
    ]
    matrices = [stack for stack in stacks if len(stack.shape) == 3]
    if len(matrices) not in (2, 3):
        return f"has {len(matrices)} weight matrices for each expert, not two or three"
    matrices = _last_at_end(graph, matrices, by_path)
    down = _nodes(matrices[-1], by_path)
    dependent = _after(graph, choices)
    logits = [
        node
        for node in graph.nodes
        if node in before
        and node not in dependent
        and (shape_of(node) or (0,))[-1] == experts
    ]
    products = [node for node in logits if _name(node) in PRODUCTS]
    if not products:
        return "computes its logits by no product of matrices"
    product = products[-1]
    tokens = math.prod(shape_of(product) or ()) // experts
    alike = [
        node
        for node in graph.nodes
        if _name(node) in PRODUCTS
        and (shape := shape_of(node))
        and shape[-1] == experts
        and math.prod(shape) == tokens * experts
    ]
    shown = _after(graph, [product])
    logits = [node for node in logits if node in shown]
    for width in dict.fromkeys(matrices[-1].shape[1:]):
        firsts = [n for stack in matrices[:-1] for n in _nodes(stack, by_path)]
        users = _before(u for n in firsts for u in n.users)
        inputs = [
            node
            for node in graph.nodes
            if node in users
            and node not in dependent
            and (shape := shape_of(node))
            and shape[-1] == width
            and math.prod(shape) == tokens * width
        ]
        before = _before(inputs)
        three = [
            n for n in graph.nodes if n in before and _rank_three(n, tokens, width)
        ]
        combined = _combined(graph, down, width, tokens, choices)
        if inputs and three and combined is not None:
            return Layer(
                experts,
                matrices,
                [stack for stack in stacks if len(stack.shape) == 2],
                logits,
                product,
                alike.index(product),
                inputs[-1],
                three[0],
                choices,
                combined,
            )
    return "has no value [S, T, H] that its experts read, or none that they give"


def _rank_three(node: Node, tokens: int, width: int) -> bool:
    shape = shape_of(node) or ()
    return len(shape) == 3 and math.prod(shape) == tokens * width


def _chooses(node: Node, experts: int) -> bool:
    if node.op != "call_function" or not node.args:
        return False
    shape = shape_of(node.args[0])
    if shape is None or shape[-1] != experts:
        return False
    args = (node.args[0].meta["val"], *node.args[1:])  # type: ignore[union-attr]
    return is_choice(_name(node), args, node.kwargs)


def _nodes(stack: Stack, by_path: dict[str, Node]) -> list[Node]:
    return [by_path[path] for path in stack.paths if path in by_path]


def _last_at_end(
    graph: WrittenOut, matrices: list[Stack], by_path: dict[str, Node]
) -> list[Stack]:
    """The matrices with the one last that is used behind all others."""
    reach = [_after(graph, _nodes(stack, by_path)) for stack in matrices]

    def behind(stack: Stack) -> int:
        products = _products_of({u for n in _nodes(stack, by_path) for u in n.users})
        return sum(any(node in other for node in products) for other in reach)

    return sorted(matrices, key=behind)


def _products_of(users: set[Node]) -> list[Node]:
    """The first products behind uses that may be views, stacks or slices."""
    found, seen, stack = [], set(users), list(users)
    while stack:
        node = stack.pop()
        if _name(node) in (*PRODUCTS, "bmm", "baddbmm", "mul", "_grouped_mm"):
            found.append(node)
            continue
        for user in node.users:
            if user not in seen:
                seen.add(user)
                stack.append(user)
    return found


def _combined(
    graph: WrittenOut,
    sources: list[Node],
    width: int,
    tokens: int,
    choices: list[Node],
) -> Node | None:
    """The first node ``[tokens, H]`` on all paths from ``sources`` to the results,

    behind which nothing depends on the choice in any other way.
    """
    region = _after(graph, sources)
    results = {n for n in graph.results if isinstance(n, Node) and n in region}
    region &= _before(results)
    place = {node: i for i, node in enumerate(graph.nodes)}

    def users(node: Node) -> list[int]:
        return [place[user] for user in node.users if user in region]

    # The farthest place to which a path from an earlier node leads directly.
    reach = max((place for node in sources for place in users(node)), default=0)
    for node in graph.nodes:
        if node not in region or node in sources:
            continue
        shape = shape_of(node)
        if place[node] >= reach and shape and shape[-1] == width:
            behind = graph.order(list(results), {node: []})
            if math.prod(shape) == tokens * width and not {*choices} & {*behind}:
                return node
        if node in results:
            break
        reach = max([reach, *users(node)])
    return None
