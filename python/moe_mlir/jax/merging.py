"""Layers under ``jax.vmap``: what was mapped over becomes sequences of one layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxlib.mlir import ir

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.importing.markers import MarkerCalls
from moe_mlir.importing.walk import where
from moe_mlir.jax.inserted import insert_call
from moe_mlir.jax.plan import RoutePlan, merge_gates, split_plan


class MergedLayers:
    """The composites of a module that have leading axes.

    A batch of B routes of S sequences is one route of B * S sequences, and the experts
    read its plan. The plans of the B parts are computed from it where anything else
    reads them.
    """

    def __init__(self, module: Any, calls: MarkerCalls) -> None:
        self._module = module
        self._calls = calls
        #: Of a field of a part's plan: the merged plan, its size B, and its number.
        self._fields: dict[Any, tuple[list[Any], int, int]] = {}

    def route(
        self, operation: Any, names: list[str], attributes: dict[str, Any]
    ) -> None:
        """A route composite becomes a marker of all sequences together."""
        batch = [axis.value for axis in attributes.pop("batch")]
        size = math.prod(batch)
        operands = [
            value if name == "choice_bias" else self._merged(value, batch, operation)
            for name, value in zip(names, operation.operands, strict=True)
        ]
        types = [result.type for result in operation.results]
        experts, tokens = types[0].shape[-1], types[2].shape[-1]
        rows, sequences = types[1].shape[-1], types[2].shape[-2]
        sizes = (
            [experts],
            [size * rows],
            [size * sequences, tokens],
            [size * rows],
            [size * rows],
        )
        with operation.context, operation.location:
            merged_types = [
                ir.RankedTensorType.get(one, old.element_type)
                for one, old in zip(sizes, types, strict=True)
            ]
        plan = list(
            self._calls.call(
                "route", operands, names, merged_types, attributes, operation
            ).results
        )
        for number, result in enumerate(operation.results):
            self._fields[result] = plan, size, number
        with operation.context, operation.location:
            parts = insert_call(
                self._module,
                "moe.split_plan",
                lambda *fields: tuple(split_plan(RoutePlan(*fields), size)),
                plan,
                operation,
            )
            parts = [
                self._reshaped(part, type_.shape, operation)
                for part, type_ in zip(parts, types, strict=True)
            ]
        for number, (old, part) in enumerate(
            zip(operation.results, parts, strict=True)
        ):
            self._fields[part] = plan, size, number
            old.replace_all_uses_with(part)

    def experts(
        self, operation: Any, names: list[str], attributes: dict[str, Any]
    ) -> None:
        """An experts composite reads the merged plan."""
        batch = [axis.value for axis in attributes.pop("batch")]
        values = dict(zip(names, operation.operands, strict=True))
        plan = self._plan(values, math.prod(batch), operation)
        operands = [self._merged(values["x"], batch, operation), *plan]
        operands += list(operation.operands)[len(operands) :]
        call = self._calls.call(
            "experts", operands, names, [operands[0].type], attributes, operation
        )
        with operation.context, operation.location:
            shape = operation.results[0].type.shape
            result = self._reshaped(call.results[0], shape, operation)
        operation.results[0].replace_all_uses_with(result)

    def _plan(self, values: dict[str, Any], size: int, operation: Any) -> list[Any]:
        """The merged plan of which ``values`` are the fields of the parts.

        Raises:
            ImportRefused: They are not those of one route over the same axes.
        """
        fields = [values[name] for name in RoutePlan._fields]
        found = [self._fields.get(field) for field in fields]
        plan = found[0][0] if found[0] else None
        for number, one in enumerate(found[:-1]):
            if one is None or one[0] is not plan or one[1:] != (size, number):
                raise ImportRefused(
                    f"'moe.experts' at {where(operation.location)} is mapped over "
                    f"{size} plans that are not those of one moe_mlir.jax.route which "
                    "is mapped over with it; call route and experts in one function, "
                    "and jax.vmap that"
                )
        assert plan is not None
        if found[-1] is not None and found[-1] == (plan, size, 4):
            return plan
        gates = fields[-1]
        rows = gates.type.shape[-1]
        with operation.context, operation.location:
            gates = self._reshaped(gates, [size, rows], operation)
            (merged,) = insert_call(
                self._module,
                "moe.merge_gates",
                lambda *fields: merge_gates(RoutePlan(*fields[:5]), fields[5]),
                [*plan, gates],
                operation,
            )
        return [*plan[:4], merged]

    def _merged(self, value: Any, batch: list[int], before: Any) -> Any:
        """``[*batch, S, ...]`` to ``[B * S, ...]``; ``[*batch, T, E]`` to
        ``[B, T, E]``, and its mask ``[*batch, T]`` to ``[B, T]``."""
        shape = list(value.type.shape)
        rest = shape[len(batch) :]
        size = math.prod(batch)
        is_mask = str(value.type.element_type) == "i1"
        if len(rest) == (2 if is_mask else 3):
            rest = [size * rest[0], *rest[1:]]
        else:
            rest = [size, *rest]
        with before.context, before.location:
            return self._reshaped(value, rest, before)

    def _reshaped(self, value: Any, shape: Sequence[int], before: Any) -> Any:
        if list(value.type.shape) == list(shape):
            return value
        return ir.Operation.create(
            "stablehlo.reshape",
            results=[ir.RankedTensorType.get(list(shape), value.type.element_type)],
            operands=[value],
            ip=ir.InsertionPoint(before),
        ).result
