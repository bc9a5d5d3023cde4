"""Unsigned integers that jaxlib's conversion to linalg leaves at its border."""

from __future__ import annotations

from typing import Any

from jaxlib.mlir import ir

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.importing.walk import functions, nested_operations

_CAST = "builtin.unrealized_conversion_cast"


def make_signless(module: Any) -> None:
    """Gives the values of residual operations signless types, and drops the casts.

    The conversion computes on signless integers by operations that say what is
    unsigned, and casts where an operation that it leaves (a loop, a sort) carries an
    unsigned value. These only move values, so that their types may be signless too.

    Raises:
        ImportRefused: ``@main`` takes or gives unsigned integers.
    """
    operations = nested_operations(module.operation)
    if not any(operation.name == _CAST for operation in operations):
        return
    _check_signature(functions(module)["main"])
    with module.context, ir.Location.unknown():
        for operation in operations:
            values = list(operation.results)
            for region in operation.regions:
                for block in region.blocks:
                    values += list(block.arguments)
            for value in values:
                value.set_type(_signless(value.type))
        for operation in nested_operations(module.operation):
            if operation.name == _CAST and len(operation.operands) == 1:
                given, result = operation.operands[0], operation.results[0]
                if given.type == result.type:
                    result.replace_all_uses_with(given)
                    operation.erase()


def _signless(type_: Any) -> Any:
    if not isinstance(type_, ir.RankedTensorType) or not _is_unsigned(type_):
        return type_
    element: Any = type_.element_type
    element = ir.IntegerType.get_signless(element.width)
    return ir.RankedTensorType.get(type_.shape, element)


def _is_unsigned(type_: Any) -> bool:
    element = getattr(type_, "element_type", None)
    return isinstance(element, ir.IntegerType) and element.is_unsigned


def _check_signature(main: Any) -> None:
    types = main.attributes["function_type"].value
    for what, list_ in (("argument", types.inputs), ("result", types.results)):
        for number, type_ in enumerate(list_):
            if _is_unsigned(type_):
                raise ImportRefused(
                    f"{what} {number} of the program is {type_}; unsigned integers do "
                    "not cross the border of a compiled model: convert it to a signed "
                    "type outside of the function"
                )
