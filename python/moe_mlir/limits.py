"""Sizes that only a call knows, checked before it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moe_mlir import _moe
from moe_mlir.arrays import Shaped
from moe_mlir.errors import MoEError
from moe_mlir.signature import TensorSpec, elements

INDEX_LIMIT = 2**31


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the dynamic sizes of a model's inputs must keep.

    Attributes:
        experts: The largest number of experts of a layer. Plans hold 32-bit indices,
            so tokens times experts stays below 2^31.
        equal: Groups of (input name, dimension) whose sizes are one size.
    """

    experts: int
    equal: tuple[tuple[tuple[str, int], ...], ...]

    @classmethod
    def of(
        cls, module: _moe.Module, dynamic_dims: Iterable[Mapping[str, Any]]
    ) -> Limits:
        """The limits of a module.

        Args:
            module: Has moe.route or moe.plan_from_choice.
            dynamic_dims: ``input``, ``dim`` and ``requested`` of dimensions, from an
                import report; those with the same request are one size.
        """
        experts = 1
        for name in ("moe.route", "moe.plan_from_choice"):
            for op in module.find(name):
                plan = op["results"][0].partition("<")[2].partition(",")[0]
                experts = max(experts, int(plan.split("x")[2]))
        groups: dict[str, list[tuple[str, int]]] = {}
        for entry in dynamic_dims:
            if entry.get("obtained", "dynamic") != "dynamic":
                continue
            place = (str(entry["input"]), int(entry["dim"]))
            groups.setdefault(str(entry["requested"]), []).append(place)
        return cls(experts, tuple(tuple(g) for g in groups.values() if len(g) > 1))

    def check(self, specs: Sequence[TensorSpec], arrays: Sequence[Shaped]) -> None:
        """Raises MoEError if the sizes of a call's inputs break a limit."""
        shapes = {}
        for spec, array in zip(specs, arrays, strict=True):
            shapes[spec.name] = array.shape
            sizes = [
                size
                for want, size in zip(spec.shape, array.shape, strict=True)
                if want is None
            ]
            if elements(sizes) * self.experts >= INDEX_LIMIT:
                raise MoEError(
                    f"input '{spec.name}': {elements(sizes)} tokens times "
                    f"{self.experts} experts is 2^31 or more, and plans hold 32-bit "
                    "indices; split the batch",
                    where=spec.name,
                )
        for group in self.equal:
            known = [
                (name, dim)
                for name, dim in group
                if 0 <= dim < len(shapes.get(name, ()))
            ]
            found = {place: shapes[place[0]][place[1]] for place in known}
            if len(set(found.values())) > 1:
                words = ", ".join(f"{n}[{d}] = {s}" for (n, d), s in found.items())
                raise MoEError(
                    f"inputs disagree: {words} must be one size; pad or cut them alike",
                    where=known[0][0],
                )
