"""What a compiled function takes and gives."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from moe_mlir import _moe
from moe_mlir.arrays import Array, Shaped, describe, numpy_dtype
from moe_mlir.errors import MoEError


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One argument or result.

    Attributes:
        name: For messages, and for inputs by keyword.
        dtype: Element type by its name in MLIR, e.g. "bf16".
        shape: Sizes; None for one that may differ from call to call.
        attributes: Of the argument, e.g. ``moe.param``.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    attributes: dict[str, Any]

    @property
    def param(self) -> str | None:
        """The name of the weight, if this is one."""
        return self.attributes.get("moe.param")

    @property
    def packed(self) -> dict[str, Any] | None:
        """Function and weights that make this argument, if it is a packed weight."""
        return self.attributes.get("moe.packed")

    @property
    def range(self) -> tuple[int, int] | None:
        """The first integer that an element may be, and the first that it may not."""
        bounds = self.attributes.get("moe.range")
        return None if bounds is None else (bounds[0], bounds[1])

    @property
    def result(self) -> tuple[np.dtype[Any], int]:
        """Element type and rank, as the extension wants them."""
        return numpy_dtype(self.dtype, self.name), len(self.shape)

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        text = f"{numpy_dtype(self.dtype, self.name).name} [{sizes}]"
        return f"{text} in [{self.range[0]}, {self.range[1]})" if self.range else text

    def check(self, array: Shaped, where: str) -> None:
        """Refuses an array that is not of this type.

        Raises:
            MoEError: Element type, rank or a size differs.
        """
        dtype = numpy_dtype(self.dtype, where)
        if array.dtype != dtype:
            raise MoEError(
                f"{where}: is {describe(array)}, but {self} is needed; convert it to "
                f"{dtype.name} first",
                where=where,
            )
        if array.ndim != len(self.shape) or any(
            want is not None and want != size
            for want, size in zip(self.shape, array.shape, strict=True)
        ):
            raise MoEError(
                f"{where}: is {describe(array)}, but {self} is needed"
                + ("; ? is any size" if None in self.shape else ""),
                where=where,
            )

    def check_values(self, array: Array, where: str) -> None:
        """Refuses an array with an element outside the range.

        Raises:
            MoEError: Names the first such element.
        """
        if self.range is None or not array.size:
            return
        low, high = self.range
        if low <= array.min() and array.max() < high:
            return
        wrong = np.argwhere((array < low) | (array >= high))
        place = tuple(int(i) for i in wrong[0])
        raise MoEError(
            f"{where}: holds {array[place]} at {list(place)}, but only {low} to "
            f"{high - 1} are rows of the table that it looks up ({len(wrong)} such "
            "elements); is it from another tokenizer?",
            where=where,
        )


@dataclasses.dataclass(frozen=True)
class Signature:
    """Arguments and results of one function."""

    name: str
    arguments: tuple[TensorSpec, ...]
    results: tuple[TensorSpec, ...]

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The arguments that a caller gives: neither weights nor packed weights."""
        return tuple(a for a in self.arguments if not (a.param or a.packed))

    @property
    def params(self) -> tuple[TensorSpec, ...]:
        """The arguments that are weights as they are stored."""
        return tuple(a for a in self.arguments if a.param)


def read_signatures(
    module: _moe.Module, input_names: Sequence[str] = ()
) -> dict[str, Signature]:
    """The public functions of a module by name.

    Args:
        input_names: Names of the inputs of ``@main``, in order; others are called
            ``input0``, ``input1`` and so on.

    Raises:
        MoEError: An argument or result is not a tensor that an array can hold.
    """
    return signatures_of(module.signatures(), input_names)


def signatures_of(
    entries: Sequence[dict[str, Any]], input_names: Sequence[str] = ()
) -> dict[str, Signature]:
    """The same of what ``Module.signatures`` gave."""
    functions = {}
    for entry in entries:
        if entry["public"]:
            names = input_names if entry["name"] == "main" else ()
            functions[entry["name"]] = _read(entry, list(names))
    return functions


def _read(entry: dict[str, Any], names: list[str]) -> Signature:
    inputs = 0
    arguments = []
    for i, value in enumerate(entry["arguments"]):
        attributes = value["attributes"]
        if not _names_weights(attributes):
            raise MoEError(
                f"@{entry['name']}, argument {i}: has the attributes {attributes}; a "
                'weight carries moe.param = "<name>", a packed one moe.packed = '
                '{function = "<name>", params = ["<name>", ...]}, an input of indices '
                "moe.range = [<low>, <high>]",
                where=f"@{entry['name']}",
            )
        if "moe.param" in attributes:
            name = f"weight '{attributes['moe.param']}'"
        elif "moe.packed" in attributes:
            name = f"packed weight of {', '.join(attributes['moe.packed']['params'])}"
        else:
            name = names[inputs] if inputs < len(names) else f"input{inputs}"
            inputs += 1
        arguments.append(_spec(entry, name, value))
    results = [
        _spec(entry, f"result {i}", value) for i, value in enumerate(entry["results"])
    ]
    return Signature(entry["name"], tuple(arguments), tuple(results))


def _names_weights(attributes: dict[str, Any]) -> bool:
    """Whether moe.param and moe.packed, where an argument has them, are well-formed."""
    if not isinstance(attributes.get("moe.param", ""), str):
        return False
    bounds = attributes.get("moe.range", [0, 0])
    if not isinstance(bounds, list) or [type(b) for b in bounds] != [int, int]:
        return False
    if "moe.packed" not in attributes:
        return True
    packed = attributes["moe.packed"]
    if not isinstance(packed, dict) or not isinstance(packed.get("function"), str):
        return False
    names = packed.get("params")
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _spec(entry: dict[str, Any], name: str, value: dict[str, Any]) -> TensorSpec:
    where = f"@{entry['name']}, {name}"
    if value["shape"] is None:
        raise MoEError(
            f"{where}: has type {value['dtype']}, but a function that is called from "
            "outside takes and gives tensors only",
            where=where,
        )
    numpy_dtype(value["dtype"], where)
    return TensorSpec(name, value["dtype"], tuple(value["shape"]), value["attributes"])


def elements(shape: Sequence[int]) -> int:
    """Product of sizes, exact."""
    return reduce(operator.mul, shape, 1)
