"""From an exported program to upstream dialects and marker calls, by torch-mlir."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch.export import ExportedProgram
from torch_mlir import ir
from torch_mlir.dialects import torch as torch_dialect
from torch_mlir.extras.fx_importer import FxImporter
from torch_mlir.passmanager import PassManager

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.importing.markers import MarkerCalls, check_kind, integer
from moe_mlir.importing.walk import (
    attribute_names,
    functions,
    nested_operations,
    pass_failure,
    where,
)

_TORCH_PASSES = (
    "func.func(torch-match-quantized-custom-ops)",
    # flatten and unflatten stay whole: decomposed to views they would be miscompiled.
    "torchdynamo-export-to-torch-backend-pipeline{"
    "backend-legal-ops=aten.flatten.using_ints,aten.unflatten.int extra-library=}",
)

# torch-backend-to-linalg-on-tensors-backend-pipeline without its final verifier,
# which refuses every call on tensors, and with a clean-up instead.
_LINALG_PASSES = (
    "func.func(torch-restructure-non-constant-axes,torch-fuse-quantized-ops)",
    "func.func(convert-torch-to-tmtensor)",
    "canonicalize",
    "func.func(convert-torch-to-linalg)",
    "canonicalize",
    "func.func(convert-torch-to-scf)",
    "func.func(convert-torch-to-arith)",
    "func.func(convert-torch-to-tensor)",
    "convert-torch-conversion-to-mlprogram",
    "func.func(memref-expand)",
    "func.func(canonicalize)",
    "func.func(resolve-shaped-type-result-dims)",
    "func.func(cse)",
    "torch-func-backend-type-conversion",
    "func.func(canonicalize)",
    "func.func(torch-finalizing-backend-type-conversion)",
    "canonicalize",
    "cse",
    "symbol-dce",
)

_LITERALS = frozenset(
    f"torch.constant.{kind}" for kind in ("int", "float", "str", "bool")
)


def lower(
    program: ExportedProgram, weight_names: Sequence[str]
) -> tuple[Any, dict[str, int]]:
    """The ``torch_mlir.ir.Module`` of a prepared program, and its markers by kind.

    Args:
        program: An exported program whose last inputs are the weights.
        weight_names: Their names, in order.

    Raises:
        ImportRefused: An operation is unknown, or torch-mlir's result is not sound.
    """
    module = _fx_import(program)
    markers = _raise_markers(module)
    try:
        _run(module, _TORCH_PASSES)
        _run(module, _LINALG_PASSES)
    except Exception as error:  # bindings raise MLIRError, a plain Exception
        raise ImportRefused(
            f"torch-mlir cannot lower the module: {pass_failure(error)}"
        ) from error
    refuse_shape_claims(module)
    _reshape_to_expand(module)
    _run(module, ("canonicalize", "cse"))
    _finish_signature(module, weight_names)
    return module, markers


def refuse_shape_claims(module: Any) -> None:
    """Refuses a ``tensor.cast`` that turns ``?`` into a number.

    Such a cast is an unchecked claim about a size; where torch-mlir makes a wrong one
    the compiled code would read other memory without an error.
    """
    for operation in nested_operations(module.operation):
        if operation.name != "tensor.cast":
            continue
        old, new = operation.operands[0].type, operation.results[0].type
        if not isinstance(old, ir.RankedTensorType):
            continue
        claims = (
            old.is_dynamic_dim(i) and not new.is_dynamic_dim(i) for i in range(old.rank)
        )
        if any(claims):
            raise ImportRefused(
                f"torch-mlir claims a size that it does not know ({old} to {new}, at "
                f"{where(operation.location)}); the compiled code would be wrong: "
                "write the reshape as torch.flatten, or make this dimension static"
            )


def _reshape_to_expand(module: Any) -> None:
    """A ``tensor.reshape`` that splits the first dimension becomes an expand_shape.

    A reshape would carry its sizes through memory, which the compiler then allocates.
    """
    for operation in nested_operations(module.operation):
        if operation.name != "tensor.reshape":
            continue
        source, sizes = operation.operands
        old, new = source.type, operation.results[0].type
        elements = getattr(sizes.owner, "operation", sizes.owner)
        if (
            elements.name != "tensor.from_elements"
            or not isinstance(old, ir.RankedTensorType)
            or new.rank != old.rank + 1
            or any(old.is_dynamic_dim(i) for i in range(1, old.rank))
            or list(old.shape)[1:] != list(new.shape)[2:]
        ):
            continue
        groups = [[0, 1]] + [[i] for i in range(2, new.rank)]
        with module.context, operation.location:
            insert = ir.InsertionPoint(operation)
            index = ir.IndexType.get()
            dynamic = [
                ir.Operation.create(
                    "arith.index_cast",
                    results=[index],
                    operands=[elements.operands[i]],
                    ip=insert,
                ).result
                for i in range(new.rank)
                if new.is_dynamic_dim(i)
            ]
            expanded = ir.Operation.create(
                "tensor.expand_shape",
                results=[new],
                operands=[source, *dynamic],
                attributes={
                    "reassociation": ir.ArrayAttr.get(
                        [
                            ir.ArrayAttr.get([integer(ir, i) for i in group])
                            for group in groups
                        ]
                    ),
                    "static_output_shape": ir.DenseI64ArrayAttr.get(new.shape),
                },
                ip=insert,
            )
        operation.results[0].replace_all_uses_with(expanded.result)
        operation.erase()


def _fx_import(program: ExportedProgram) -> Any:
    context = ir.Context()
    torch_dialect.register_dialect(context)
    with context:
        # The bindings register only `torch`; running a pass that depends on `torch_c`
        # loads that as well.
        empty = ir.Module.parse("module {}")
        _run(empty, ("torch-func-backend-type-conversion",))
    importer = FxImporter(context=context)
    importer.import_program(program, func_name="main")
    return importer.module


def _run(module: Any, passes: Sequence[str]) -> None:
    with module.context:
        PassManager.parse(f"builtin.module({','.join(passes)})").run(module.operation)


def _raise_markers(module: Any) -> dict[str, int]:
    """``torch.operator "torch.moe.*"`` becomes a marker call on builtin tensors."""
    calls = MarkerCalls(ir, module)
    operators = [
        (operation, operation.attributes["name"].value)
        for operation in nested_operations(module.operation)
        if operation.name == "torch.operator"
    ]
    unknown = [pair for pair in operators if not pair[1].startswith("torch.moe.")]
    if unknown:
        operation, name = unknown[0]
        count = sum(other == name for _, other in unknown)
        raise ImportRefused(
            f"cannot import operator '{name.removeprefix('torch.')}' ({count} of it, "
            f"the first at {where(operation.location)}): torch-mlir does not know it; "
            "write this part of the model with other operators, or import the MoE "
            "layers alone"
        )
    for operation, name in operators:
        kind = name.split(".")[2]
        check_kind(kind, where(operation.location))
        _raise_marker(calls, operation, kind)
    return dict(calls.counts)


def _raise_marker(calls: MarkerCalls, operation: Any, kind: str) -> None:
    schema = getattr(torch.ops.moe, kind).default._schema
    attributes: dict[str, Any] = {}
    names: list[str] = []
    values: list[Any] = []
    insert = ir.InsertionPoint(operation)
    with operation.context, operation.location:
        for argument, value in zip(schema.arguments, operation.operands, strict=True):
            if str(value.type).startswith("!torch.vtensor"):
                names.append(argument.name)
                values.append(
                    ir.Operation.create(
                        "torch_c.to_builtin_tensor",
                        results=[_builtin_type(value.type)],
                        operands=[value],
                        ip=insert,
                    ).result
                )
            elif str(value.type) != "!torch.none":
                attributes[argument.name] = _literal(kind, argument.name, value)
    results = [_builtin_type(result.type) for result in operation.results]
    call = calls.call(kind, values, names, results, attributes, operation)
    with operation.context, operation.location:
        for old, new in zip(operation.results, call.results, strict=True):
            back = ir.Operation.create(
                "torch_c.from_builtin_tensor",
                results=[old.type],
                operands=[new],
                ip=insert,
            )
            old.replace_all_uses_with(back.result)
    operation.erase()


def _literal(kind: str, name: str, value: Any) -> Any:
    owner = value.owner
    owner = getattr(owner, "operation", owner)
    if owner.name not in _LITERALS:
        raise ImportRefused(
            f"moe {kind}: '{name}' must be a constant, but the module computes it "
            f"({owner.name})"
        )
    literal = owner.attributes["value"]
    # torch.constant.int holds an i64; its signless form is what builtin passes expect.
    return integer(ir, literal.value) if owner.name.endswith(".int") else literal


_VTENSOR = re.compile(r"!torch\.vtensor<\[(?P<dims>.*)\],(?P<element>\w+)>")


def _builtin_type(torch_type: Any) -> Any:
    match = _VTENSOR.fullmatch(str(torch_type))
    if not match:
        raise ImportRefused(f"a tensor of unknown rank or type meets moe: {torch_type}")
    sizes = "".join(f"{size}x" for size in match["dims"].split(",") if size)
    element = re.sub(r"^[su]i", "i", match["element"])
    return ir.Type.parse(f"tensor<{sizes}{element}>", torch_type.context)


def _finish_signature(module: Any, weight_names: Sequence[str]) -> None:
    """Names the weight arguments of ``@main`` and drops torch-only attributes."""
    main = functions(module)["main"]
    with module.context:
        inputs = len(main.attributes["function_type"].value.inputs) - len(weight_names)
        main.attributes["arg_attrs"] = ir.ArrayAttr.get(
            [ir.DictAttr.get({})] * inputs
            + [
                ir.DictAttr.get({"moe.param": ir.StringAttr.get(name)})
                for name in weight_names
            ]
        )
        main.attributes["sym_visibility"] = ir.StringAttr.get("public")
        for function in functions(module).values():
            for key in attribute_names(function):
                if key.startswith("torch."):
                    del function.attributes[key]
