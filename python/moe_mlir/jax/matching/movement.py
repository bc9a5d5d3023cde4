"""Rules of operations that move and sum elements."""

from __future__ import annotations

from typing import Any

from jaxlib.mlir.dialects import chlo, stablehlo

from moe_mlir.jax.matching.counts import counted, group, key_of
from moe_mlir.jax.matching.elements import (
    Elements,
    Index,
    NotUnderstood,
    as_index,
    integers,
    rule,
    shape,
    splat,
)
from moe_mlir.jax.matching.sums import largest, total
from moe_mlir.jax.matching.terms import (
    Term,
    as_atom,
    bounds,
    call,
    equal,
    integer,
    inverse,
    is_integer,
    number,
    permuted,
    plus,
    quotient,
    remainder,
    times,
    value_of,
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
    return index[op.attributes["iota_dimension"].value]


def _region(op: Any) -> str:
    """The operation that a region applies to its two arguments; "second" if it gives
    the second, "" if it is anything else."""
    body = [one.operation for one in op.regions[0].blocks[0].operations]
    arguments = list(op.regions[0].blocks[0].arguments)
    if len(arguments) != 2:
        return ""
    given = list(body[-1].operands)
    if len(body) == 1:
        return "second" if given == arguments[1:] else ""
    if len(body) != 2 or set(body[0].operands) != set(arguments):
        return ""
    return body[0].name if given == list(body[0].results) else ""


_NEUTRAL = {
    "stablehlo.add": 0.0,
    "stablehlo.maximum": float("-inf"),
    "stablehlo.and": 1.0,
}


@rule("stablehlo.reduce")
def _reduce(e: Elements, op: Any, result: int, index: Index) -> Term:
    how = _region(op)
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
    for one in reversed(summed):
        body = total(one, body)
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


def _vector_place(index: list[Term], place: int, component: int) -> list[Term]:
    """Where a component of an index vector stands in the tensor of indices."""
    return [*index[:place], integer(component), *index[place:]]


@rule("stablehlo.gather")
def _gather(e: Elements, op: Any, result: int, index: Index) -> Term:
    numbers = stablehlo.GatherDimensionNumbers(op.attributes["dimension_numbers"])
    operand, indices = op.operands
    offsets = list(numbers.offset_dims)
    place = numbers.index_vector_dim
    slices = integers(op, "slice_sizes")
    batch = [one for d, one in enumerate(index) if d not in offsets]
    within = [index[d] for d in offsets]
    paired = dict(
        zip(
            numbers.operand_batching_dims,
            numbers.start_indices_batching_dims,
            strict=True,
        )
    )
    collapsed = list(numbers.collapsed_slice_dims)
    start_map = list(numbers.start_index_map)
    inner = []
    for d, size in enumerate(shape(operand)):
        if d in paired:
            axis = paired[d]
            inner.append(batch[axis - (axis > place)])
            continue
        at = integer(0) if d in collapsed else within.pop(0)
        if d in start_map:
            where_ = batch
            if place < indices.type.rank:
                where_ = _vector_place(batch, place, start_map.index(d))
            start = e.at(indices, where_)
            at = plus(at, as_index(start, op, size - slices[d]))
        inner.append(at)
    return e.at(operand, inner)


@rule("stablehlo.scatter")
def _scatter(e: Elements, op: Any, result: int, index: Index) -> Term:
    how = _region(op)
    if len(op.results) != 1 or how not in ("stablehlo.add", "second"):
        raise NotUnderstood("a scatter that neither adds nor replaces", op)
    summed, selected, update = _updates(e, op, index)
    body = call("multiply", selected, update)
    for one in reversed(summed):
        body, selected = total(one, body), total(one, selected)
    into = e.at(op.operands[0], index)
    if how == "stablehlo.add":
        if value_of(into) == 0:
            return body
        return call("add", into, body)
    # Each place at most once, or the last of several would count.
    if value_of(selected) == 1:
        return body
    if value_of(into) == 0 and _at_most_once(selected):
        return body
    raise NotUnderstood("it may replace an element more than once", op)


def _at_most_once(selected: Term) -> bool:
    """Whether it is the sum over a token's choices of [ids == e]: they differ."""
    if selected.head != "sum" or selected.args[1].head != "eq":
        return selected.head == "eq"
    v, body = selected.args
    chosen = [a for a in body.args[0].args[1::2] if a.head == "ids" and v in a.free]
    return len(chosen) == 1 and as_atom(chosen[0].args[-1]) is v


def _updates(e: Elements, op: Any, index: Index) -> tuple[list[Term], Term, Term]:
    """Indices of the updates, [an update is for ``index``], and the update."""
    numbers = stablehlo.ScatterDimensionNumbers(
        op.attributes["scatter_dimension_numbers"]
    )
    operand, indices, updates = op.operands
    windows = list(numbers.update_window_dims)
    inserted = list(numbers.inserted_window_dims)
    batching = list(numbers.input_batching_dims)
    scattered = list(numbers.scattered_dims_to_operand_dims)
    place = numbers.index_vector_dim
    sizes = shape(updates)
    at_update: dict[int, Term] = {
        d: e.sum_index(op.results[0], d, size)
        for d, size in enumerate(sizes)
        if d not in windows
    }
    summed = [at_update[d] for d in sorted(at_update)]
    waiting = list(windows)
    selected = number(1.0)
    for d, size in enumerate(shape(operand)):
        start = integer(0)
        if d in scattered:
            where_ = summed
            if place < indices.type.rank:
                where_ = _vector_place(summed, place, scattered.index(d))
            start = e.at(indices, where_)
        elif d in batching:
            axis = list(numbers.scatter_indices_batching_dims)[batching.index(d)]
            start = summed[axis - (axis > place)]
        if not is_integer(start):
            raise NotUnderstood("an index is no formula that the matcher reads", op)
        if d not in inserted and d not in batching:
            window = waiting.pop(0)
            if sizes[window] != 1:
                if d in scattered or sizes[window] != size:
                    raise NotUnderstood("it writes windows", op)
                at_update[window] = index[d]
                continue
            at_update[window] = integer(0)
        selected = call("multiply", selected, equal(plus(index[d], start, -1)))
    return (
        summed,
        selected,
        e.at(updates, [at_update[d] for d in range(len(sizes))]),
    )


@rule("stablehlo.sort")
def _sort(e: Elements, op: Any, result: int, index: Index) -> Term:
    dimension = op.attributes["dimension"].value
    key = _ascending(op)
    size = shape(op.operands[key])[dimension]
    position = variable("#sorted", size)
    before = list(index)
    before[dimension] = position
    body = e.at(op.operands[key], before)
    if not is_integer(body):
        raise NotUnderstood("it sorts something else than chosen experts", op)
    order = as_atom(body, "perm")
    if order is not None and order.args[2] is position:
        # The places that a permutation gives to 0, 1, ...: its inverse.
        place = inverse(*order.args[:2], index[dimension])
    else:
        formula = key_of(body, position)
        if formula is None:
            raise NotUnderstood("it sorts something else than chosen experts", op)
        place = permuted(size, formula, index[dimension])
    before[dimension] = place
    return e.at(op.operands[result], before)


def _ascending(op: Any) -> int:
    """The operand by which a stable sort orders, ascending."""
    block = op.regions[0].blocks[0]
    body = [one.operation for one in block.operations]
    arguments = list(block.arguments)
    if op.attributes["is_stable"].value and len(body) == 2:
        compare, given = body[0], list(body[1].operands)
        places = [arguments.index(v) for v in compare.operands if v in arguments]
        if (
            compare.name == "stablehlo.compare"
            and given == list(compare.results)
            and len(places) == 2
            and places[0] % 2 == 0
            and places[1] == places[0] + 1
            and stablehlo.ComparisonDirectionAttr(
                compare.attributes["comparison_direction"]
            ).value
            == "LT"
        ):
            return int(places[0]) // 2
    raise NotUnderstood("it is not stable and ascending by one operand", op)
