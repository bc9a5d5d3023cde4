"""The whole recipe: from a ``top_k`` to the value that is the layer's result."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from moe_mlir.importing.walk import where
from moe_mlir.jax.matching.elements import (
    Elements,
    NotUnderstood,
    dependents,
    in_block,
    is_float,
    producer,
    shape,
)
from moe_mlir.jax.matching.experts import COLUMN, Experts, experts_of
from moe_mlir.jax.matching.router import (
    Gates,
    Score,
    gates_of,
    score_of,
    without_rounding,
)
from moe_mlir.jax.matching.sums import atoms, factors, product, total
from moe_mlir.jax.matching.terms import (
    Term,
    as_atom,
    bounds,
    integer,
    linear,
    plus,
    times,
    variable,
)

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

    @property
    def k(self) -> int:
        return expert_count(self.anchor)


@dataclasses.dataclass(frozen=True)
class _Key:
    score: Score
    bias: Any | None


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
    key = _key(e)
    best: NotUnderstood | None = None
    for value in _candidates(anchor):
        try:
            layer = _layer(e, key, value)
        except (NotUnderstood, RecursionError) as raised:
            error = raised
            if isinstance(raised, RecursionError):
                error = NotUnderstood("what follows from the choice is too deep")
            if best is None or _stage(error) > _stage(best):
                best = error
            elif _stage(error) == _stage(best) > 1:
                best = error  # The later value is the more likely result.
            continue
        layer = _extend(layer, key)
        _check_uses(layer)
        return layer
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


def _key(e: Elements) -> _Key:
    """The score by which experts are chosen, and the bias."""
    scores = e.anchor.operands[0]
    *leading, experts = shape(scores)
    token = [variable(f"token{i}", size) for i, size in enumerate(leading)]
    expert = variable("expert", experts)
    term = e.at(scores, (*token, expert))
    score = score_of(e, term, expert)
    if score.kind != "identity":
        return _Key(_checked(score), None)
    inner = without_rounding(e, term)
    if inner.args[:1] == ("add",):
        for one, other in (inner.args[1:], inner.args[:0:-1]):
            score = score_of(e, one, expert)
            bias = _vector(e, other, expert)
            if score.kind != "identity" and bias is not None:
                return _Key(_checked(score), bias)
    return _Key(Score("identity", e.opaque(scores, (*token, expert))), None)


def _checked(score: Score) -> Score:
    if score.logit.head != "el":
        raise NotUnderstood("the logits are no value of the program")
    return score


def _vector(e: Elements, term: Term, index: Term) -> Any | None:
    """The value [n] of which a formula is the element at an index."""
    while term.head == "el" and term.args[1:] != (index,):
        operation = producer(e.value(term))
        moves = ("stablehlo.broadcast_in_dim", "stablehlo.reshape", "stablehlo.convert")
        if operation is None or operation.name not in moves:
            return None
        term = e.unfold(e.value(term), term.args[1:])
    return e.value(term) if term.head == "el" else None


def _tokens(anchor: Any, value: Any) -> tuple[int, ...]:
    """(S, T) where the choice or the result has both, else (T,)."""
    for one in (anchor.results[1], value):
        if one.type.rank == 3:
            return tuple(shape(one)[:-1])
    return tuple(shape(value)[:-1])


def _sequences(x: Any) -> tuple[int, ...]:
    """(S, T) if x is [S, T, H], or is reshaped from that; else (T,)."""
    operation = producer(x)
    if x.type.rank == 2 and operation is not None:
        if operation.name == "stablehlo.reshape":
            given = operation.operands[0]
            if given.type.rank == 3 and shape(given)[-1] == shape(x)[-1]:
                x = given
    return tuple(shape(x)[:-1])


def _layer(e: Elements, key: _Key, value: Any) -> Layer:
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
    gate = product(part for part in parts if part is not results[0])
    try:
        experts = experts_of(e, results[0], expert, output)
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
        if item.head == "ids":
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
    e: Elements, key: _Key, gates: Gates, expert: Term, place: Term
) -> None:
    """The gates follow from the scores of the choice."""
    logit, chosen = gates.logit, key.score.logit
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
    if key.score.kind == "identity":
        return  # A score keeps the order of a token's logits.
    if key.score.kind != gates.score:
        raise NotUnderstood(
            f"experts are chosen by {key.score.kind} and weighted by {gates.score}"
        )


def _extend(layer: Layer, key: _Key) -> Layer:
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


def recipe_of(layer: Layer) -> set[Any]:
    """The operations from the choice to the layer's result."""
    recipe = {layer.anchor}
    waiting = [producer(layer.output)]
    dependent = layer.elements.dependent
    while waiting:
        operation = waiting.pop()
        if operation in recipe:
            continue
        recipe.add(operation)
        for operand in operation.operands:
            if operand in dependent:
                waiting.append(producer(operand))
    return recipe


def _check_uses(layer: Layer) -> None:
    """Nothing else reads the choice: it would go on choosing token by token.

    Raises:
        NotUnderstood: Names what reads it.
    """
    recipe = recipe_of(layer)
    for operation in recipe:
        for result in operation.results:
            if result == layer.output:
                continue
            for use in result.uses:
                user = in_block(use.owner.operation, layer.anchor.block)
                if user not in recipe and _is_live(user, layer.anchor.block):
                    raise NotUnderstood(
                        f"the choice is also read by '{user.name}' at "
                        f"{where(user.location)}, which would go on choosing token by "
                        "token; return the logits and compute it from them"
                    )


def _is_live(operation: Any, block: Any) -> bool:
    """Whether a result reaches the end of the block, or nobody knows."""
    seen, waiting = set(), [operation]
    while waiting:
        one = waiting.pop()
        if not list(one.results) or list(one.regions):
            return True
        if one in seen:
            continue
        seen.add(one)
        for result in one.results:
            waiting += [in_block(use.owner.operation, block) for use in result.uses]
    return False
