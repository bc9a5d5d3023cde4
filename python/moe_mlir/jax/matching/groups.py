"""Group-limited choice: only the experts of a token's best groups are candidates."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from moe_mlir.jax.matching.elements import Elements, NotUnderstood, producer, shape
from moe_mlir.jax.matching.router import without_rounding
from moe_mlir.jax.matching.terms import (
    Term,
    as_atom,
    integer,
    linear,
    pairs,
    plus,
    quotient,
    substitute,
    times,
    value_of,
    variable,
)


@dataclasses.dataclass(frozen=True)
class Groups:
    """What a choice is limited by.

    Attributes:
        count, kept: Groups of experts, and how many of them a token keeps.
        score: "max" or "top2_sum", of the keys of a group.
        fill: What the others' keys are replaced by.
        parts: The operations ``chlo.top_k`` that choose groups.
    """

    count: int
    kept: int
    score: str
    fill: float
    parts: tuple[Any, ...]

    @property
    def options(self) -> tuple[int, int, str]:
        return self.count, self.kept, self.score


def ungrouped(
    e: Elements, term: Term, token: list[Term], expert: Term
) -> tuple[Term, Groups | None]:
    """The key of a pair before what is in no kept group was replaced, and by what
    groups that was; the formula itself where there are none.

    Raises:
        NotUnderstood: It is limited by groups of another kind.
    """
    found = _selected(e, without_rounding(e, term), token, expert)
    if found is None:
        return term, None
    key, fill, anchor, count = found
    size = shape(e.anchor.operands[0])[-1] // count
    kept = shape(anchor.results[1])[-1]
    group = variable("#group", count)
    scored = anchor.operands[0]
    index = [*_index_of(token, shape(scored)[:-1], e), group]
    score, parts = _group_score(e, scored, index, key, expert, group, size)
    return key, Groups(count, kept, score, fill, (anchor, *parts))


def _selected(
    e: Elements, term: Term, token: list[Term], expert: Term
) -> tuple[Term, float, Any, int] | None:
    """The key, the fill, the ``top_k`` of the groups, and their number."""
    if term.head != "fn":
        return None
    if term.args[0] == "select":
        condition, key, other = term.args[1:]
        fill = value_of(e.expand(other))
        found = _kept(e, condition, token, expert)
        if found is None or fill is None:
            return None
        return e.expand(key), fill, *found
    if term.args[0] != "multiply":
        return None
    for mask, key in (term.args[1:], term.args[:0:-1]):
        found = _kept(e, mask, token, expert)
        if found is not None:
            return e.expand(key), 0.0, *found
    return None


def _kept(
    e: Elements, term: Term, token: list[Term], expert: Term
) -> tuple[Any, int] | None:
    """The ``top_k`` of groups and their number, if a formula is 1 where the expert's
    group is one of the chosen, and else 0."""
    term = _indicator(e, without_rounding(e, term))
    bound = None
    if term.head == "sum":
        bound, term = term.args[0], without_rounding(e, term.args[1])
    if term.head != "eq":
        return None
    for item, sign in pairs(term.args[0]):
        if item.head != "ids" or item.args[0] == 0 or sign not in (1, -1):
            continue
        rest = times(plus(term.args[0], linear(0, [(item, 1)]), -sign), -sign)
        number, count, sizes, *index = item.args
        experts = shape(e.anchor.operands[0])[-1]
        if (
            count < 2
            or experts % count
            or rest is not quotient(expert, experts // count)
        ):
            continue
        whole = as_atom(index[-1], "var")
        every = whole is bound and whole is not None and whole.args[1] == sizes[-1]
        if not every and sizes[-1] != 1:
            continue
        if _flat(index[:-1], sizes[:-1]) is _flat(token, shape(e.anchor.operands[0])):
            return producer(e.value_at(number - 1)), count
    return None


def _indicator(e: Elements, term: Term) -> Term:
    """A number that is 0 or 1, of its comparison with 0 or 1."""
    while term.head == "fn":
        name, *args = term.args
        if name == "not" and args[0].args[:1] == ("compare_EQ",):
            name, args = "compare_NE", list(args[0].args[1:])
        if len(args) != 2:
            break
        limit = value_of(e.expand(args[1]))
        accepted = {
            "compare_GT": 0.0 <= (-1.0 if limit is None else limit) < 1.0,
            "compare_NE": limit == 0,
            "compare_EQ": limit == 1,
        }
        if not accepted.get(name, False):
            break
        term = without_rounding(e, args[0])
    return term


def _group_score(
    e: Elements,
    scored: Any,
    index: list[Term],
    key: Term,
    expert: Term,
    group: Term,
    size: int,
) -> tuple[str, list[Any]]:
    """The word for how a group is scored by its experts' keys, and the ``top_k`` in
    it."""
    term = without_rounding(e, e.opaque(scored, tuple(index)))
    atom = as_atom(expert)
    assert atom is not None

    def is_key(formula: Term, place: Term) -> bool:
        at_place = substitute(key, {atom: plus(place, times(group, size))})
        return _same(e, formula, at_place)

    if size == 1 and is_key(term, integer(0)):
        return "max", []
    if term.head == "max":
        place = linear(0, [(term.args[0], 1)])
        if term.args[0].args[1] == size and is_key(term.args[1], place):
            return "max", []
    if term.head == "sum" and term.args[0].args[1] == 2:
        best = e.expand(term.args[1])
        operation = producer(e.value(best)) if best.head == "el" else None
        if (
            operation is not None
            and operation.name == "chlo.top_k"
            and e.value(best) == operation.results[0]
            and best.args[-1] is linear(0, [(term.args[0], 1)])
        ):
            place = variable("#place", size)
            inner = e.opaque(operation.operands[0], (*best.args[1:-1], place))
            if shape(operation.operands[0])[-1] == size and is_key(inner, place):
                return "top2_sum", [operation]
    raise NotUnderstood(
        "groups of experts are scored by something else than their largest key or "
        "the sum of their two largest",
        e.anchor,
    )


def _same(e: Elements, one: Term, other: Term) -> bool:
    """Whether two formulas are equal, looking into values where they differ."""
    one, other = without_rounding(e, one), without_rounding(e, other)
    if one is other:
        return True
    if one.head != "fn" or other.head != "fn" or len(one.args) != len(other.args):
        return False
    return one.args[0] == other.args[0] and all(
        _same(e, *both) for both in zip(one.args[1:], other.args[1:], strict=True)
    )


def _index_of(token: list[Term], leading: list[int], e: Elements) -> list[Term]:
    """The token's index in a tensor of other leading sizes."""
    own = shape(e.anchor.operands[0])[:-1]
    if leading == own:
        return list(token)
    if math.prod(leading) != math.prod(own) or len(leading) != 1:
        raise NotUnderstood("groups are chosen for other tokens", e.anchor)
    return [_flat(token, own)]


def _flat(index: Any, sizes: Any) -> Term:
    """The row-major position of an index in the leading sizes."""
    flat = integer(0)
    for one, size in zip(index, sizes, strict=False):
        flat = plus(times(flat, size), one)
    return flat


def check_fill(groups: Groups, kind: str, biased: bool) -> None:
    """What is in no kept group is no candidate.

    Raises:
        NotUnderstood: Its key may be larger than that of a candidate.
    """
    positive = kind in ("softmax", "sigmoid") and not biased
    if groups.fill <= -1e9 or (positive and groups.fill <= 0):
        return
    raise NotUnderstood(
        f"experts of groups that are not kept get the key {groups.fill:g}, which may "
        "be larger than the key of one that is kept; give them -inf"
    )
