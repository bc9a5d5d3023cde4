"""Which score a formula is, and how gates follow from the scores of the choice."""

from __future__ import annotations

import dataclasses

from moe_mlir.jax.matching.elements import Elements, NotUnderstood, producer
from moe_mlir.jax.matching.sums import factors, product
from moe_mlir.jax.matching.terms import (
    Term,
    as_atom,
    substitute,
    value_of,
)


@dataclasses.dataclass(frozen=True)
class Score:
    """A score of one pair.

    Attributes:
        kind: "softmax", "sigmoid" or "identity".
        logit: The logit, an ``el``.
    """

    kind: str
    logit: Term


@dataclasses.dataclass(frozen=True)
class Gates:
    """How gates follow from scores; the words of the routing options."""

    score: str
    normalize: str
    logit: Term
    scale: float
    eps: float
    norm_min: float


def _is(term: Term, name: str) -> bool:
    return term.head == "fn" and term.args[0] == name


def without_rounding(e: Elements, term: Term) -> Term:
    """A formula with the roundings around it passed over."""
    term = e.expand(term)
    while term.head == "round":
        term = e.expand(term.args[1])
    return term


def score_of(e: Elements, term: Term, over: Term) -> Score:
    """The score that a formula is; an identity if it is none of the others.

    Args:
        term: The formula.
        over: The index over which a softmax would run, as it is in ``term``.
    """
    found = _softmax(e, term, over)
    if found is not None:
        return Score("softmax", found)
    found = _sigmoid(e, term)
    if found is not None:
        return Score("sigmoid", found)
    return Score("identity", term)


def _sigmoid(e: Elements, term: Term) -> Term | None:
    term = without_rounding(e, term)
    if _is(term, "logistic"):
        return term.args[1]  # type: ignore[no-any-return]
    if not _is(term, "divide") or value_of(term.args[1]) != 1:
        return None
    bottom = without_rounding(e, term.args[2])
    if not _is(bottom, "add"):
        return None
    for one, other in (bottom.args[1:], bottom.args[:0:-1]):
        power = without_rounding(e, other)
        if value_of(one) == 1 and _is(power, "exponential"):
            inner = without_rounding(e, power.args[1])
            if _is(inner, "negate"):
                return inner.args[1]  # type: ignore[no-any-return]
    return None


def _softmax(e: Elements, term: Term, over: Term) -> Term | None:
    """The logit x_i, if a formula is exp(x_i - m) / sum_j exp(x_j - m)."""
    term = without_rounding(e, term)
    if not _is(term, "divide"):
        return None
    top, bottom = term.args[1], without_rounding(e, term.args[2])
    if not _over(e, bottom, "sum", top, over):
        return None
    power = without_rounding(e, top)
    if not _is(power, "exponential"):
        return None
    shifted = power.args[1]
    difference = without_rounding(e, shifted)
    if _is(difference, "subtract"):
        logit, highest = difference.args[1], without_rounding(e, difference.args[2])
        while _is(highest, "maximum") and float("-inf") in map(
            value_of, highest.args[1:]
        ):
            args = highest.args[1:]
            highest = without_rounding(e, args[value_of(args[0]) == float("-inf")])
        if _over(e, highest, "max", logit, over):
            return logit  # type: ignore[no-any-return]
    # Whatever else is subtracted may be infinite: it belongs to the logits.
    return shifted  # type: ignore[no-any-return]


def _over(e: Elements, term: Term, head: str, body: Term, over: Term) -> bool:
    """Whether a sum or maximum is that of ``body`` over all values of ``over``."""
    if term.head != head:
        return as_atom(over) is None and widened(e, term) is widened(e, body)
    v, inner = term.args
    item = as_atom(over)
    size = item.args[1] if item is not None and item.head in ("var", "ids") else None
    if size != v.args[1]:
        return False
    return widened(e, substitute(inner, {v: over})) is widened(e, body)


def widened(e: Elements, term: Term) -> Term:
    """An element before it was converted to a wider type."""
    while term.head == "el":
        operation = producer(e.value(term))
        if operation is None or operation.name != "stablehlo.convert":
            break
        inner = e.unfold(e.value(term), term.args[1:])
        if inner.head != "el":
            break
        term = inner
    return term


def gates_of(e: Elements, gate: Term, choice: Term, expert: Term) -> Gates:
    """How a gate follows from the logits.

    Args:
        gate: The gate of a pair.
        choice: k, the number of the pair among its token's.
        expert: ids(token, k).

    Raises:
        NotUnderstood: It is no formula of the routing contract.
    """
    scale = 1.0
    rest = []
    for part in factors(gate):
        value = value_of(part)
        if value is None:
            rest.append(part)
        else:
            scale *= value
    if len(rest) != 1:
        raise NotUnderstood(f"the gate is a product of {len(rest)} factors")
    term = without_rounding(e, rest[0])
    if _is(term, "divide"):
        value = value_of(e.expand(term.args[2]))
        if value:
            inner = gates_of(e, term.args[1], choice, expert)
            return dataclasses.replace(inner, scale=inner.scale * scale / value)
    for over, normalize in ((expert, "none"), (choice, "softmax")):
        found = _softmax(e, term, over)
        if found is not None:
            return Gates("softmax", normalize, found, scale, 0.0, 0.0)
    found = _sigmoid(e, term)
    if found is not None:
        return Gates("sigmoid", "none", found, scale, 0.0, 0.0)
    if _is(term, "divide"):
        top = product(f for f in factors(term.args[1]) if value_of(f) is None)
        for value in map(value_of, factors(term.args[1])):
            scale *= 1.0 if value is None else value
        bottom, eps, norm_min = _divisor(e, term.args[2])
        if not _over(e, bottom, "sum", top, choice):
            raise NotUnderstood(
                "the gate is divided by something else than the sum of the token's "
                "gates"
            )
        inner = gates_of(e, top, choice, expert)
        if inner.normalize != "none":
            raise NotUnderstood("the gate is normalised twice")
        if eps or norm_min:
            if inner.scale != 1:
                raise NotUnderstood("the gate is scaled before it is divided")
        return dataclasses.replace(
            inner,
            normalize="sum",
            scale=scale,
            eps=eps,
            norm_min=norm_min,
        )
    return Gates("identity", "none", rest[0], scale, 0.0, 0.0)


def _divisor(e: Elements, term: Term) -> tuple[Term, float, float]:
    """A sum, what is added to it, and its lower bound."""
    eps = norm_min = 0.0
    term = without_rounding(e, term)
    for name in ("maximum", "add"):
        if not _is(term, name):
            continue
        for one, other in (term.args[1:], term.args[:0:-1]):
            value = value_of(one)
            if value is not None:
                if name == "add":
                    eps = value
                else:
                    norm_min = value
                term = without_rounding(e, other)
                break
    return term, eps, norm_min


def logit_index(logit: Term) -> tuple[Term, ...]:
    """The index of a logit, which must be an element of a value.

    Raises:
        NotUnderstood: It is computed on the way.
    """
    if logit.head != "el":
        raise NotUnderstood("the logits are no value of the program")
    return logit.args[1:]
