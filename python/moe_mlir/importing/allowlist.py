"""Which operations an imported module may contain, and with which attributes.

The producers' MLIR is newer than ours. Two things go wrong silently or obscurely
when text crosses that gap: our parser *drops* an unknown key of a registered
operation's properties without a word, and rejects an unknown operation of a known
dialect with a bare parse error. So the check is made before printing, while the
producer still knows what it means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.importing.walk import attribute_names, nested_operations, where

_FAST = ("fastmath",)
_WRAP = ("overflowFlags",)


def _ops(dialect: str, names: str, *keys: str) -> dict[str, frozenset[str]]:
    return {f"{dialect}.{name}": frozenset(keys) for name in names.split()}


#: Attribute keys by operation. An operation that is absent here is refused.
ALLOWED: dict[str, frozenset[str]] = {
    **_ops("builtin", "module", "sym_name"),
    **_ops(
        "func",
        "func",
        "sym_name",
        "sym_visibility",
        "function_type",
        "arg_attrs",
        "res_attrs",
        "moe.marker",
    ),
    **_ops("func", "call", "callee", "arg_attrs", "res_attrs"),
    **_ops("func", "return"),
    **_ops("arith", "constant", "value"),
    **_ops("arith", "addf subf mulf divf remf negf extf", *_FAST),
    **_ops("arith", "maximumf minimumf maxnumf minnumf", *_FAST),
    **_ops("arith", "truncf", "roundingmode", *_FAST),
    **_ops("arith", "cmpf", "predicate", *_FAST),
    **_ops("arith", "cmpi", "predicate"),
    **_ops("arith", "addi subi muli shli trunci index_cast", *_WRAP),
    **_ops("arith", "divsi divui remsi remui ceildivsi floordivsi ceildivui"),
    **_ops("arith", "andi ori xori shrsi shrui maxsi maxui minsi minui"),
    **_ops("arith", "extsi extui fptosi fptoui sitofp uitofp bitcast"),
    **_ops("arith", "index_castui select"),
    **_ops("math", "absf atan atan2 cbrt ceil cos erf exp exp2 expm1", *_FAST),
    **_ops("math", "floor fma log log10 log1p log2 powf round", *_FAST),
    **_ops("math", "roundeven rsqrt sin sqrt tan tanh trunc copysign", *_FAST),
    **_ops("math", "fpowi isnan isinf isfinite", *_FAST),
    **_ops("math", "absi ctlz ctpop cttz ipowi"),
    **_ops(
        "linalg",
        "generic",
        "indexing_maps",
        "iterator_types",
        "operandSegmentSizes",
    ),
    **_ops(
        "linalg",
        "matmul batch_matmul",
        "indexing_maps",
        "operandSegmentSizes",
        "cast",
        "linalg.memoized_indexing_maps",
    ),
    **_ops(
        "linalg",
        "fill dot matvec vecmat batch_matvec",
        "operandSegmentSizes",
        "linalg.memoized_indexing_maps",
    ),
    **_ops("linalg", "transpose", "permutation"),
    **_ops("linalg", "broadcast reduce", "dimensions"),
    **_ops("linalg", "map", "operandSegmentSizes"),
    **_ops("linalg", "index", "dim"),
    **_ops("linalg", "yield"),
    **_ops("tensor", "empty extract insert dim cast from_elements reshape yield"),
    **_ops("tensor", "splat generate"),
    **_ops("tensor", "concat", "dim"),
    **_ops("tensor", "collapse_shape", "reassociation"),
    **_ops("tensor", "expand_shape", "reassociation", "static_output_shape"),
    **_ops(
        "tensor",
        "extract_slice insert_slice",
        "static_offsets",
        "static_sizes",
        "static_strides",
        "operandSegmentSizes",
    ),
    **_ops(
        "tensor",
        "pad",
        "static_low",
        "static_high",
        "nofold",
        "operandSegmentSizes",
    ),
    **_ops("scf", "if while yield condition"),
    **_ops("scf", "for", "unsignedCmp"),
    **_ops("affine", "apply", "map"),
    **_ops("cf", "assert", "msg"),
}

#: StableHLO operations that ``moe-import-residual`` lowers.
STABLEHLO_RESIDUAL = frozenset(
    f"stablehlo.{name}"
    for name in (
        "case",
        "dynamic_broadcast_in_dim",
        "dynamic_reshape",
        "get_dimension_size",
        "if",
        "optimization_barrier",
        "return",
        "scatter",
        "sort",
        "while",
    )
)


#: Operations of torch-mlir that ``moe-import-residual`` lowers.
TORCH_RESIDUAL = frozenset(
    f"tm_tensor.{name}" for name in ("scan", "scatter", "sort", "yield")
)


def check_module(
    module: Any, *, residual: Collection[str] = frozenset()
) -> dict[str, int]:
    """Refuses operations and attributes that the compiler would not understand.

    Args:
        module: A module of the producer's MLIR bindings.
        residual: Names of unregistered operations that are let through.

    Returns:
        How often each residual operation occurs.

    Raises:
        ImportRefused: Names the first offending operation, how many there are, and
            one location.
    """
    left: Counter[str] = Counter()
    refused: dict[str, list[Any]] = {}
    for operation in nested_operations(module.operation):
        name = operation.name
        if name in residual:
            left[name] += 1
            continue
        if name not in ALLOWED:
            refused.setdefault(name, []).append(operation)
            continue
        extra = [key for key in attribute_names(operation) if key not in ALLOWED[name]]
        if extra:
            raise ImportRefused(
                f"operation '{name}' carries the attribute {extra[0]!r}, which the "
                f"compiler's MLIR does not know and would drop silently "
                f"(at {where(operation.location)}); the producer is newer than what "
                "was tested: install the tested versions"
            )
    if refused:
        name, operations = next(iter(refused.items()))
        others = ", ".join(sorted(set(refused) - {name}))
        raise ImportRefused(
            f"cannot import operation '{name}' ({len(operations)} of it, the first "
            f"at {where(operations[0].location)})"
            + (f"; also not supported: {others}" if others else "")
            + ": rewrite this part of the model with other operations, or import "
            "the MoE layer alone"
        )
    return dict(left)
