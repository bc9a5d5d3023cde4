"""Rules of operations that move and sum elements."""

from __future__ import annotations

from typing import Any

from jaxlib.mlir.dialects import chlo, stablehlo

from moe_mlir.jax.matching.counts import counted, group
from moe_mlir.jax.matching.elements import (
    Elements,
    Index,
    NotUnderstood,
    integers,
    region_of,
    rule,
    shape,
    splat,
)
from moe_mlir.jax.matching.sums import largest, total
from moe_mlir.jax.matching.terms import (
    Term,
    atom,
    bounds,
    call,
    integer,
    plus,
    quotient,
    remainder,
    times,
    variable,
)


@rule("stablehlo.reshape")
def _reshape(e: Elements, op: Any, result: int, index: Index) -> Term:
    flat = integer(0)
    for size, one in zip(shape(op.results[0]), index, strict=True):
        flat = plus(times(flat, size), one)
    inner: list[Term] = []
    for size in reversed(shape(op.operands[0])):
        inner.append(remainder(flat, size) if size > 1 else integer(0))
        flat = quotient(flat, size) if size > 1 else flat
    return e.at(op.operands[0], inner[::-1])


@rule("stablehlo.broadcast_in_dim")
def _broadcast(e: Elements, op: Any, result: int, index: Index) -> Term:
    sizes = shape(op.operands[0])
    dimensions = integers(op, "broadcast_dimensions")
    inner = [
        integer(0) if size == 1 else index[dimension]
        for size, dimension in zip(sizes, dimensions, strict=True)
    ]
    return e.at(op.operands[0], inner)


@rule("stablehlo.transpose")
def _transpose(e: Elements, op: Any, result: int, index: Index) -> Term:
    inner: list[Term] = [integer(0)] * len(index)
    for to, dimension in enumerate(integers(op, "permutation")):
        inner[dimension] = index[to]
    return e.at(op.operands[0], inner)


@rule("stablehlo.slice")
def _slice(e: Elements, op: Any, result: int, index: Index) -> Term:
    starts, strides = integers(op, "start_indices"), integers(op, "strides")
    inner = [
        plus(integer(start), one, stride)
        for start, one, stride in zip(starts, index, strides, strict=True)
    ]
    return e.at(op.operands[0], inner)


@rule("stablehlo.concatenate")
def _concatenate(e: Elements, op: Any, result: int, index: Index) -> Term:
    dimension = op.attributes["dimension"].value
    low, high = bounds(index[dimension])
    begin = 0
    for operand in op.operands:
        size = shape(operand)[dimension]
        if begin <= low and high < begin + size:
            inner = list(index)
            inner[dimension] = plus(index[dimension], integer(-begin))
            return e.at(operand, inner)
        begin += size
    raise NotUnderstood("an index may be in several of the parts", op)


@rule("stablehlo.iota")
def _iota(e: Elements, op: Any, result: int, index: Index) -> Term:
    dimension: int = op.attributes["iota_dimension"].value
    return index[dimension]


_NEUTRAL = {
    "stablehlo.add": 0.0,
    "stablehlo.maximum": float("-inf"),
    "stablehlo.and": 1.0,
}


@rule("stablehlo.reduce")
def _reduce(e: Elements, op: Any, result: int, index: Index) -> Term:
    how = region_of(op)
    if how not in _NEUTRAL or len(op.results) != 1:
        raise NotUnderstood("a reduction that is no sum or maximum", op)
    if splat(op.operands[1]) != _NEUTRAL[how]:
        raise NotUnderstood("it starts from something", op)
    dimensions = sorted(integers(op, "dimensions"))
    inner, summed = list(index), []
    for dimension in dimensions:
        size = shape(op.operands[0])[dimension]
        summed.append(e.sum_index(op.results[0], dimension, size))
        inner.insert(dimension, summed[-1])
    body = e.at(op.operands[0], inner)
    if how == "stablehlo.and":
        if body.free & {v for one in summed for v in one.free}:
            raise NotUnderstood("it looks at several elements", op)
        return body
    for one in reversed(summed):
        body = (total if how == "stablehlo.add" else largest)(one, body)
    return body


