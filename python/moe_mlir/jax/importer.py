"""``from_jax`` and ``from_stablehlo``: JAX functions and StableHLO to MLIR text."""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxlib.mlir import ir

from moe_mlir.errors import MoEError
from moe_mlir.importing.imported import Imported, ImportRefused
from moe_mlir.importing.printing import print_generic
from moe_mlir.importing.report import make_report
from moe_mlir.importing.walk import functions
from moe_mlir.jax.lowering import LARGEST_CONSTANT, lower, parse

_PACKAGES = ("jax", "jaxlib")

#: Larger arrays of floats that a function closes over are taken for forgotten weights.
_FLOAT_CONSTANTS = 16


def import_jax(
    function: Callable[..., Any],
    *args: Any,
    params: int | Sequence[int] | None = None,
    name: str | None = None,
) -> Imported:
    """Imports a JAX function at the shapes of ``args``.

    Args:
        function: A function of arrays and pytrees that calls
            ``moe_mlir.jax.route`` and ``experts``.
        args: Its arguments; inputs may be ``jax.ShapeDtypeStruct``.
        params: Positions of arguments that are weights. None takes every argument that
            is a container (a dict, say) and not an array.
        name: Name of the model; the function's by default.

    Raises:
        ImportRefused: The function has no MoE layer, closes over weights, or uses
            something that is not understood.
    """
    positions = _weight_positions(args, params)
    try:
        traced = jax.jit(function, keep_unused=True).trace(*args)
        _refuse_closures(traced)
        # The platform only selects how jax lowers: "cuda" keeps operations whole that
        # "cpu" expands. No GPU is needed.
        lowered = traced.lower(lowering_platforms=("cuda",))
    except (ImportRefused, MoEError):
        raise
    except Exception as error:  # the user's code may raise anything
        first = str(error).strip().split("\n")[0][:300]
        raise ImportRefused(
            f"jax cannot trace {name or _name_of(function)} with these arguments: "
            f"{type(error).__name__}: {first}"
        ) from error
    # A copy: jax hands out the module that its own cache holds.
    original = lowered.compiler_ir("stablehlo").operation
    module = parse(original.get_asm(print_generic_op_form=True, enable_debug_info=True))
    leaves = _named_leaves(function, args, positions)
    main = functions(module)["main"]
    types = main.attributes["function_type"].value.inputs
    if len(types) != len(leaves):
        raise ImportRefused(
            f"{_name_of(function)}: jax added {len(types) - len(leaves)} arguments of "
            "its own (ordered effects?); a compiled model is a pure function"
        )
    weights = {leaf: value for leaf, value, is_weight in leaves if is_weight}
    marked = [leaf if is_weight else None for leaf, _, is_weight in leaves]
    inputs = [leaf for leaf, _, is_weight in leaves if not is_weight]
    return _finish(module, "jax", name or _name_of(function), marked, inputs, weights)


def import_stablehlo(
    program: str | bytes,
    *,
    weights: Mapping[int, tuple[str, Any]] | None = None,
    name: str = "stablehlo",
) -> Imported:
    """Imports a StableHLO program.

    Args:
        program: Text, pretty or generic, or a portable artifact, such as
            ``jax.export``'s ``mlir_module_serialized``. Composites ``moe.*`` in it are
            the MoE layers.
        weights: Arguments that are weights: position to name and array.
        name: Name of the model.

    Raises:
        ImportRefused: The program cannot be read or lowered, or has no MoE layer.
    """
    module = parse(program)
    main = functions(module).get("main")
    if main is None:
        raise ImportRefused(
            "the StableHLO program has no function '@main'; it has "
            f"{', '.join(functions(module)) or 'none at all'}"
        )
    count = len(main.attributes["function_type"].value.inputs)
    given = dict(weights or {})
    for position in given:
        if not 0 <= position < count:
            raise ImportRefused(
                f"weights names argument {position}, but '@main' has {count}"
            )
    marked = [given[i][0] if i in given else None for i in range(count)]
    inputs = [f"arg{i}" for i in range(count) if i not in given]
    arrays = {label: value for label, value in given.values()}
    return _finish(module, "stablehlo", name, marked, inputs, arrays)


