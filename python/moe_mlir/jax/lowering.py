"""From StableHLO to upstream MLIR dialects and marker calls, by jaxlib's own passes."""

from __future__ import annotations

import math
import re
from typing import Any

from jax.interpreters.mlir import make_ir_context
from jaxlib.mlir import ir, passmanager
from jaxlib.mlir.dialects import stablehlo

from moe_mlir.importing.allowlist import STABLEHLO_RESIDUAL, check_module
from moe_mlir.importing.imported import ImportRefused
from moe_mlir.importing.markers import MarkerCalls
from moe_mlir.importing.walk import (
    attribute_names,
    functions,
    nested_operations,
    pass_failure,
    where,
)
from moe_mlir.jax.composites import raise_composites, restore_chlo
from moe_mlir.jax.matching.inline import inline_calls
from moe_mlir.jax.matching.raising import raise_layers
from moe_mlir.jax.products import flatten_products
from moe_mlir.jax.ragged import raise_ragged_dots
from moe_mlir.jax.signless import make_signless

stablehlo.register_stablehlo_passes()

#: Larger constants are taken for weights that a function closed over, and would swell
#: the text.
LARGEST_CONSTANT = 4096

# Left out on purpose: stablehlo-convert-to-signless makes unsigned constants invalid,
# and the conversion to linalg handles unsigned integers itself; inline is inert here.
_PASSES = (
    "func.func(stablehlo-legalize-composite-to-call,chlo-legalize-to-stablehlo,"
    "stablehlo-legalize-deprecated-ops,shape-legalize-to-stablehlo)",
    "symbol-dce",
    "canonicalize",
    "cse",
    "stablehlo-legalize-to-linalg",
    "canonicalize",
    "cse",
    "symbol-dce",
)


def parse(program: str | bytes) -> Any:
    """A module of its own context, from text or a portable artifact.

    Raises:
        ImportRefused: It is neither.
    """
    context = make_ir_context()
    if isinstance(program, bytes) and program.startswith(b"ML\xefR"):
        return _deserialized(context, program)
    try:
        text = program.decode() if isinstance(program, bytes) else program
        return ir.Module.parse(text, context=context)
    except (ir.MLIRError, ValueError) as error:
        raise ImportRefused(
            f"not a StableHLO program: {pass_failure(error)}"
        ) from error


def _deserialized(context: Any, artifact: bytes) -> Any:
    """A portable artifact; the message says who wrote it and what is read."""
    notes: list[str] = []

    def note(diagnostic: Any) -> bool:
        notes.append(diagnostic.message)
        return True  # Else jaxlib prints it.

    handler = context.attach_diagnostic_handler(note)
    try:
        return stablehlo.deserialize_portable_artifact(context, artifact)
    except (ir.MLIRError, ValueError) as error:
        found = re.search(rb"StableHLO_v[0-9.]+", artifact[:64])
        writer = found[0].decode() if found else "an unknown version"
        raise ImportRefused(
            f"not a StableHLO program: this portable artifact of {writer} is cut off, "
            "damaged, or newer than the installed jaxlib, which reads up to "
            f"StableHLO_v{stablehlo.get_current_version()} "
            f"({(notes or [str(error)])[0][:200]})"
        ) from error
    finally:
        handler.detach()


def lower(
    module: Any,
) -> tuple[dict[str, int], dict[str, int], list[dict[str, Any]]]:
    """Lowers ``module`` in place.

    Returns:
        Residual operations, markers by kind, the report's entries of the layers.

    Raises:
        ImportRefused: An operation or a marker is not understood.
    """
    _drop_shardings(module)
    # First: a function that is called twice holds two layers.
    inline_calls(module)
    _run(module, ("symbol-dce",))
    _refuse_constants(module)
    calls = MarkerCalls(ir, module)
    layers = raise_composites(module, calls)
    inline_calls(module)  # Of what takes the plans of layers under vmap apart.
    # The decompositions go before anything inside them could be taken for the model's.
    restore_chlo(module)
    _run(module, ("symbol-dce",))
    _refuse_early(module)
    if any(op.name == "chlo.top_k" for op in nested_operations(module.operation)):
        _run(module, ("cse",))
        layers += raise_layers(module, calls, {layer["name"] for layer in layers})
    raise_ragged_dots(module, calls)
    inline_calls(module)
    flatten_products(module)
    _drop_reductions_of_nothing(module)
    _run(module, _PASSES)
    make_signless(module)
    _plain_signatures(module)
    residual = check_module(module, residual=STABLEHLO_RESIDUAL)
    return residual, dict(calls.counts), layers


