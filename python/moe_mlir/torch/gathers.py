"""Gathers of a few values by indices that are known to be inside."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

_aten = torch.ops.aten

#: Comparing with every index costs this often the work of reading one.
_MOST = 1024
_INDICES = (_aten.topk.default, _aten.max.dim, _aten.sort.default)


def gather_by_comparison(program: ExportedProgram) -> None:
    """``gather(x, -1, index)`` becomes ``sum(where(index == arange, x, 0))``.

    Done where the index is a result of topk, max, argmax or sort along an axis as long
    as that of ``x``, so that it is inside. torch-mlir guards a gather by an assertion,
    which compiled code cannot have, because it would end the process.
    """
    for node in list(program.graph.nodes):
        if node.target is not _aten.gather.default:
            continue
        source, dim, index = node.args[:3]
        shape = list(source.meta["val"].shape)
        size = shape[-1]
        along_last = dim in (-1, len(shape) - 1)
        if not along_last or not isinstance(size, int) or size > _MOST:
            continue
        if _is_inside(index, size):
            node.replace_all_uses_with(_compared(program, node, source, index, size))


def _is_inside(index: Node, size: int) -> bool:
    """Whether ``index`` holds positions on an axis of ``size`` elements, its last."""
    origin: Any = index
    if index.target is _aten.argmax.default:
        dim = index.args[1] if len(index.args) > 1 else None
    else:
        origin = index.args[0] if str(index.target).endswith("getitem>") else None
        if getattr(origin, "target", None) not in _INDICES or index.args[1] != 1:
            return False
        place = 2 if origin.target is _aten.topk.default else 1
        dim = origin.args[place] if len(origin.args) > place else -1
    shape = origin.args[0].meta["val"].shape
    return dim in (-1, len(shape) - 1) and shape[-1] == size


def _compared(
    program: ExportedProgram, node: Node, source: Node, index: Node, size: int
) -> Node:
    def call(target: Any, *args: Any, **kwargs: Any) -> Node:
        new: Node = program.graph.call_function(target, args, kwargs)
        given = [a.meta["val"] if isinstance(a, Node) else a for a in args]
        with source.meta["val"].fake_mode:
            new.meta["val"] = target(*given, **kwargs)
        return new

    dtype = source.meta["val"].dtype
    rank = len(source.meta["val"].shape)
    with program.graph.inserting_before(node):
        places = call(_aten.arange.start_step, 0, size, 1, dtype=torch.int64)
        hit = call(_aten.eq.Tensor, call(_aten.unsqueeze.default, index, rank), places)
        zero = call(_aten.full.default, [], 0.0, dtype=dtype)
        values = call(_aten.unsqueeze.default, source, rank - 1)
        picked = call(_aten.where.self, hit, values, zero)
        return call(_aten.sum.dim_IntList, picked, [rank])
