"""Products of a tensor with a matrix, in the form that the compiler has kernels for."""

from __future__ import annotations

import math
from typing import Any

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

from moe_mlir.importing.walk import nested_operations


def flatten_products(module: Any) -> None:
    """``[..., K] x [K, N]`` becomes reshape, ``[M, K] x [K, N]``, reshape.

    Only a product of two matrices is converted to ``linalg.matmul``; any other becomes
    a loop nest of its own.
    """
    for operation in nested_operations(module.operation):
        if operation.name == "stablehlo.dot_general" and _applies(operation):
            _flatten(operation)


def _applies(operation: Any) -> bool:
    numbers = stablehlo.DotDimensionNumbers(
        operation.attributes["dot_dimension_numbers"]
    )
    left, right = (value.type for value in operation.operands)
    return (
        left.has_static_shape
        and left.rank > 2
        and right.rank == 2
        and not list(numbers.lhs_batching_dimensions)
        and list(numbers.lhs_contracting_dimensions) == [left.rank - 1]
        and list(numbers.rhs_contracting_dimensions) == [0]
    )


def _flatten(operation: Any) -> None:
    left, right = operation.operands
    old = operation.results[0].type
    rows, inner = math.prod(left.type.shape[:-1]), left.type.shape[-1]

    with operation.context, operation.location:
        insert = ir.InsertionPoint(operation)

        def reshape(value: Any, shaped: Any) -> Any:
            return ir.Operation.create(
                "stablehlo.reshape", results=[shaped], operands=[value], ip=insert
            ).result

        flat = ir.RankedTensorType.get([rows, inner], left.type.element_type)
        attributes = {name: operation.attributes[name] for name in operation.attributes}
        attributes["dot_dimension_numbers"] = stablehlo.DotDimensionNumbers.get(
            [], [], [1], [0]
        )
        product = ir.Operation.create(
            "stablehlo.dot_general",
            results=[ir.RankedTensorType.get([rows, old.shape[-1]], old.element_type)],
            operands=[reshape(left, flat), right],
            attributes=attributes,
            ip=insert,
        ).result
        restored = reshape(product, old)
    operation.results[0].replace_all_uses_with(restored)
    operation.erase()