def _run(module: Any, passes: tuple[str, ...]) -> None:
    pipeline = f"builtin.module({','.join(passes)})"
    with module.context:
        try:
            passmanager.PassManager.parse(pipeline).run(module.operation)
        except ir.MLIRError as error:
            raise ImportRefused(
                f"StableHLO cannot be lowered: {pass_failure(error)}"
            ) from error


def _drop_shardings(module: Any) -> None:
    """Drops where a value lies on a mesh of devices: a compiled model has one device.

    What computes on shards (``shard_map``) is left, and refused by name.
    """
    for operation in nested_operations(module.operation):
        if operation.name == "sdy.sharding_constraint":
            operation.results[0].replace_all_uses_with(operation.operands[0])
            operation.erase()
    names = {one.name for one in nested_operations(module.operation)}
    if not any(name.startswith("sdy.") and name != "sdy.mesh" for name in names):
        for operation in nested_operations(module.operation):
            if operation.name == "sdy.mesh":
                operation.erase()


def _drop_reductions_of_nothing(module: Any) -> None:
    """A reduction over no dimension is its operand; the conversion leaves it."""
    for operation in nested_operations(module.operation):
        if operation.name == "stablehlo.reduce" and not len(
            operation.attributes["dimensions"]
        ):
            results = list(operation.results)
            for result, operand in zip(results, operation.operands, strict=False):
                result.replace_all_uses_with(operand)
            operation.erase()


def _refuse_early(module: Any) -> None:
    """Operations that later passes would turn into something worse or leave behind."""
    found = [
        operation
        for operation in nested_operations(module.operation)
        if operation.name == "stablehlo.custom_call"
    ]
    if found:
        targets = sorted({op.attributes["call_target_name"].value for op in found})
        raise ImportRefused(
            f"cannot import operation 'stablehlo.custom_call' of "
            f"{', '.join(repr(target) for target in targets)} ({len(found)} of it, "
            f"the first at {where(found[0].location)}): a foreign kernel cannot be "
            "compiled; use the plain jax.numpy form of it, or import the MoE layer "
            "alone"
        )


def _refuse_constants(module: Any) -> None:
    """Weights that were closed over: they would be text, and packed anew each time."""
    found = []
    for operation in nested_operations(module.operation):
        if operation.name == "stablehlo.constant":
            type_ = operation.results[0].type
            is_table = not operation.attributes["value"].is_splat
            if is_table and math.prod(type_.shape) > LARGEST_CONSTANT:
                found.append(operation)
    if found:
        raise ImportRefused(
            f"the program holds {len(found)} constants as large as weights, the first "
            f"{found[0].results[0].type} at {where(found[0].location)}: weights are "
            "arguments of a compiled model; pass them to the function, inside a dict "
            "of parameters, instead of closing over them"
        )


def _plain_signatures(module: Any) -> None:
    """Drops what jax notes on functions and module; keeps ``moe.*``."""
    with module.context:
        for key in attribute_names(module.operation):
            if "." in key:
                del module.operation.attributes[key]
        for function in functions(module).values():
            for key in ("arg_attrs", "res_attrs"):
                if key not in function.attributes:
                    continue
                kept = [_only_moe(one) for one in function.attributes[key]]
                if any(len(one) for one in kept):
                    function.attributes[key] = ir.ArrayAttr.get(kept)
                else:
                    del function.attributes[key]
            for key in attribute_names(function):
                if "." in key and not key.startswith("moe."):
                    del function.attributes[key]


def _only_moe(dictionary: Any) -> Any:
    return ir.DictAttr.get(
        {e.name: e.attr for e in dictionary if e.name.startswith("moe.")}
    )
