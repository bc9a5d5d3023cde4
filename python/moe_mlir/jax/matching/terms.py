"""Formulas over index variables: integers in affine form, everything else as a tree.

Equal formulas are the same object. A formula is built by a function of this module (or
of ``sums``), which simplifies; ``substitute`` builds again, and so simplifies again.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any


class Term:
    """A formula: a head and its arguments.

    Heads that are integers: ``lin`` (a constant, then pairs of atom and coefficient).
    Atoms of ``lin`` have a size n and lie in [0, n):

        var    (name, n)                     an index variable
        ids    (anchor, n, sizes, *token, k) the chosen expert; sizes are those of the
                                             indices
        perm   (n, key, r)                   the position that a stable sort puts at r
        inv    (n, key, p)                   the place of position p in that order
        div    (lin, d), mod (lin, d)
        group  (n, counts, r)                the group that row r of consecutive groups
                                             lies in
        unknown (value, *index)              an integer that is not looked into

    Heads that are numbers: ``const``, ``el`` (an element of a value that is not looked
    into), ``sum`` and ``max`` (variable, body), ``eq`` (1 where a lin is 0, else 0),
    ``fn`` (name, *arguments), ``round`` (a rounding to a narrower float type).
    """

    __slots__ = ("__weakref__", "args", "free", "head", "serial")

    head: str
    args: tuple[Any, ...]
    free: frozenset[Term]
    serial: int

    def __repr__(self) -> str:
        return f"{self.head}({', '.join(map(repr, self.args))})"


#: The variable of a sort's key, which ``perm`` and ``inv`` bind.
KEY = "#key"

_terms: weakref.WeakValueDictionary[Any, Term] = weakref.WeakValueDictionary()
_serials = count()

#: Heads of integer atoms whose first argument bounds them, by its position.
_SIZE_AT = {"var": 1, "ids": 1, "perm": 0, "inv": 0, "group": 0}


def make(head: str, *args: Any) -> Term:
    """The term, without simplification."""
    key = (head, args)
    found = _terms.get(key)
    if found is not None:
        return found
    term = Term()
    term.head, term.args, term.serial = head, args, next(_serials)
    free = frozenset[Term]().union(*(a.free for a in args if isinstance(a, Term)))
    if head == "var":
        free = frozenset((term,))
    elif head in ("sum", "max"):
        free -= {args[0]}
    elif head in ("perm", "inv"):
        free -= {v for v in free if v.args[0] == KEY}
    term.free = free
    _terms[key] = term
    return term


def linear(constant: int, pairs: Iterable[tuple[Term, int]] = ()) -> Term:
    """constant + the sum of atom * coefficient."""
    total: dict[Term, int] = {}
    for atom, factor in pairs:
        total[atom] = total.get(atom, 0) + factor
    _join_halves(total)
    kept = sorted(
        ((atom, factor) for atom, factor in total.items() if factor),
        key=lambda pair: pair[0].serial,
    )
    return make("lin", constant, *(part for pair in kept for part in pair))


def _join_halves(total: dict[Term, int]) -> None:
    """d * (x div d) + x mod d is x."""
    for rest in [item for item in total if item.head == "mod"]:
        factor, divisor = total[rest], rest.args[1]
        whole = make("div", rest.args[0], divisor)
        if factor and total.get(whole) == factor * divisor:
            del total[rest], total[whole]
            if rest.args[0].args[0] == 0:
                for item, part in pairs(rest.args[0]):
                    total[item] = total.get(item, 0) + factor * part
            else:
                total[rest], total[whole] = factor, factor * divisor


def integer(value: int) -> Term:
    return linear(int(value))


def variable(name: str, size: int) -> Term:
    """An index variable; of a dimension of size 1 there is only 0."""
    return integer(0) if size == 1 else atom("var", name, size)


def atom(head: str, *args: Any) -> Term:
    return linear(0, [(make(head, *args), 1)])


def is_integer(term: Term) -> bool:
    return term.head == "lin"


def pairs(lin: Term) -> list[tuple[Term, int]]:
    return list(zip(lin.args[1::2], lin.args[2::2], strict=True))


def as_constant(lin: Term) -> int | None:
    return int(lin.args[0]) if len(lin.args) == 1 else None


def as_atom(lin: Term, head: str | None = None) -> Term | None:
    """The atom that an integer is, if it is one (of that head)."""
    if lin.head != "lin" or lin.args[0] != 0 or lin.args[2:] != (1,):
        return None
    found: Term = lin.args[1]
    return found if head in (None, found.head) else None


def plus(x: Term, y: Term, factor: int = 1) -> Term:
    """x + factor * y of integers."""
    scaled = [(a, factor * c) for a, c in pairs(y)]
    return linear(x.args[0] + factor * y.args[0], pairs(x) + scaled)


def times(x: Term, factor: int) -> Term:
    return plus(integer(0), x, factor)


def _top(item: Term) -> float:
    if item.head in _SIZE_AT:
        return int(item.args[_SIZE_AT[item.head]]) - 1
    if item.head == "mod":
        return int(item.args[1]) - 1
    if item.head == "div":
        return float(bounds(item.args[0])[1] // int(item.args[1]))
    return math.inf


def bounds(lin: Term) -> tuple[float, float]:
    """The smallest and the largest value that an integer may have."""
    low = high = float(lin.args[0])
    for item, factor in pairs(lin):
        if factor > 0:
            high += factor * _top(item)
        else:
            low += factor * _top(item)
    return low, high


def _split(lin: Term, divisor: int) -> tuple[Term, Term] | None:
    """lin = divisor * whole + rest with 0 <= rest < divisor; None where a part of lin
    may be negative."""
    constant = lin.args[0]
    whole = linear(
        constant // divisor,
        [(a, c // divisor) for a, c in pairs(lin) if c % divisor == 0],
    )
    rest = linear(constant % divisor, [(a, c) for a, c in pairs(lin) if c % divisor])
    low, high = bounds(rest)
    if low < 0:
        return None
    if high < divisor:
        return whole, rest
    return plus(whole, atom("div", rest, divisor)), atom("mod", rest, divisor)


def quotient(lin: Term, divisor: int) -> Term:
    """Of an integer that is not negative, rounded down."""
    halves = _split(lin, divisor)
    return halves[0] if halves else atom("div", lin, divisor)


def remainder(lin: Term, divisor: int) -> Term:
    halves = _split(lin, divisor)
    return halves[1] if halves else atom("mod", lin, divisor)


def equal(difference: Term) -> Term:
    """1 where an integer is 0, else 0."""
    low, high = bounds(difference)
    if low > 0 or high < 0:
        return number(0.0)
    if as_constant(difference) == 0:
        return number(1.0)
    parts = pairs(difference)
    if parts[0][1] < 0:
        return equal(times(difference, -1))
    # A token's choices differ, and so do the places of a permutation.
    if difference.args[0] == 0 and sorted(c for _, c in parts) == [-1, 1]:
        (x, _), (y, _) = parts
        same = x.head == y.head and x.args[:-1] == y.args[:-1]
        if same and x.head in ("ids", "perm", "inv"):
            return equal(plus(x.args[-1], y.args[-1], -1))
    return make("eq", difference)


def permuted(size: int, key: Term, place: Term) -> Term:
    """The position whose element a stable sort by ``key`` puts at ``place``."""
    inside = as_atom(place, "inv")
    if inside is not None and inside.args[:2] == (size, key):
        return inside.args[2]  # type: ignore[no-any-return]
    return atom("perm", size, key, place)


def inverse(size: int, key: Term, position: Term) -> Term:
    """The place at which a stable sort by ``key`` puts a position."""
    inside = as_atom(position, "perm")
    if inside is not None and inside.args[:2] == (size, key):
        return inside.args[2]  # type: ignore[no-any-return]
    return atom("inv", size, key, position)


def number(value: float) -> Term:
    return make("const", float(value))


def value_of(term: Term) -> float | None:
    """The number that a formula is, if it is constant."""
    if term.head == "const":
        return float(term.args[0])
    return as_constant(term) if term.head == "lin" else None


def call(name: str, *args: Term) -> Term:
    """A function of numbers, simplified where that is exact."""
    values = [value_of(argument) for argument in args]
    rule = _RULES.get(name)
    found = rule(values, args) if rule else None
    return make("fn", name, *args) if found is None else found


def _add(values: list[float | None], args: tuple[Term, ...]) -> Term | None:
    if None not in values:
        return number(sum(v for v in values if v is not None))
    return args[1] if values[0] == 0 else args[0] if values[1] == 0 else None


def _multiply(values: list[float | None], args: tuple[Term, ...]) -> Term | None:
    if None not in values:
        return number(math.prod(v for v in values if v is not None))
    if 0 in values:
        return number(0.0)
    return args[1] if values[0] == 1 else args[0] if values[1] == 1 else None


def _subtract(values: list[float | None], args: tuple[Term, ...]) -> Term | None:
    return args[0] if values[1] == 0 else None


def _negate(values: list[float | None], args: tuple[Term, ...]) -> Term | None:
    return None if values[0] is None else number(-values[0])


def _divide(values: list[float | None], args: tuple[Term, ...]) -> Term | None:
    if values[1] == 1:
        return args[0]
    if None not in values and values[1]:
        return number(values[0] / values[1])  # type: ignore[operator]
    # 1 / (1 + exp(-x)) is how JAX writes a sigmoid.
    if values[0] == 1 and args[1].head == "fn" and args[1].args[0] == "add":
        parts = args[1].args[1:]
        for one, other in (parts, parts[::-1]):
            if value_of(one) == 1 and other.args[:1] == ("exponential",):
                inner = other.args[1]
                if inner.args[:1] == ("negate",):
                    return call("logistic", inner.args[1])
    return None


def _largest(values: list[float | None], args: tuple[Term, ...]) -> Term | None:
    if args[0] is args[1]:
        return args[0]
    for i in (0, 1):
        if values[i] == -math.inf:
            return args[1 - i]
    return None


_RULES: dict[str, Callable[[list[float | None], tuple[Term, ...]], Term | None]] = {
    "add": _add,
    "multiply": _multiply,
    "subtract": _subtract,
    "negate": _negate,
    "divide": _divide,
    "maximum": _largest,
}

Mapped = Mapping[Term, Term]
Builder = Callable[[Term, Callable[[Term], Term]], Term]

#: How terms of a head are built again from changed arguments; ``sums`` adds its own.
BUILDERS: dict[str, Builder] = {
    "lin": lambda t, f: _rebuild_linear(t, f),
    "eq": lambda t, f: equal(f(t.args[0])),
    "fn": lambda t, f: call(t.args[0], *map(f, t.args[1:])),
}


def _rebuild_linear(lin: Term, change: Callable[[Term], Term]) -> Term:
    total = integer(lin.args[0])
    for item, factor in pairs(lin):
        total = plus(total, change(item), factor)
    return total


def _rebuild(term: Term, change: Callable[[Term], Term]) -> Term:
    if term.head in BUILDERS:
        return BUILDERS[term.head](term, change)
    args: list[Any] = [change(a) if isinstance(a, Term) else a for a in term.args]
    if term.head in ("div", "mod"):
        return (quotient if term.head == "div" else remainder)(*args)
    if term.head == "perm":
        return permuted(*args)
    if term.head == "inv":
        return inverse(*args)
    if term.head in ATOMS:
        return atom(term.head, *args)
    return make(term.head, *args)


def substitute(term: Term, mapping: Mapped) -> Term:
    """``term`` with variables (atoms) replaced by integers.

    A sum inside whose variable the integers mention gets another variable.
    """
    mentioned = frozenset[Term]().union(*(t.free for t in mapping.values()))
    done: dict[Term, Term] = {}

    def change(one: Term) -> Term:
        if one in mapping:
            return mapping[one]
        if one.head == "var":
            return linear(0, [(one, 1)])
        if not (mapping.keys() & one.free):
            return linear(0, [(one, 1)]) if one.head in ATOMS else one
        if one not in done:
            other = one
            if one.head in ("sum", "max") and one.args[0] in mentioned:
                other = renamed(one)
            done[one] = _rebuild(other, change)
        return done[one]

    return change(term)


def fresh(old: Term) -> Term:
    """An index variable (atom) of the same size that occurs nowhere else."""
    return make("var", f"{old.args[0]}'{next(_serials)}", old.args[1])


def renamed(term: Term) -> Term:
    """A sum or maximum over another variable."""
    old, body = term.args
    new = fresh(old)
    return make(term.head, new, substitute(body, {old: linear(0, [(new, 1)])}))


#: Heads of integers that are no sum of others.
ATOMS = frozenset((*_SIZE_AT, "div", "mod", "unknown"))
