"""Ragged products that belong to no raised layer: one grouped matmul each."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import chlo

from moe_mlir.importing.markers import MARKER_OPERANDS, MarkerCalls, integer
from moe_mlir.importing.walk import nested_operations
from moe_mlir.jax.inserted import insert_call

_FLOATS = ("f32", "bf16", "f16")


def raise_ragged_dots(module: Any, calls: MarkerCalls) -> None:
    """Each ``chlo.ragged_dot`` of rows becomes a ``grouped_matmul`` marker.

    Its cost is that of its rows; what jaxlib makes of it multiplies all rows by the
    matrix of every group. Rows beyond the last group are zero, as JAX has them. Other
    forms (gradients of weights, batches) are left to jaxlib.
    """
    plans: dict[Any, list[Any]] = {}
    for operation in nested_operations(module.operation):
        if operation.name == "chlo.ragged_dot":
            layout = _layout(operation)
            if layout is not None:
                _raise(module, calls, plans, operation, layout)


def _layout(operation: Any) -> str | None:
    """How the matrices are stored, [G, K, N] or [G, N, K]; None of another form."""
    numbers = chlo.RaggedDotDimensionNumbers(
        operation.attributes["ragged_dot_dimension_numbers"]
    )
    rows, weight, sizes = (value.type for value in operation.operands)
    element = rows.element_type
    plain = (
        not list(numbers.lhs_batching_dimensions)
        and not list(numbers.rhs_batching_dimensions)
        and list(numbers.lhs_ragged_dimensions) == [0]
        and list(numbers.lhs_contracting_dimensions) == [1]
        and list(numbers.rhs_group_dimensions) == [0]
        and (rows.rank, weight.rank, sizes.rank) == (2, 3, 1)
        and all(type_.has_static_shape for type_ in (rows, weight, sizes))
        and str(sizes.element_type) == "i32"
        and str(element) in _FLOATS
        and weight.element_type == element
        and str(operation.results[0].type.element_type) in _FLOATS
    )
    if not plain:
        return None
    return {1: "kn", 2: "nk"}.get(next(iter(numbers.rhs_contracting_dimensions)))


def group_of_rows(sizes: Any, rows: int) -> Any:
    """``[rows]`` int32: how many of the groups ``[G]`` end at or before each row."""
    ends = jnp.cumsum(sizes, dtype=jnp.int32)
    row = jnp.arange(rows, dtype=jnp.int32)[:, None]
    return (row >= ends).sum(1, dtype=jnp.int32)


def _raise(
    module: Any,
    calls: MarkerCalls,
    plans: dict[Any, list[Any]],
    operation: Any,
    layout: str,
) -> None:
    rows, weight, sizes = operation.operands
    count = rows.type.shape[0]
    # The plan of an earlier product of the same block stands before this one.
    key = (sizes, count, operation.block)
    if key not in plans:
        plans[key] = _plan(module, calls, sizes, count, operation)
    result = operation.results[0].type
    with operation.context, operation.location:
        attributes = {"layout": ir.StringAttr.get(layout)}
        tokens = ir.RankedTensorType.get([1, *result.shape], result.element_type)
    names = MARKER_OPERANDS["grouped_matmul"]
    operands = [rows, *plans[key], weight]
    call = calls.call(
        "grouped_matmul", operands, names, [tokens], attributes, operation
    )
    with operation.context, operation.location:
        flat = ir.Operation.create(
            "stablehlo.reshape",
            results=[result],
            operands=list(call.results),
            ip=ir.InsertionPoint(operation),
        )
    operation.results[0].replace_all_uses_with(flat.result)
    operation.erase()


def _plan(
    module: Any, calls: MarkerCalls, sizes: Any, rows: int, before: Any
) -> list[Any]:
    """The fields of the plan that has the rows in their order: a row is a token with
    one expert, or with none beyond the last group."""

    def choice(sizes: Any) -> Any:
        ids = group_of_rows(sizes, rows).reshape(1, rows, 1)
        return ids, jnp.ones(ids.shape, jnp.float32)

    ids, weights = insert_call(module, "moe.groups", choice, [sizes], before)
    count = sizes.type.shape[0]
    with before.context, before.location:
        index = ir.IntegerType.get_signless(32)
        shapes = ([count + 1], [rows], [1, rows + 1], [rows])
        types = [ir.RankedTensorType.get(list(one), index) for one in shapes]
        types.append(ir.RankedTensorType.get([rows], ir.F32Type.get()))
        attributes = {"experts": integer(ir, count)}
    call = calls.call(
        "plan_from_choice",
        [ids, weights],
        ["ids", "weights"],
        types,
        attributes,
        before,
    )
    return list(call.results)[:4]
