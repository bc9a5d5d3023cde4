"""Printing a module so that the compiler's (older) MLIR reads the same program."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from moe_mlir.importing.walk import nested_operations

#: Longer constants are printed as a hexadecimal blob.
_HEX_THRESHOLD = 100


def print_generic(ir: Any, module: Any) -> str:
    """Generic-form text of ``module``, without locations and aliases.

    Generic form, because pretty forms change between MLIR versions and because
    unregistered operations exist in no other form.
    """
    _widen_boolean_constants(ir, module)
    text: str = module.operation.get_asm(
        print_generic_op_form=True, use_local_scope=True, enable_debug_info=False
    )
    return text


def _widen_boolean_constants(ir: Any, module: Any) -> None:
    """Turns large ``i1`` constants into ``i8`` constants and a truncation.

    A boolean blob holds one byte per element in the producers' MLIR and one bit in
    ours; all other element types agree.
    """
    with module.context, ir.Location.unknown():
        boolean = ir.IntegerType.get_signless(1)
        byte = ir.IntegerType.get_signless(8)
        for operation in nested_operations(module.operation):
            if operation.name != "arith.constant":
                continue
            old_type, value = operation.results[0].type, operation.attributes["value"]
            if (
                not isinstance(old_type, ir.RankedTensorType)
                or old_type.element_type != boolean
                or value.is_splat
                or math.prod(old_type.shape) <= _HEX_THRESHOLD
            ):
                continue
            elements = np.array([bool(element) for element in value], np.int8)
            wide_type = ir.RankedTensorType.get(old_type.shape, byte)
            wide = ir.Operation.create(
                "arith.constant",
                results=[wide_type],
                attributes={
                    "value": ir.DenseElementsAttr.get(
                        elements.reshape(old_type.shape), type=wide_type
                    )
                },
                ip=ir.InsertionPoint(operation),
            )
            narrow = ir.Operation.create(
                "arith.trunci",
                results=[old_type],
                operands=[wide.results[0]],
                ip=ir.InsertionPoint(operation),
            )
            operation.results[0].replace_all_uses_with(narrow.results[0])
            operation.erase()
