"""JAX functions that are put into a StableHLO module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import ml_dtypes
import numpy as np
from jaxlib.mlir import ir

from moe_mlir.importing.walk import functions

_DTYPES: dict[str, Any] = {
    "i32": np.int32,
    "f32": np.float32,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
}


def insert_call(
    module: Any,
    name: str,
    function: Callable[..., Any],
    operands: Sequence[Any],
    before: Any,
) -> list[Any]:
    """A call of a JAX function in front of operation ``before``.

    Args:
        name: Of the functions that are added to the module.
        operands: Values of i32 or a float type.

    Returns:
        The results, one for each of the function's.
    """
    shapes = [_shape_of(value.type) for value in operands]
    lowered = jax.jit(function, keep_unused=True).trace(*shapes)
    text = lowered.lower(lowering_platforms=("cuda",)).as_text()
    with before.context, before.location:
        other = ir.Module.parse(text)
        types = functions(other)["main"].attributes["function_type"].value.results
        symbol = _add(module, other, name)
        call = ir.Operation.create(
            "func.call",
            results=list(types),
            operands=list(operands),
            attributes={"callee": ir.FlatSymbolRefAttr.get(symbol)},
            ip=ir.InsertionPoint(before),
        )
    return list(call.results)


def _shape_of(type_: Any) -> Any:
    struct: Any = jax.ShapeDtypeStruct
    return struct(tuple(type_.shape), _DTYPES[str(type_.element_type)])


def _add(module: Any, other: Any, name: str) -> str:
    """Copies the functions of another module; the new name of its main."""
    taken = functions(module)
    number = 0
    while any(key.startswith(f"{name}.{number}.") for key in taken):
        number += 1
    for key, function in functions(other).items():
        new = f"{name}.{number}.{key}"
        ir.SymbolTable.replace_all_symbol_uses(key, new, other.operation)
        ir.SymbolTable.set_symbol_name(function, new)
        ir.SymbolTable.set_visibility(function, "private")
    for function in functions(other).values():
        function.clone(ip=ir.InsertionPoint(module.body))
    return f"{name}.{number}.main"
