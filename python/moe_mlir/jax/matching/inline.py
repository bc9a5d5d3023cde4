"""Calls are inlined, so that a layer stands in one block."""

from __future__ import annotations

from typing import Any

from jaxlib.mlir import ir

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.importing.walk import functions, nested_operations, where

#: Calls nested deeper are recursion.
_DEPTH = 100


def inline_calls(module: Any) -> None:
    """Replaces every call in a public function of one with a body by that body.

    jaxlib's own ``inline`` pass leaves them, since StableHLO has no inliner interface.

    Raises:
        ImportRefused: Functions call each other without an end.
    """
    for _ in range(_DEPTH):
        bodies = functions(module)
        calls = [
            operation
            for function in bodies.values()
            if not _is_private(function)
            for operation in nested_operations(function)
            if operation.name in ("func.call", "call") and _has_body(bodies, operation)
        ]
        if not calls:
            return
        for call in calls:
            _inline(call, bodies)
    raise ImportRefused("the program's functions call each other without an end")


def _is_private(function: Any) -> bool:
    if "sym_visibility" not in function.attributes:
        return False
    return bool(function.attributes["sym_visibility"].value == "private")


def _has_body(bodies: dict[str, Any], call: Any) -> bool:
    callee = bodies.get(call.attributes["callee"].value)
    return callee is not None and len(list(callee.regions[0].blocks)) == 1


def _inline(call: Any, bodies: dict[str, Any]) -> None:
    # A clone, whose operations are moved: operations with regions stay whole.
    body = bodies[call.attributes["callee"].value]
    with call.context:
        clone = body.clone(ip=ir.InsertionPoint(body)).operation
    block = clone.regions[0].blocks[0]
    for argument, operand in zip(block.arguments, call.operands, strict=True):
        argument.replace_all_uses_with(operand)
    *inner, end = [one.operation for one in block.operations]
    for operation in inner:
        operation.move_before(call)
        if where(operation.location) == "?":
            operation.location = call.location
    for old, new in zip(call.results, list(end.operands), strict=True):
        old.replace_all_uses_with(new)
    call.erase()
    clone.erase()
