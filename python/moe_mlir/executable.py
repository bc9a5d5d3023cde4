"""A compiled model: call it with arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from moe_mlir.arrays import Array, dense, from_numpy, kind_of, to_numpy
from moe_mlir.cpu import LoadedModule
from moe_mlir.errors import MoEError
from moe_mlir.limits import Limits
from moe_mlir.signature import Signature, TensorSpec
from moe_mlir.weights import MappedWeights


class CompiledModel:
    """A model compiled for a CPU of this machine, with its weights.

    Calling it runs ``@main``: inputs in order or by name, NumPy, PyTorch or JAX
    arrays; the result is of the kind of the first input, several results are a
    tuple. Inputs are neither copied, if they are dense, nor changed; results own
    their memory. Results do not depend on the number of threads.

    Weights are packed once, when the model is compiled; packed ones are held, the
    stored ones are not needed afterwards.

    Attributes:
        signature: What a call takes and gives.
        threads: Threads of each call.
        cpu: The CPU it was compiled for.
    """

    def __init__(
        self,
        loaded: LoadedModule,
        input_names: Sequence[str],
        weights: Mapping[str, Any],
        limits: Limits,
        threads: int,
    ) -> None:
        functions = loaded.machine_code.functions(input_names)
        if "main" not in functions:
            raise MoEError(
                "the module has no public function @main, which is what a model "
                "compiles to; rename its entry",
                where="@main",
            )
        self.signature: Signature = functions["main"]
        self.threads = threads
        self.cpu = loaded.cpu
        self._limits = limits
        self._loaded = loaded
        self._results = [result.result for result in self.signature.results]
        self._weights = self._bind(functions, weights)

    def _bind(
        self, functions: dict[str, Signature], weights: Mapping[str, Any]
    ) -> list[Array | None]:
        """One array for each argument; None for an input."""
        bound: list[Array | None] = []
        for argument in self.signature.arguments:
            if argument.packed:
                pack = _pack_function(functions, argument)
                sources = [weight_of(weights, source) for source in pack.arguments]
                results = [result.result for result in pack.results]
                bound.append(self._call(pack.name, sources, results)[0])
                if isinstance(weights, MappedWeights):
                    weights.release_pages()
            elif argument.param:
                bound.append(weight_of(weights, argument))
            else:
                bound.append(None)
        return bound

    def _call(
        self,
        function: str,
        arguments: Sequence[Array],
        results: Sequence[tuple[np.dtype[Any], int]],
    ) -> list[Array]:
        return self._loaded.code.call(function, arguments, results, self.threads)

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Runs the model.

        Raises:
            MoEError: An input is missing, or of the wrong type or shape.
        """
        given = order_inputs(self.signature.inputs, inputs, named)
        arrays = []
        for spec, value in zip(self.signature.inputs, given, strict=True):
            arrays.append(to_numpy(value, f"input '{spec.name}'"))
            spec.check(arrays[-1], f"input '{spec.name}'")
            spec.check_values(arrays[-1], f"input '{spec.name}'")
        self._limits.check(self.signature.inputs, arrays)
        remaining = map(dense, arrays)
        arguments = [
            next(remaining) if weight is None else weight for weight in self._weights
        ]
        results = self._call("main", arguments, self._results)
        kind = kind_of(given[0]) if given else "numpy"
        values = tuple(from_numpy(result, kind) for result in results)
        return values[0] if len(values) == 1 else values


def order_inputs(
    specs: Sequence[TensorSpec], inputs: tuple[Any, ...], named: dict[str, Any]
) -> list[Any]:
    """What a call gave by position and by name, in the order of the signature.

    Raises:
        MoEError: An input is missing, given twice, or unknown.
    """
    takes = "it takes " + (", ".join(f"{s.name}: {s}" for s in specs) or "no input")
    if len(inputs) > len(specs):
        raise MoEError(
            f"the model got {len(inputs)} inputs by position; {takes}",
            where="inputs",
        )
    ordered = dict(zip((spec.name for spec in specs), inputs, strict=False))
    for name, value in named.items():
        if name in ordered:
            raise MoEError(f"input '{name}' is given twice; {takes}", where=name)
        if name not in {spec.name for spec in specs}:
            raise MoEError(f"there is no input '{name}'; {takes}", where=name)
        ordered[name] = value
    for spec in specs:
        if spec.name not in ordered:
            raise MoEError(f"input '{spec.name}' is missing; {takes}", where=spec.name)
    return [ordered[spec.name] for spec in specs]


def _pack_function(functions: dict[str, Signature], argument: TensorSpec) -> Signature:
    """The function that makes a packed argument."""
    assert argument.packed is not None
    name = argument.packed["function"]
    if name not in functions:
        raise MoEError(
            f"{argument.name} is made by @{name}, and the module has no such public "
            "function; pack weights with moe-pack-weights",
            where=argument.name,
        )
    return functions[name]


def check_weight(weights: Mapping[str, Any], spec: TensorSpec) -> None:
    """Refuses a weight that is missing or not of the argument's type.

    Raises:
        MoEError: As :func:`weight_of`.
    """
    describe = getattr(weights, "describe", None)
    if describe is None or spec.param not in weights:
        weight_of(weights, spec)
    else:  # made when it is read
        spec.check(describe(spec.param), spec.name)


def weight_of(weights: Mapping[str, Any], spec: TensorSpec) -> Array:
    """The stored weight of an argument, checked.

    Raises:
        MoEError: It is missing, or not of the argument's type.
    """
    name = spec.param
    if name is None or name not in weights:
        raise MoEError(
            f"{spec.name} is missing: the module needs {spec}, and the weights are "
            f"{_some(sorted(weights))}",
            where=str(name),
        )
    array = to_numpy(weights[name], spec.name, constant=True)
    spec.check(array, spec.name)
    return dense(array)


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return (
        shown + f" and {len(names) - 5} more" if len(names) > 5 else shown
    ) or "none"
