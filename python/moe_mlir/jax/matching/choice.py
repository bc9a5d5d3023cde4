"""By which score, and with which bias, a ``top_k`` chooses experts."""

from __future__ import annotations

import dataclasses
from typing import Any

from moe_mlir.jax.matching.elements import Elements, NotUnderstood, producer, shape
from moe_mlir.jax.matching.groups import Groups, check_fill, ungrouped
from moe_mlir.jax.matching.router import Score, score_of, without_rounding
from moe_mlir.jax.matching.terms import Term, variable


@dataclasses.dataclass(frozen=True)
class Key:
    score: Score
    bias: Any | None
    groups: Groups | None = None


def key_of(e: Elements) -> Key:
    """The score by which experts are chosen, and the bias."""
    scores = e.anchor.operands[0]
    *leading, experts = shape(scores)
    token = [variable(f"token{i}", size) for i, size in enumerate(leading)]
    expert = variable("expert", experts)
    term, groups = ungrouped(e, e.at(scores, (*token, expert)), token, expert)
    if groups is None:
        return _key(e, term, e.opaque(scores, (*token, expert)), expert)
    key = _key(e, term, term, expert)
    check_fill(groups, key.score.kind, key.bias is not None)
    e.key = token, expert, term
    return dataclasses.replace(key, groups=groups)


def _key(e: Elements, term: Term, logit: Term, expert: Term) -> Key:
    """The score and the bias of a formula; ``logit`` is what it is otherwise."""
    score = score_of(e, term, expert)
    if score.kind != "identity":
        return Key(_checked(score), None)
    inner = without_rounding(e, term)
    if inner.args[:1] == ("add",):
        for one, other in (inner.args[1:], inner.args[:0:-1]):
            score = score_of(e, one, expert)
            bias = _vector(e, other, expert)
            if score.kind != "identity" and bias is not None:
                return Key(_checked(score), bias)
    return Key(_checked(Score("identity", logit)), None)


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
