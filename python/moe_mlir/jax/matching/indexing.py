"""Rules of operations that read their indices: gather, scatter and sort."""

from __future__ import annotations

from typing import Any

from jaxlib.mlir.dialects import stablehlo

from moe_mlir.jax.matching.counts import key_of
from moe_mlir.jax.matching.elements import (
    Elements,
    Index,
    NotUnderstood,
    as_index,
    integers,
    region_of,
    rule,
    shape,
)
from moe_mlir.jax.matching.sums import total
from moe_mlir.jax.matching.terms import (
    Term,
    as_atom,
    call,
    equal,
    integer,
    inverse,
    is_integer,
    number,
    permuted,
    plus,
    value_of,
    variable,
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
    how = region_of(op)
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
        length, formula = order.args[:2]
        place = inverse(length, formula, index[dimension])
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
