"""Marker calls: how a front end says "this is an MoE operation".

A marker is a call of a private function without a body. The function's attribute
``moe.marker`` names the operation, its version, its operands and its attributes.
Calls are opaque to every pass of the producing framework, so a marker reaches
``moe-import-markers`` untouched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from moe_mlir.importing.imported import ImportRefused

MARKER_VERSION = 1

#: Operand names of each marker, in call order; a trailing "?" marks optional ones.
MARKER_OPERANDS: dict[str, tuple[str, ...]] = {
    "route": ("logits", "choice_bias?", "valid?"),
    "plan_from_choice": ("ids", "weights"),
    "experts": (
        "x",
        "expert_offsets",
        "row_token",
        "token_offsets",
        "token_row",
        "gates",
        "gate_up?",
        "gate?",
        "up?",
        "down",
        "gate_up_bias?",
        "gate_bias?",
        "up_bias?",
        "down_bias?",
    ),
    "grouped_matmul": (
        "rows",
        "expert_offsets",
        "row_token",
        "token_offsets",
        "token_row",
        "weight",
    ),
}


def check_kind(kind: str, position: str) -> None:
    """Raises ImportRefused unless ``kind`` is a marker that the compiler reads."""
    if kind in MARKER_OPERANDS:
        return
    if kind.endswith("_backward"):
        raise ImportRefused(
            f"the model contains 'moe.{kind}' (at {position}): training graphs are not "
            "supported; train in the framework itself, whose gradients these layers "
            "have, and import the forward function"
        )
    raise ImportRefused(
        f"unknown operation 'moe.{kind}' (at {position}); known: "
        f"{', '.join(f'moe.{known}' for known in MARKER_OPERANDS)}"
    )


class MarkerCalls:
    """Creates marker declarations and calls in one module.

    Calls with equal types and attributes share one declaration.
    """

    def __init__(self, ir: Any, module: Any) -> None:
        self._ir = ir
        self._module = module
        self._declared: dict[tuple[str, str], str] = {}
        self.counts: Counter[str] = Counter()

    def call(
        self,
        kind: str,
        operands: Sequence[Any],
        operand_names: Sequence[str],
        result_types: Sequence[Any],
        attributes: Mapping[str, Any],
        before: Any,
    ) -> Any:
        """Inserts ``func.call @moe.<kind>.<n>`` in front of operation ``before``."""
        ir = self._ir
        with self._module.context, before.location:
            signature = ir.FunctionType.get(
                [value.type for value in operands], list(result_types)
            )
            marker = ir.DictAttr.get(
                {
                    **attributes,
                    "op": ir.StringAttr.get(kind),
                    "version": integer(ir, MARKER_VERSION),
                    "operands": ir.ArrayAttr.get(
                        [ir.StringAttr.get(name) for name in operand_names]
                    ),
                }
            )
            symbol = self._declare(kind, signature, marker)
            self.counts[kind] += 1
            return ir.Operation.create(
                "func.call",
                results=list(result_types),
                operands=list(operands),
                attributes={"callee": ir.FlatSymbolRefAttr.get(symbol)},
                ip=ir.InsertionPoint(before),
            )

    def _declare(self, kind: str, signature: Any, marker: Any) -> str:
        ir = self._ir
        key = (str(signature), str(marker))
        if key not in self._declared:
            symbol = f"moe.{kind}.{len(self._declared)}"
            ir.Operation.create(
                "func.func",
                regions=1,
                attributes={
                    "sym_name": ir.StringAttr.get(symbol),
                    "sym_visibility": ir.StringAttr.get("private"),
                    "function_type": ir.TypeAttr.get(signature),
                    "moe.marker": marker,
                },
                ip=ir.InsertionPoint.at_block_begin(self._module.body),
            )
            self._declared[key] = symbol
        return self._declared[key]


def integer(ir: Any, value: int) -> Any:
    """An ``i64`` attribute; needs a current context."""
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), int(value))