@rule("stablehlo.dot_general")
def _dot_general(e: Elements, op: Any, result: int, index: Index) -> Term:
    numbers = stablehlo.DotDimensionNumbers(op.attributes["dot_dimension_numbers"])
    return _contract(
        e,
        op,
        index,
        list(numbers.lhs_batching_dimensions),
        list(numbers.rhs_batching_dimensions),
        list(numbers.lhs_contracting_dimensions),
        list(numbers.rhs_contracting_dimensions),
    )


def _contract(
    e: Elements,
    op: Any,
    index: Index,
    left_batch: list[int],
    right_batch: list[int],
    left_summed: list[int],
    right_summed: list[int],
    fixed: dict[int, Term] | None = None,
) -> Term:
    """A product; ``fixed`` are indices of the right operand that are given."""
    left, right = op.operands[0], op.operands[1]
    at_left: dict[int, Term] = {}
    at_right: dict[int, Term] = dict(fixed or {})
    summed = []
    for i, (one, other) in enumerate(zip(left_summed, right_summed, strict=True)):
        summed.append(e.sum_index(op.results[0], i, shape(left)[one]))
        at_left[one] = at_right[other] = summed[-1]
    rest = list(index)
    for one, other in zip(left_batch, right_batch, strict=True):
        at_left[one] = at_right[other] = rest.pop(0)
    for places, value in ((at_left, left), (at_right, right)):
        for dimension in range(value.type.rank):
            if dimension not in places:
                places[dimension] = rest.pop(0)
    body = call(
        "multiply",
        e.at(left, [at_left[i] for i in range(left.type.rank)]),
        e.at(right, [at_right[i] for i in range(right.type.rank)]),
    )
    for index_ in reversed(summed):
        body = total(index_, body)
    return body


@rule("chlo.ragged_dot")
def _ragged_dot(e: Elements, op: Any, result: int, index: Index) -> Term:
    numbers = chlo.RaggedDotDimensionNumbers(
        op.attributes["ragged_dot_dimension_numbers"]
    )
    left_batch = list(numbers.lhs_batching_dimensions)
    ragged = list(numbers.lhs_ragged_dimensions)
    groups = list(numbers.rhs_group_dimensions)
    if len(groups) != 1 or ragged[0] in left_batch:
        raise NotUnderstood("a ragged product of another form", op)
    if ragged[0] in list(numbers.lhs_contracting_dimensions):
        raise NotUnderstood("it sums over rows", op)
    free = [
        d
        for d in range(op.operands[0].type.rank)
        if d not in left_batch and d not in list(numbers.lhs_contracting_dimensions)
    ]
    row = index[len(left_batch) + free.index(ragged[0])]
    sizes = op.operands[2]
    expert = variable("#group", shape(sizes)[-1])
    before = index[: sizes.type.rank - 1]
    counts = counted(e.at(sizes, (*before, expert)), expert)
    if counts is None:
        raise NotUnderstood(
            "its group sizes are not how often each expert was chosen", op
        )
    return _contract(
        e,
        op,
        index,
        left_batch,
        list(numbers.rhs_batching_dimensions),
        list(numbers.lhs_contracting_dimensions),
        list(numbers.rhs_contracting_dimensions),
        {groups[0]: group(shape(sizes)[-1], counts, row)},
    )


@rule("chlo.top_k")
def _top_k(e: Elements, op: Any, result: int, index: Index) -> Term:
    """Of another choice than the layer's: that of groups of experts."""
    if result == 0 or op.results[1] in e.dependent:
        raise NotUnderstood("it chooses anew from what was chosen", op)
    size = shape(op.operands[0])[-1]
    return atom(
        "ids", 1 + e.number(op.results[1]), size, tuple(shape(op.results[1])), *index
    )
