"""Composites: the markers of ``moe_mlir.jax``, and what jax.export wraps in them."""

from __future__ import annotations

from typing import Any

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import chlo

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.importing.markers import MARKER_VERSION, MarkerCalls, check_kind
from moe_mlir.importing.walk import nested_operations, where
from moe_mlir.jax.merging import MergedLayers


def raise_composites(module: Any, calls: MarkerCalls) -> list[dict[str, Any]]:
    """``stablehlo.composite "moe.*"`` becomes a marker call.

    Returns:
        The report's entries of the layers.

    Raises:
        ImportRefused: The composite is of another version, or unknown.
    """
    layers: list[str] = []
    merged = MergedLayers(module, calls)
    raised = []
    for operation in nested_operations(module.operation):
        if operation.name != "stablehlo.composite":
            continue
        name = operation.attributes["name"].value
        if name.startswith("moe."):
            kind = name.removeprefix("moe.")
            _raise_composite(calls, merged, operation, kind, layers)
            raised.append(operation)
    for operation in reversed(raised):
        operation.erase()
    return [
        {"name": layer, "status": "raised", "why": "calls moe_mlir.jax.route"}
        for layer in layers
    ]


def _raise_composite(
    calls: MarkerCalls,
    merged: MergedLayers,
    operation: Any,
    kind: str,
    layers: list[str],
) -> None:
    check_kind(kind, where(operation.location))
    version = operation.attributes["version"].value
    if version != MARKER_VERSION:
        raise ImportRefused(
            f"composite 'moe.{kind}' has version {version}, this package reads "
            f"{MARKER_VERSION}: it was written by another version of moe_mlir"
        )
    attributes = {
        entry.name: entry.attr for entry in operation.attributes["composite_attributes"]
    }
    if "operands" not in attributes:
        raise ImportRefused(
            f"composite 'moe.{kind}' at {where(operation.location)} lacks the "
            "attribute 'operands': build it with moe_mlir.jax"
        )
    names = [entry.value for entry in attributes.pop("operands")]
    if kind == "route":
        layer = attributes["layer"].value or free_name(layers)
        layers.append(layer)
        with operation.context:
            attributes["layer"] = ir.StringAttr.get(layer)
    if "batch" in attributes:
        (merged.route if kind == "route" else merged.experts)(
            operation, names, attributes
        )
        return
    types = [result.type for result in operation.results]
    call = calls.call(
        kind, list(operation.operands), names, types, attributes, operation
    )
    for old, new in zip(operation.results, call.results, strict=True):
        old.replace_all_uses_with(new)


def free_name(taken: list[str]) -> str:
    name, count = "moe", 0
    while name in taken:
        count += 1
        name = f"moe.{count}"
    return name


def restore_chlo(module: Any) -> None:
    """Composites "chlo.top_k" and "chlo.ragged_dot" become these operations again.

    jax.export wraps them, since a portable artifact holds nothing of CHLO.
    """
    for operation in nested_operations(module.operation):
        if operation.name != "stablehlo.composite":
            continue
        name = operation.attributes["name"].value
        if name not in _RESTORED:
            continue
        given = {}
        if "composite_attributes" in operation.attributes:
            entries = operation.attributes["composite_attributes"]
            given = {entry.name: entry.attr for entry in entries}
        with operation.context, operation.location:
            attributes = _RESTORED[name](given)
            new = ir.Operation.create(
                name,
                results=[result.type for result in operation.results],
                operands=list(operation.operands),
                attributes=attributes,
                ip=ir.InsertionPoint(operation),
            )
        for old, result in zip(operation.results, new.results, strict=True):
            old.replace_all_uses_with(result)
        operation.erase()


def _ragged_dot(given: dict[str, Any]) -> dict[str, Any]:
    """Six arrays of dimensions become one attribute."""
    numbers: Any = [
        [int(d) for d in one] for one in given["ragged_dot_dimension_numbers"]
    ]
    return {
        "ragged_dot_dimension_numbers": chlo.RaggedDotDimensionNumbers.get(*numbers)
    }


_RESTORED: dict[str, Any] = {
    "chlo.top_k": lambda given: {"k": given["k"]},
    "chlo.ragged_dot": _ragged_dot,
    "chlo.erf": lambda given: {},
}
