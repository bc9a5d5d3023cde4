"""From StableHLO to upstream MLIR dialects and marker calls, by jaxlib's own passes."""

from __future__ import annotations

from typing import Any

from jax.interpreters.mlir import make_ir_context
from jaxlib.mlir import ir, passmanager
from jaxlib.mlir.dialects import stablehlo

from moe_mlir.importing.allowlist import STABLEHLO_RESIDUAL, check_module
from moe_mlir.importing.imported import ImportRefused
from moe_mlir.importing.markers import MARKER_VERSION, MarkerCalls, check_kind
from moe_mlir.importing.walk import (
    attribute_names,
    functions,
    nested_operations,
    pass_failure,
    where,
)
from moe_mlir.jax.products import flatten_products

stablehlo.register_stablehlo_passes()

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

_ADVICE = {
    "chlo.ragged_dot": "write the layer with moe_mlir.jax.route and "
    "moe_mlir.jax.experts, which the compiler understands",
    "stablehlo.custom_call": "a call of a foreign kernel cannot be compiled; use the "
    "plain jax.numpy form of it",
}


def parse(program: str | bytes) -> Any:
    """A module of its own context, from text or a portable artifact.

    Raises:
        ImportRefused: It is neither.
    """
    context = make_ir_context()
    try:
        if isinstance(program, bytes) and program.startswith(b"ML\xefR"):
            return stablehlo.deserialize_portable_artifact(context, program)
        text = program.decode() if isinstance(program, bytes) else program
        return ir.Module.parse(text, context=context)
    except (ir.MLIRError, ValueError) as error:
        raise ImportRefused(
            f"not a StableHLO program: {pass_failure(error)}"
        ) from error


def lower(module: Any) -> tuple[dict[str, int], dict[str, int], list[str]]:
    """Lowers ``module`` in place.

    Returns:
        Residual operations, markers by kind, names of the layers.

    Raises:
        ImportRefused: An operation or a marker is not understood.
    """
    markers, layers = _raise_composites(module)
    # The decompositions go before anything inside them could be taken for the model's.
    _run(module, ("symbol-dce",))
    _refuse_early(module)
    flatten_products(module)
    _run(module, _PASSES)
    _plain_signatures(module)
    return check_module(module, residual=STABLEHLO_RESIDUAL), markers, layers


def _run(module: Any, passes: tuple[str, ...]) -> None:
    pipeline = f"builtin.module({','.join(passes)})"
    with module.context:
        try:
            passmanager.PassManager.parse(pipeline).run(module.operation)
        except ir.MLIRError as error:
            raise ImportRefused(
                f"StableHLO cannot be lowered: {pass_failure(error)}"
            ) from error


def _raise_composites(module: Any) -> tuple[dict[str, int], list[str]]:
    """``stablehlo.composite "moe.*"`` becomes a marker call."""
    calls = MarkerCalls(ir, module)
    layers: list[str] = []
    for operation in nested_operations(module.operation):
        if operation.name != "stablehlo.composite":
            continue
        name = operation.attributes["name"].value
        if name.startswith("moe."):
            _raise_composite(calls, operation, name.removeprefix("moe."), layers)
    return dict(calls.counts), layers


def _raise_composite(
    calls: MarkerCalls, operation: Any, kind: str, layers: list[str]
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
        layer = attributes["layer"].value or _free_name(layers)
        layers.append(layer)
        with operation.context:
            attributes["layer"] = ir.StringAttr.get(layer)
    types = [result.type for result in operation.results]
    call = calls.call(
        kind, list(operation.operands), names, types, attributes, operation
    )
    for old, new in zip(operation.results, call.results, strict=True):
        old.replace_all_uses_with(new)
    operation.erase()


def _free_name(taken: list[str]) -> str:
    name, count = "moe", 0
    while name in taken:
        count += 1
        name = f"moe.{count}"
    return name


def _refuse_early(module: Any) -> None:
    """Operations that later passes would turn into something worse or leave behind."""
    for operation in nested_operations(module.operation):
        if operation.name in _ADVICE:
            raise ImportRefused(
                f"cannot import operation '{operation.name}' (at "
                f"{where(operation.location)}): {_ADVICE[operation.name]}"
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
