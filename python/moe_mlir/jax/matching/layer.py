"""The whole recipe: from a ``top_k`` to the value that is the layer's result."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from moe_mlir.jax.matching.choice import Key, key_of
from moe_mlir.jax.matching.elements import (
    Elements,
    NotUnderstood,
    dependents,
    is_float,
    producer,
    shape,
)
from moe_mlir.jax.matching.experts import COLUMN, Experts, experts_of
from moe_mlir.jax.matching.groups import Groups
from moe_mlir.jax.matching.router import Gates, gates_of, widened
from moe_mlir.jax.matching.sums import atoms, factors, product, total
from moe_mlir.jax.matching.terms import (
    Term,
    as_atom,
    bounds,
    integer,
    linear,
    plus,
    times,
    value_of,
    variable,
)
from moe_mlir.jax.matching.uses import check_uses

#: So many values after a choice are tried as the layer's result.
_CANDIDATES = 200


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer that was recognised.

    Attributes:
        anchor: The ``top_k``.
        output: The value that is its result, ``[S, T, H]`` or ``[T, H]``.
        sizes: (S, T), or (T,) where nothing says what the sequences are.
        logits: ``[..., E]``.
        bias: Added to the scores for the choice only, ``[E]``; or None.
        x: ``[..., H]``.
    """

    anchor: Any
    elements: Elements
    output: Any
    sizes: tuple[int, ...]
    logits: Any
    bias: Any | None
    gates: Gates
    x: Any
    experts: Experts
    groups: Groups | None

    @property
    def k(self) -> int:
        return expert_count(self.anchor)


class _Mismatch(NotUnderstood):
    """A value is not the layer's result; the further the match went, the more it
    says."""

    def __init__(self, stage: int, why: str) -> None:
        super().__init__(why)
        self.stage = stage


def match(anchor: Any) -> Layer:
    """The layer whose choice an operation ``chlo.top_k`` is.

    Raises:
        NotUnderstood: There is none that is understood as a whole.
    """
    scores = anchor.operands[0]
    static = scores.type.has_static_shape
    if not static or not is_float(scores) or scores.type.rank not in (2, 3):
        raise NotUnderstood(
            f"it chooses from a tensor {scores.type}; a layer's scores are "
            "[S, T, E] or [T, E]",
            anchor,
        )
    e = Elements(anchor)
    key = key_of(e)
    best: NotUnderstood | None = None
    for value in _candidates(anchor):
        error: NotUnderstood
        try:
            layer = _layer(e, key, value)
        except RecursionError:
            error = NotUnderstood("what follows from the choice is too deep")
        except NotUnderstood as raised:
            error = raised
        else:
            layer = _extend(layer, key)
            check_uses(layer.elements, layer.output)
            return layer
        if best is None or _stage(error) > _stage(best):
            best = error
        elif _stage(error) == _stage(best) > 1:
            best = error  # The later value is the more likely result.
    raise best or NotUnderstood("no value after it is a layer's result", anchor)


def _stage(error: NotUnderstood) -> int:
    return getattr(error, "stage", 1)


def _candidates(anchor: Any) -> list[Any]:
    """Values that could be a layer's result, in the order of the program."""
    dependent = dependents(anchor)
    tokens = math.prod(shape(anchor.results[1])[:-1])
    found = []
    for one in anchor.block.operations:
        for value in one.operation.results:
            if value in dependent and is_float(value) and value.type.rank in (2, 3):
                *leading, last = shape(value)
                if math.prod(leading) == tokens and last > 1:
                    found.append(value)
    return found[:_CANDIDATES]


def _tokens(anchor: Any, value: Any) -> tuple[int, ...]:
    """(S, T) where the choice or the result has both, else (T,)."""
    for one in (anchor.results[1], value):
        if one.type.rank == 3:
            return tuple(shape(one)[:-1])
    return tuple(shape(value)[:-1])


def _without_constants(term: Term) -> tuple[Term, list[Term]]:
    """A sum and the constants that each of its terms is multiplied by."""
    if term.head != "sum":
        return term, []
    v, body = term.args
    constants = [part for part in factors(body) if value_of(part) is not None]
    if not constants:
        return term, []
    rest = product(part for part in factors(body) if part not in constants)
    return total(linear(0, [(v, 1)]), rest), constants


def _sequences(x: Any) -> tuple[int, ...]:
    """(S, T) if x is [S, T, H], or is reshaped from that; else (T,)."""
    operation = producer(x)
    if x.type.rank == 2 and operation is not None:
        if operation.name == "stablehlo.reshape":
            given = operation.operands[0]
            if given.type.rank == 3 and shape(given)[-1] == shape(x)[-1]:
                x = given
    return tuple(shape(x)[:-1])


