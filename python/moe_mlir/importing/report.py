"""The import report: what was found, what was raised, what it was made with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moe_mlir.importing.versions import producer_versions
from moe_mlir.importing.walk import dialect_histogram

#: Types of the entries of a report, and of the keys that an item of a list must have.
_ENTRIES: dict[str, type] = {
    "frontend": str,
    "name": str,
    "producers": dict,
    "layers": list,
    "inputs": list,
    "outputs": list,
    "dynamic_dims": list,
    "operations": dict,
    "residual": dict,
    "markers": dict,
}
_ITEMS: dict[str, dict[str, type]] = {
    "layers": {},
    "inputs": {"name": str},
    "outputs": {},
    "dynamic_dims": {"input": str, "dim": int, "requested": str},
}


def report_problem(report: Mapping[str, Any]) -> str | None:
    """What is wrong with a report that was read from a file; None if nothing is."""
    for key, value in report.items():
        if key in _ENTRIES and not isinstance(value, _ENTRIES[key]):
            return f"'{key}' is not a {_ENTRIES[key].__name__}"
    for key, wanted in _ITEMS.items():
        for number, item in enumerate(report.get(key, ())):
            if not isinstance(item, dict):
                return f"'{key}[{number}]' is not a dict"
            for name, kind in wanted.items():
                if not isinstance(item.get(name), kind):
                    return f"'{key}[{number}]' has no {kind.__name__} '{name}'"
    return None


def make_report(
    *,
    frontend: str,
    module: Any,
    name: str,
    packages: Iterable[str],
    layers: Sequence[dict[str, Any]],
    inputs: Sequence[dict[str, Any]],
    outputs: Sequence[dict[str, Any]],
    dynamic_dims: Sequence[dict[str, Any]] = (),
    residual: dict[str, int] | None = None,
    markers: dict[str, int] | None = None,
) -> dict[str, Any]:
    """A JSON-compatible report.

    Keys:
        frontend: "torch", "jax" or "stablehlo".
        name: Name of the model.
        producers: Versions of the packages that made the text.
        layers: One dictionary for each MoE layer: ``name``; ``status``, "raised" (the
            compiler sees its routing) or "plain"; ``why``; and what the front end knows
            (``block``, ``router``, ``recipe``).
        inputs, outputs: ``name``, ``shape`` (None marks a dynamic size) and ``dtype``
            of the arguments that are not weights, and of the results.
        dynamic_dims: ``input``, ``dim``, ``requested`` and ``obtained`` for each
            dimension that was asked to be dynamic.
        operations: Number of operations per dialect.
        residual: Operations left to ``moe-import-residual``.
        markers: Marker calls by kind.
    """
    return {
        "frontend": frontend,
        "name": name,
        "producers": producer_versions(packages),
        "layers": list(layers),
        "inputs": list(inputs),
        "outputs": list(outputs),
        "dynamic_dims": list(dynamic_dims),
        "operations": dialect_histogram(module),
        "residual": dict(residual or {}),
        "markers": dict(markers or {}),
    }