def _finish(
    module: Any,
    frontend: str,
    name: str,
    marked: Sequence[str | None],
    input_names: Sequence[str],
    weights: Mapping[str, Any],
) -> Imported:
    """Lowers, names the weight arguments, and prints.

    Args:
        marked: For each argument of ``@main`` its weight's name, or None.
        input_names: Names of the others.
    """
    main = functions(module)["main"]
    with module.context:
        main.attributes["arg_attrs"] = ir.ArrayAttr.get(
            [
                ir.DictAttr.get(
                    {"moe.param": ir.StringAttr.get(weight)} if weight else {}
                )
                for weight in marked
            ]
        )
    residual, markers, layers = lower(module)
    if not markers and not layers:
        raise ImportRefused(
            f"{name} has no MoE layer: found no moe_mlir.jax.route or experts in it, "
            "nor a lax.top_k"
        )
    main = functions(module)["main"]
    marked, weights = _without_random_state(main, marked, weights)
    with module.context:
        main.attributes["sym_visibility"] = ir.StringAttr.get("public")
    signature = main.attributes["function_type"].value
    types = [
        t for t, weight in zip(signature.inputs, marked, strict=True) if not weight
    ]
    outputs = [f"output{i}" for i in range(len(signature.results))]
    report = make_report(
        frontend=frontend,
        module=module,
        name=name,
        packages=_PACKAGES,
        layers=layers,
        inputs=list(map(_describe, input_names, types)),
        outputs=list(map(_describe, outputs, signature.results)),
        residual=residual,
        markers=markers,
    )
    return Imported(print_generic(ir, module), dict(weights), report)


def _without_random_state(
    main: Any, marked: Sequence[str | None], weights: Mapping[str, Any]
) -> tuple[list[str | None], dict[str, Any]]:
    """Drops weights of unsigned integers that nothing reads: keys and counters of
    random numbers, which a module holds for its training (dropout)."""
    block = main.regions[0].blocks[0]
    arguments = list(block.arguments)
    kept = [
        i
        for i, argument in enumerate(arguments)
        if not marked[i]
        or list(argument.uses)
        or not str(argument.type.element_type).startswith("ui")
    ]
    if len(kept) == len(arguments):
        return list(marked), dict(weights)
    types = main.attributes["function_type"].value
    given = list(main.attributes["arg_attrs"])
    for i in reversed(range(len(arguments))):
        if i not in kept:
            block.erase_argument(i)
    with main.context:
        main.attributes["function_type"] = ir.TypeAttr.get(
            ir.FunctionType.get([types.inputs[i] for i in kept], types.results)
        )
        main.attributes["arg_attrs"] = ir.ArrayAttr.get([given[i] for i in kept])
    names = [marked[i] for i in kept]
    return names, {name: value for name, value in weights.items() if name in names}


_DTYPES = {
    "f32": "float32",
    "f64": "float64",
    "f16": "float16",
    "bf16": "bfloat16",
    "i1": "bool",
}


def _describe(name: str, tensor: Any) -> dict[str, Any]:
    element = str(tensor.element_type)
    if element not in _DTYPES:
        element = element.replace("ui", "uint").replace("i", "int", 1)
    shape = [
        None if tensor.is_dynamic_dim(i) else tensor.get_dim_size(i)
        for i in range(tensor.rank)
    ]
    return {"name": name, "shape": shape, "dtype": _DTYPES.get(element, element)}


def _weight_positions(
    args: Sequence[Any], params: int | Sequence[int] | None
) -> frozenset[int]:
    if params is None:
        return frozenset(
            i for i, arg in enumerate(args) if not jax.tree_util.all_leaves([arg])
        )
    positions = frozenset((params,) if isinstance(params, int) else params)
    for position in positions:
        if not 0 <= position < len(args):
            raise ImportRefused(
                f"params names argument {position}, but there are {len(args)}"
            )
    return positions


def _refuse_closures(traced: Any) -> None:
    for constant in traced.jaxpr.consts:
        shape, dtype = np.shape(constant), np.dtype(constant.dtype)
        limit = LARGEST_CONSTANT if dtype.kind in "biu" else _FLOAT_CONSTANTS
        if math.prod(shape) > limit:
            raise ImportRefused(
                f"the function closes over an array {dtype}{list(shape)}; weights "
                "must not become constants of the program: pass it as an argument, "
                "inside a dict of parameters"
            )


def _name_of(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _named_leaves(
    function: Callable[..., Any], args: Sequence[Any], positions: frozenset[int]
) -> list[tuple[str, Any, bool]]:
    """(name, value, is a weight) for each leaf of the arguments, in order.

    A weight is named by its key path inside its argument, with the argument's name in
    front where that is not unique.
    """
    labels = _argument_names(function, len(args))
    short: list[tuple[int, str, Any]] = []
    for path, value in jax.tree_util.tree_flatten_with_path(tuple(args))[0]:
        key = jax.tree_util.keystr(path[1:], simple=True, separator=".")
        short.append((path[0].idx, key, value))
    uses = Counter(key or labels[i] for i, key, _ in short)
    named = []
    for position, key, value in short:
        is_weight = position in positions
        full = f"{labels[position]}.{key}" if key else labels[position]
        unique = key and is_weight and uses[key] == 1
        named.append((key if unique else full, value, is_weight))
    return named


def _argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """Parameter names of ``function``, or arg0, arg1 ... where it has none."""
    names = [f"arg{i}" for i in range(count)]
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return names
    for i, parameter in enumerate(parameters[:count]):
        if parameter.kind in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
        ):
            names[i] = parameter.name
    return names