def _layer(e: Elements, key: Key, value: Any) -> Layer:
    anchor = e.anchor
    sizes = _tokens(anchor, value)
    token = [variable(f"t{i}", size) for i, size in enumerate(sizes)]
    place = _flat(token, sizes)
    output = variable("h", shape(value)[-1])
    leading = token if value.type.rank - 1 == len(sizes) else [place]
    term = e.at(value, (*leading, output))
    while term.head == "round":
        term = term.args[1]
    choice, term, expert = _terms_of_choice(anchor, term, place)
    parts = factors(term)
    results = [part for part in parts if as_atom(output) in part.free]
    if expert is None or len(results) != 1:
        raise _Mismatch(0, "no value after it is a sum over the chosen experts")
    result, constants = _without_constants(results[0])
    gate = product([*(part for part in parts if part is not results[0]), *constants])
    try:
        experts = experts_of(e, result, expert, output)
    except NotUnderstood as error:
        raise _Mismatch(2, str(error)) from error
    try:
        x = _input(e, experts.inputs, place)
        if shape(x)[-1] != shape(value)[-1]:
            raise NotUnderstood(
                f"an expert's input has {shape(x)[-1]} columns and its result "
                f"{shape(value)[-1]}"
            )
        gates = gates_of(e, gate, choice, expert)
        _check_router(e, key, gates, expert, place)
    except NotUnderstood as error:
        raise _Mismatch(3, str(error)) from error
    return Layer(
        anchor,
        e,
        value,
        _sequences(x) if len(sizes) == 1 else sizes,
        e.value(key.score.logit),
        key.bias,
        gates,
        x,
        experts,
        key.groups,
    )


def _flat(index: Any, sizes: Any) -> Term:
    """The row-major position of an index."""
    flat = integer(0)
    for one, size in zip(index, sizes, strict=True):
        flat = plus(times(flat, size), one)
    return flat


def expert_count(anchor: Any) -> int:
    """K."""
    return shape(anchor.results[1])[-1]


def _is_token(index: Any, sizes: Any, place: Term) -> bool:
    """Whether an index of all tokens is that of the token at ``place``."""
    last = integer(math.prod(sizes) - 1)
    complete = bounds(plus(last, place, -1))[0] == 0
    return complete and _flat(index, sizes) is place


def _terms_of_choice(
    anchor: Any, term: Term, place: Term
) -> tuple[Term, Term, Term | None]:
    """k, the summand of the sum over k, and ids(token, k)."""
    if expert_count(anchor) == 1:
        return integer(0), term, _expert(term, integer(0), place)
    # Sums of finite terms: their order is ours to choose.
    outside: list[Term] = []
    while term.head == "sum":
        v, body = term.args
        choice = linear(0, [(v, 1)])
        expert = _expert(body, choice, place)
        if expert is not None and v.args[1] == expert_count(anchor):
            for other in reversed(outside):
                body = total(linear(0, [(other, 1)]), body)
            return choice, body, expert
        outside.append(v)
        term = body
    raise _Mismatch(0, "no value after it is a sum over the chosen experts")


def _expert(term: Term, choice: Term, place: Term) -> Term | None:
    """ids(token, choice) of the token at ``place``, if a formula mentions it."""
    for item in atoms(term):
        if item.head == "ids" and item.args[0] == 0:
            *token, k = item.args[3:]
            if k is choice and _flat(token, item.args[2][:-1]) is place:
                return linear(0, [(item, 1)])
    return None


def _input(e: Elements, term: Term, place: Term) -> Any:
    """The value x of which a formula is the element of the token and column."""
    while term.head == "round":
        term = term.args[1]
    while term.head == "el":
        value, *index = e.value(term), *term.args[1:]
        column = as_atom(index[-1], "var")
        if column is not None and column.args[0] == COLUMN:
            sizes = shape(value)
            rest = index[:-1]
            whole = sizes[-1] == column.args[1]
            if whole and len(rest) in (1, 2) and _is_token(rest, sizes[:-1], place):
                return value
        try:
            term = e.unfold(value, term.args[1:])
        except NotUnderstood:
            break
    raise NotUnderstood("the experts' input is no row of a value [..., H] for a token")


def _check_router(
    e: Elements, key: Key, gates: Gates, expert: Term, place: Term
) -> None:
    """The gates follow from the scores of the choice."""
    logit, chosen = widened(e, gates.logit), widened(e, key.score.logit)
    if logit.head != "el" or e.value(logit) != e.value(chosen):
        raise NotUnderstood("the gates follow from other logits than the choice")
    *token, last = logit.args[1:]
    *leading, experts = shape(e.value(logit))
    if (
        last is not expert
        or experts != shape(e.anchor.operands[0])[-1]
        or not _is_token(token, leading, place)
    ):
        raise NotUnderstood("a gate is not that of the pair that it weights")
    if key.score.kind == "identity" and (
        key.groups is None or key.groups.score == "max"
    ):
        return  # A score keeps the order of a token's logits.
    if key.score.kind != gates.score:
        raise NotUnderstood(
            f"experts are chosen by {key.score.kind} and weighted by {gates.score}"
        )


def _extend(layer: Layer, key: Key) -> Layer:
    """The layer up to a value that has the sequences, and the type of the input."""
    while True:
        uses = list(layer.output.uses)
        if len(uses) != 1:
            return layer
        user = uses[0].owner.operation
        moves = ("stablehlo.reshape", "stablehlo.convert")
        if user.name not in moves or user.block != layer.anchor.block:
            return layer
        try:
            longer = _layer(layer.elements, key, user.results[0])
        except NotUnderstood:
            return layer
        if len(layer.sizes) == 2 and longer.sizes != layer.sizes:
            return layer
        layer = longer
