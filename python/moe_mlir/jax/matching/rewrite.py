"""A recognised layer becomes a route marker and an experts marker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jaxlib.mlir import ir

from moe_mlir.errors import MoEError
from moe_mlir.importing.markers import MARKER_OPERANDS, MarkerCalls, integer
from moe_mlir.importing.options import RouteOptions
from moe_mlir.jax.layers import ExpertOptions
from moe_mlir.jax.matching.elements import NotUnderstood, producer, shape
from moe_mlir.jax.matching.layer import Layer


def rewrite(layer: Layer, calls: MarkerCalls, name: str) -> None:
    """Replaces the layer's result by that of two marker calls.

    Raises:
        NotUnderstood: The compiler has no such layer; nothing is changed.
    """
    options = _options(layer, name)
    _check_types(layer)
    before: Any = producer(layer.output)
    with before.context, before.location:
        plan = _route(layer, calls, options, before)
        result = _experts(layer, calls, plan, before)
        result = _converted(result, layer.output.type.element_type, before)
        result = _reshaped(result, shape(layer.output), before)
    layer.output.replace_all_uses_with(result)


def _options(layer: Layer, name: str) -> RouteOptions:
    gates = layer.gates
    try:
        return RouteOptions.make(
            layer.k,
            experts=shape(layer.logits)[-1],
            rank=1 + len(layer.sizes),
            scope="token",
            score=gates.score,
            normalize=gates.normalize,
            groups=layer.groups.options if layer.groups else None,
            floor=0,
            cap=None,
            scale=gates.scale,
            eps=gates.eps,
            norm_min=gates.norm_min,
            rank_logits=False,
            layer=name,
        )
    except MoEError as error:
        raise NotUnderstood(str(error), layer.anchor) from error


def _check_types(layer: Layer) -> None:
    """x and the weights are of one type of float; logits of one that routes."""
    if str(layer.logits.type.element_type) not in ("f32", "bf16", "f16"):
        raise NotUnderstood(
            f"its logits are {layer.logits.type}; routing reads f32, bf16 and f16",
            layer.anchor,
        )
    element = layer.x.type.element_type
    for label, weight in layer.experts.weights.items():
        have = layer.elements.value(weight.element).type
        if have.element_type != element:
            raise NotUnderstood(
                f"the experts' {label} is {have} and their input {layer.x.type}; "
                "convert one of them",
                layer.anchor,
            )


def _create(
    name: str, operands: Sequence[Any], result: Any, before: Any, **attributes: Any
) -> Any:
    return ir.Operation.create(
        name,
        results=[result],
        operands=list(operands),
        attributes=attributes,
        ip=ir.InsertionPoint(before),
    ).result


def _reshaped(value: Any, sizes: Sequence[int], before: Any) -> Any:
    if shape(value) == list(sizes):
        return value
    result = ir.RankedTensorType.get(list(sizes), value.type.element_type)
    return _create("stablehlo.reshape", [value], result, before)


def _converted(value: Any, element: Any, before: Any) -> Any:
    if value.type.element_type == element:
        return value
    result = ir.RankedTensorType.get(shape(value), element)
    return _create("stablehlo.convert", [value], result, before)


def _ordered(value: Any, order: Sequence[int], before: Any) -> Any:
    """A weight with its dimensions in this order."""
    if list(order) == sorted(order):
        return value
    sizes = [shape(value)[d] for d in order]
    return _create(
        "stablehlo.transpose",
        [value],
        ir.RankedTensorType.get(sizes, value.type.element_type),
        before,
        permutation=ir.DenseI64ArrayAttr.get(list(order)),
    )


def _attribute(value: Any) -> Any:
    if isinstance(value, bool):
        return ir.BoolAttr.get(value)
    if isinstance(value, int):
        return integer(ir, value)
    if isinstance(value, float):
        return ir.FloatAttr.get_f64(value)
    return ir.StringAttr.get(value)


def _index_type(*sizes: int) -> Any:
    return ir.RankedTensorType.get(list(sizes), ir.IntegerType.get_signless(32))


def _route(
    layer: Layer, calls: MarkerCalls, options: RouteOptions, before: Any
) -> list[Any]:
    experts = shape(layer.logits)[-1]
    operands = [_reshaped(layer.logits, (*layer.sizes, experts), before)]
    names = ["logits"]
    if layer.bias is not None:
        operands.append(_converted(layer.bias, ir.F32Type.get(), before))
        names.append("choice_bias")
    sequences, tokens = (1, *layer.sizes)[-2:]
    rows = math.prod(layer.sizes) * layer.k
    types = [
        _index_type(experts + 1),
        _index_type(rows),
        _index_type(sequences, tokens + 1),
        _index_type(rows),
        ir.RankedTensorType.get([rows], ir.F32Type.get()),
    ]
    attributes = {k: _attribute(v) for k, v in options.attributes().items()}
    call = calls.call("route", operands, names, types, attributes, before)
    return list(call.results)


def _experts(layer: Layer, calls: MarkerCalls, plan: list[Any], before: Any) -> Any:
    found = layer.experts
    matrices = [w for label, w in found.weights.items() if not label.endswith("_bias")]
    layout = "nk" if all(w.order == (0, 2, 1) for w in matrices) else "kn"
    hidden = shape(layer.x)[-1]
    sequences, tokens = (1, *layer.sizes)[-2:]
    operands = [_reshaped(layer.x, (sequences, tokens, hidden), before), *plan]
    names = ["x", "expert_offsets", "row_token", "token_offsets", "token_row", "gates"]
    for name in MARKER_OPERANDS["experts"]:
        label = name.rstrip("?")
        weight = found.weights.get(label)
        if weight is None:
            continue
        order = weight.order
        if layout == "nk" and len(order) == 3:
            order = (order[0], order[2], order[1])
        value = layer.elements.value(weight.element)
        operands.append(_ordered(value, order, before))
        names.append(label)
    options = ExpertOptions(
        found.activation,
        layout,
        found.arrangement,
        found.limit,
        found.alpha,
        "output",
    )
    attributes = {k: _attribute(v) for k, v in options.attributes().items()}
    call = calls.call(
        "experts", operands, names, [operands[0].type], attributes, before
    )
    return call.results[0]
