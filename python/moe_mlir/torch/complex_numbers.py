"""Complex numbers as pairs of real ones, for rotations that are written with them.

Torch-MLIR has no complex tensors. What models do with them, rotary embeddings, is made
of few operators; a program with others is left alone and refused by name afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

_aten = torch.ops.aten

#: Operators on shapes, which do the same to both parts.
_BOTH = (
    _aten.unsqueeze.default,
    _aten.squeeze.dim,
    _aten.view.default,
    _aten.reshape.default,
    _aten.expand.default,
    _aten.slice.Tensor,
    _aten.select.int,
    _aten.transpose.int,
    _aten.permute.default,
    _aten.index.Tensor,
    _aten.clone.default,
    _aten.alias.default,
    _aten.detach.default,
    _aten.neg.default,
)

_Pair = tuple[Node, Node]


def is_complex(node: Any) -> bool:
    """Whether a node's value is a complex tensor."""
    value = node.meta.get("val") if isinstance(node, Node) else None
    return isinstance(value, torch.Tensor) and value.is_complex()


class _Rewrite:
    def __init__(self, program: ExportedProgram) -> None:
        self.program, self.graph = program, program.graph
        self.pairs: dict[Node, _Pair] = {}

    def call(self, target: Any, *args: Any) -> Node:
        """A new call, with the value that later rewrites and the import read."""
        new: Node = self.graph.call_function(target, args)
        values = torch.fx.node.map_arg(args, lambda n: n.meta["val"])
        first = next(
            v
            for v in torch.utils._pytree.tree_leaves(values)
            if hasattr(v, "fake_mode")
        )
        with first.fake_mode:
            new.meta["val"] = target(*values)
        return new

    def split(self, node: Node) -> _Pair | None:
        """Real and imaginary part of a complex node, or None for unknown operators."""
        args: Any = node.args
        if node.kwargs:
            return None
        if node.target is _aten.polar.default:
            size, angle = args
            cos, sin = (
                self.call(f, angle) for f in (_aten.cos.default, _aten.sin.default)
            )
            return self.call(_aten.mul.Tensor, size, cos), self.call(
                _aten.mul.Tensor, size, sin
            )
        if node.target is _aten.complex.default:
            re, im = args
            return re, im
        if node.target is _aten.view_as_complex.default:
            last = len(args[0].meta["val"].shape) - 1
            parts = [self.call(_aten.select.int, args[0], last, i) for i in (0, 1)]
            return parts[0], parts[1]
        if node.target in _BOTH:
            re, im = self.pairs[args[0]]
            return self.call(node.target, re, *args[1:]), self.call(
                node.target, im, *args[1:]
            )
        if node.target in (_aten.conj.default, _aten._conj.default):
            re, im = self.pairs[args[0]]
            return re, self.call(_aten.neg.default, im)
        if node.target is _aten.mul.Tensor:
            return self.product(*args)
        if node.target in (_aten.add.Tensor, _aten.sub.Tensor) and len(args) == 2:
            if all(map(is_complex, args)):
                both = zip(self.pairs[args[0]], self.pairs[args[1]], strict=True)
                re, im = (self.call(node.target, a, b) for a, b in both)
                return re, im
        return None

    def product(self, a: Any, b: Any) -> _Pair | None:
        if not is_complex(a):
            a, b = b, a
        re, im = self.pairs[a]
        if isinstance(b, complex):
            return None

        def mul(x: Node, y: Any) -> Node:
            return self.call(_aten.mul.Tensor, x, y)

        if not is_complex(b):
            return mul(re, b), mul(im, b)
        other_re, other_im = self.pairs[b]
        return (
            self.call(_aten.sub.Tensor, mul(re, other_re), mul(im, other_im)),
            self.call(_aten.add.Tensor, mul(re, other_im), mul(im, other_re)),
        )

    def real(self, node: Node) -> Node | None:
        """A real node made of complex ones, as one of their parts."""
        re, im = self.pairs[node.args[0]]  # type: ignore[index]
        if node.target is _aten.view_as_real.default:
            last = len(node.meta["val"].shape) - 1
            parts = [self.call(_aten.unsqueeze.default, one, last) for one in (re, im)]
            return self.call(_aten.cat.default, parts, last)
        if node.target is _aten.real.default:
            return re
        return im if node.target is _aten.imag.default else None


def pairs_for_complex(program: ExportedProgram) -> None:
    """Rewrites all complex values of a program, or none of them."""
    graph = program.graph
    if not any(map(is_complex, graph.nodes)):
        return
    rewrite, replaced = _Rewrite(program), dict[Node, Node]()
    before = list(graph.nodes)
    for node in before:
        if node.target is _aten._assert_tensor_metadata.default:
            continue
        takes = any(map(is_complex, node.all_input_nodes))
        if not takes and not is_complex(node):
            continue
        make: Callable[[Node], Any] = (
            rewrite.split if is_complex(node) else rewrite.real
        )
        with graph.inserting_before(node):
            found = make(node) if node.op == "call_function" else None
        if found is None:
            for new in reversed([n for n in graph.nodes if n not in {*before}]):
                graph.erase_node(new)
            return
        if is_complex(node):
            rewrite.pairs[node] = found
        else:
            replaced[node] = found
    for node, new in replaced.items():
        node.replace_all_uses_with(new)
    for node in reversed(before):
        if is_complex(node) or node in replaced:
            for user in list(node.users):
                graph.erase_node(user)  # an assertion about its type
            graph.erase_node(node)
