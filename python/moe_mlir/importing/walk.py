"""Walking a module through MLIR's Python bindings.

Both torch-mlir and jaxlib ship such bindings, each with its own copy of the
classes; functions of this package therefore take the ``ir`` module as an argument.
"""

from __future__ import annotations

import re
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


_FILE_POSITION = re.compile(r'"(?P<file>[^"]+)":(?P<line>\d+)(?::\d+)?')


def where(location: Any) -> str:
    """The innermost source position of an MLIR location, "model.py:12"; or "?".

    Producers attach the whole call stack, down to the interpreter's entry.
    """
    position = _FILE_POSITION.search(str(location))
    return f"{position['file']}:{position['line']}" if position else "?"


def pass_failure(error: Exception) -> str:
    """What failed, of an exception that a pass manager or parser raised."""
    for diagnostic in getattr(error, "error_diagnostics", ()):
        return f"{diagnostic.message[:300]} (at {where(diagnostic.location)})"
    return str(error)[:300]
