"""Sums over an index variable, and what makes one disappear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from moe_mlir.jax.matching.terms import (
    ATOMS,
    BUILDERS,
    Term,
    as_atom,
    bounds,
    call,
    fresh,
    inverse,
    linear,
    make,
    number,
    pairs,
    plus,
    renamed,
    substitute,
    times,
    value_of,
    variable,
)


def factors(term: Term) -> list[Term]:
    """A product's factors; roundings between them are passed over."""
    if term.head == "round":
        return factors(term.args[1])
    if term.head == "fn" and term.args[0] == "multiply":
        return [f for argument in term.args[1:] for f in factors(argument)]
    return [term]


def product(terms: Iterable[Term]) -> Term:
    result = number(1.0)
    for term in terms:
        result = call("multiply", result, term)
    return result


def total(index: Term, body: Term) -> Term:
    """The sum of ``body`` over an index that ``terms.variable`` made."""
    variable_ = as_atom(index, "var")
    return body if variable_ is None else _total(variable_, body)


def largest(index: Term, body: Term) -> Term:
    """The maximum of ``body`` over such an index."""
    variable_ = as_atom(index, "var")
    if variable_ is None or variable_ not in body.free:
        return body
    return make("max", variable_, body)


def _total(v: Term, body: Term) -> Term:
    if v not in body.free:
        return call("multiply", number(v.args[1]), body)
    parts = factors(body)
    for rule in (_pick, _reorder, _pull_out):
        found = rule(v, parts)
        if found is not None:
            return found
    outside = [f for f in parts if v not in f.free and value_of(f) is None]
    if outside:
        inside = product(f for f in parts if f not in outside)
        return product([*outside, _total(v, inside)])
    return make("sum", v, body)


def _selecting(v: Term, parts: list[Term]) -> Iterator[tuple[int, Term]]:
    """Factors that are 1 for some values of v and else 0."""
    for i, part in enumerate(parts):
        if part.head == "eq" and v in part.free:
            yield i, part


def _pick(v: Term, parts: list[Term]) -> Term | None:
    """The sum over v of [v == j] * f(v) is f(j)."""
    for i, part in _selecting(v, parts):
        solution = _solve(part.args[0], v)
        if solution is not None:
            rest = product(parts[:i] + parts[i + 1 :])
            return substitute(rest, {v: solution})
    return None


def _solve(difference: Term, v: Term) -> Term | None:
    """The v for which an integer is 0, if it is surely in v's range."""
    for item, factor in pairs(difference):
        if item is not v or factor not in (1, -1):
            continue
        rest = plus(difference, linear(0, [(v, 1)]), -factor)
        solution = times(rest, -factor)
        low, high = bounds(solution)
        if v not in rest.free and low >= 0 and high < v.args[1]:
            return solution
    return None


def _reorder(v: Term, parts: list[Term]) -> Term | None:
    """Sums over places of a permutation, or over token and choice as one index."""
    alone = linear(0, [(v, 1)])
    for part in parts:
        for item in atoms(part):
            if not _selects(part, v):
                break
            if item.head == "perm" and item.args[2] is alone:
                position = fresh(v)
                size, key = item.args[:2]
                place = inverse(size, key, linear(0, [(position, 1)]))
                return _total(position, substitute(product(parts), {v: place}))
            if item.head in ("div", "mod") and item.args[0] is alone:
                divisor = item.args[1]
                if v.args[1] % divisor:
                    continue
                whole = variable(fresh(v).args[0], v.args[1] // divisor)
                rest = variable(fresh(v).args[0], divisor)
                index = plus(rest, whole, divisor)
                inner = total(rest, substitute(product(parts), {v: index}))
                return total(whole, inner)
    return None


def atoms(term: Term) -> Iterator[Term]:
    """All atoms of integers inside a formula."""
    for argument in term.args:
        if isinstance(argument, Term):
            if argument.head in ATOMS:
                yield argument
            yield from atoms(argument)


def _selects(part: Term, v: Term) -> bool:
    """Whether a factor is 0 for some values of v by an ``eq``, or sums what is."""
    if v not in part.free or part.head not in ("eq", "sum"):
        return False
    return part.head == "eq" or any(_selects(f, v) for f in factors(part.args[1]))


def _pull_out(v: Term, parts: list[Term]) -> Term | None:
    """sum(v) f * sum(u) [v == j] * g is sum(u) of f * g at v = j.

    The sum that is nested the least is pulled out, so that what a choice selects
    becomes a sum over the choice.
    """
    deepest = max((_depth(part, v) for part in parts), default=0)
    for depth in range(1, deepest + 1):
        found = _pull_from(v, parts, depth)
        if found is not None:
            return found
    return None


def _depth(part: Term, v: Term) -> int:
    """Sums nested in each other that a factor consists of and that mention v."""
    if part.head != "sum" or v not in part.free:
        return 0
    return 1 + max(_depth(f, v) for f in factors(part.args[1]))


def _pull_from(v: Term, parts: list[Term], depth: int) -> Term | None:
    for i, part in enumerate(parts):
        if part.head != "sum" or v not in part.free:
            continue
        rest = parts[:i] + parts[i + 1 :]
        if part.args[0] is v or any(part.args[0] in other.free for other in rest):
            part = renamed(part)
        u, inner = part.args
        inside = factors(inner) + rest
        found = _pick(v, inside)
        if found is None and depth > 1:
            found = _pull_from(v, inside, depth - 1)
        if found is not None:
            return _total(u, found)
    return None


def _again(term: Term, change: Callable[[Term], Term]) -> Term:
    return _total(term.args[0], change(term.args[1]))


BUILDERS["sum"] = _again
BUILDERS["max"] = lambda t, f: largest(linear(0, [(t.args[0], 1)]), f(t.args[1]))
