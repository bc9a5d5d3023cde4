"""Which chosen experts a count has counted, and the groups that a sort makes."""

from __future__ import annotations

from moe_mlir.jax.matching.sums import atoms, total
from moe_mlir.jax.matching.terms import (
    BUILDERS,
    KEY,
    Term,
    as_atom,
    atom,
    equal,
    integer,
    linear,
    make,
    plus,
    substitute,
    variable,
)

#: Stands for an index over which all chosen experts were counted.
ALL = make("all")


def counted(count: Term, expert: Term) -> Term | None:
    """What is counted by a formula that says how often ``expert`` was chosen.

    Args:
        count: The formula, a sum of [ids(...) == expert].
        expert: The index variable (an integer).

    Returns:
        ``counts(anchor, n, *indices)`` with ``ALL`` for an index over its whole range;
        None if it is no count of chosen experts.
    """
    summed: list[Term] = []
    while count.head == "sum":
        summed.append(count.args[0])
        count = count.args[1]
    if count.head != "eq":
        return None
    for sign in (1, -1):
        chosen = as_atom(plus(expert, count.args[0], sign), "ids")
        if chosen is not None:
            break
    else:
        return None
    anchor, experts, sizes, *indices = chosen.args
    free = []
    for index, size in zip(indices, sizes, strict=True):
        whole = as_atom(index, "var")
        if whole in summed and whole.args[1] == size:
            summed.remove(whole)
            free.append(ALL)
        elif size == 1 and index is integer(0):
            free.append(ALL)
        else:
            free.append(index)
    if summed or any(v in f.free for f in free for v in summed):
        return None
    return make("counts", anchor, experts, *free)


def group(size: int, counts: Term, row: Term) -> Term:
    """The group of a row, where group e has as many rows as expert e was chosen.

    A row that is a position's place in the order by chosen expert lies in the group of
    that position's expert.
    """
    place = as_atom(row, "inv")
    if place is not None:
        length, key, position = place.args
        index, expert = variable("#position", length), variable("#expert", size)
        at_index = at_key(key, index)
        count = total(index, equal(plus(at_index, expert, -1)))
        if counted(count, expert) is counts:
            return at_key(key, position)
    return atom("group", size, counts, row)


def at_key(key: Term, position: Term) -> Term:
    """A sort's key at a position."""
    bound = [v for v in key.free if v.args[0] == KEY]
    return substitute(key, {v: position for v in bound})


def key_of(body: Term, index: Term) -> Term | None:
    """A sort's key from its formula at an index; None where it cannot be a key."""
    bound = as_atom(index, "var")
    if bound is None:
        return body
    if any(item.head in ("perm", "inv", "group") for item in atoms(body)):
        return None
    key = make("var", KEY, bound.args[1])
    return substitute(body, {bound: linear(0, [(key, 1)])})


BUILDERS["group"] = lambda t, f: group(t.args[0], f(t.args[1]), f(t.args[2]))
