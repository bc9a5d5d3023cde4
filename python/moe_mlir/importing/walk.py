"""Walking a module through MLIR's Python bindings.

Both torch-mlir and jaxlib ship such bindings, each with its own copy of the
classes; functions of this package therefore take the ``ir`` module as an argument.
"""

from __future__ import annotations

from collections import Counter
from typing import Any


def nested_operations(operation: Any) -> list[Any]:
    """All operations inside ``operation``, post-order.

    A list, so that the caller may erase operations while it iterates.
    """
    found: list[Any] = []
    for region in operation.regions:
        for block in region.blocks:
            for inner in block.operations:
                found += nested_operations(inner.operation)
                found.append(inner.operation)
    return found


def attribute_names(operation: Any) -> list[str]:
    """Names of all attributes of ``operation``, properties included.

    Iterating ``operation.attributes`` yields names or named attributes, depending
    on the version of the bindings.
    """
    return [getattr(entry, "name", entry) for entry in operation.attributes]


def functions(module: Any) -> dict[str, Any]:
    """The module's functions by symbol name."""
    return {
        operation.attributes["sym_name"].value: operation.operation
        for operation in module.body.operations
        if operation.operation.name == "func.func"
    }


def dialect_histogram(module: Any) -> dict[str, int]:
    """Number of operations per dialect, most frequent first."""
    counts = Counter(
        operation.name.split(".")[0]
        for operation in nested_operations(module.operation)
    )
    return dict(counts.most_common())
