"""Rules of operations that compute each element from elements at the same place."""

from __future__ import annotations

from typing import Any

from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo

from moe_mlir.jax.matching.elements import Elements, Index, NotUnderstood, rule, splat
from moe_mlir.jax.matching.terms import (
    Term,
    as_constant,
    atom,
    bounds,
    call,
    equal,
    integer,
    is_integer,
    make,
    number,
    pairs,
    plus,
    quotient,
    remainder,
    times,
    value_of,
)


@rule("stablehlo.constant")
def _constant(e: Elements, op: Any, result: int, index: Index) -> Term:
    value = splat(op.results[result])
    element = op.results[result].type.element_type
    if value is not None:
        is_number = isinstance(element, ir.FloatType) or element.width == 1
        return number(value) if is_number else integer(int(value))
    if isinstance(element, ir.FloatType) or element.width == 1:
        raise NotUnderstood("a table of constants", op)
    return atom("unknown", e.number(op.results[result]), *index)


@rule(
    "stablehlo.exponential",
    "stablehlo.negate",
    "stablehlo.logistic",
    "stablehlo.tanh",
    "stablehlo.abs",
    "stablehlo.sqrt",
    "stablehlo.rsqrt",
    "stablehlo.log",
    "stablehlo.log_plus_one",
    "stablehlo.exponential_minus_one",
    "stablehlo.power",
    "stablehlo.sine",
    "stablehlo.cosine",
    "chlo.erf",
    "chlo.erfc",
    "chlo.square",
)
def _function(e: Elements, op: Any, result: int, index: Index) -> Term:
    args = [e.at(operand, index) for operand in op.operands]
    if op.name == "stablehlo.negate" and is_integer(args[0]):
        return times(args[0], -1)
    return call(op.name.split(".")[1], *args)


@rule(
    "stablehlo.add",
    "stablehlo.subtract",
    "stablehlo.multiply",
    "stablehlo.divide",
    "stablehlo.remainder",
    "stablehlo.maximum",
    "stablehlo.minimum",
)
def _binary(e: Elements, op: Any, result: int, index: Index) -> Term:
    x, y = (e.at(operand, index) for operand in op.operands)
    name = op.name.removeprefix("stablehlo.")
    found = _of_integers(name, x, y) if is_integer(x) and is_integer(y) else None
    return call(name, x, y) if found is None else found


def _of_integers(name: str, x: Term, y: Term) -> Term | None:
    if name in ("add", "subtract"):
        return plus(x, y, 1 if name == "add" else -1)
    constant = as_constant(y)
    if name == "multiply":
        if constant is not None:
            return times(x, constant)
        constant = as_constant(x)
        return None if constant is None else times(y, constant)
    if name in ("divide", "remainder"):
        if constant is None or constant <= 0 or bounds(x)[0] < 0:
            return None
        return (quotient if name == "divide" else remainder)(x, constant)
    low, high = bounds(plus(x, y, -1))
    if low >= 0 or high <= 0:
        return x if (low >= 0) == (name == "maximum") else y
    return None


@rule("stablehlo.sign")
def _sign(e: Elements, op: Any, result: int, index: Index) -> Term:
    x = e.at(op.operands[0], index)
    if is_integer(x) and bounds(x)[0] >= 0:
        return integer(1) if bounds(x)[0] > 0 else call("positive", x)
    return call("sign", x)


@rule("stablehlo.clamp")
def _clamp(e: Elements, op: Any, result: int, index: Index) -> Term:
    low, x, high = (
        e.at(operand, index if operand.type.rank else ()) for operand in op.operands
    )
    if is_integer(x) and is_integer(low) and is_integer(high):
        inside = bounds(plus(x, low, -1))[0] >= 0 and bounds(plus(high, x, -1))[0] >= 0
        if inside:
            return x
    return call("minimum", call("maximum", x, low), high)


@rule("stablehlo.compare")
def _compare(e: Elements, op: Any, result: int, index: Index) -> Term:
    x, y = (e.at(operand, index) for operand in op.operands)
    how = stablehlo.ComparisonDirectionAttr(op.attributes["comparison_direction"]).value
    if is_integer(x) and is_integer(y):
        difference = plus(x, y, -1)
        if how in ("EQ", "NE"):
            same = equal(difference)
            return same if how == "EQ" else _not(same)
        return _ordered(how, difference)
    # sign(x) != 1 of an integer that is not negative: x is 0.
    if how == "NE" and x.args[:1] == ("positive",) and value_of(y) == 1:
        return equal(x.args[1])
    return call(f"compare_{how}", x, y)


def _ordered(how: str, difference: Term) -> Term:
    """A comparison of x and y by x - y."""
    low, high = bounds(difference)
    true, false = {
        "LT": (high < 0, low >= 0),
        "LE": (high <= 0, low > 0),
        "GT": (low > 0, high <= 0),
        "GE": (low >= 0, high < 0),
    }[how]
    if true or false:
        return number(float(true))
    return call(f"compare_{how}", difference, integer(0))


def _not(x: Term) -> Term:
    value = value_of(x)
    if value is not None:
        return number(float(not value))
    return x.args[1] if x.args[:1] == ("not",) else call("not", x)


@rule("stablehlo.not")
def _negation(e: Elements, op: Any, result: int, index: Index) -> Term:
    return _not(e.at(op.operands[0], index))


@rule("stablehlo.and")
def _and(e: Elements, op: Any, result: int, index: Index) -> Term:
    x, y = (e.at(operand, index) for operand in op.operands)
    if op.results[0].type.element_type.width != 1:
        raise NotUnderstood("of integers", op)
    if _excludes(x, y) or _excludes(y, x):
        return number(0.0)
    return call("multiply", x, y)


def _excludes(zero: Term, other: Term) -> bool:
    """Whether [x == 0] and [the rest of x by some number is not 0] are both there."""
    if zero.head != "eq" or other.args[:1] != ("not",) or other.args[1].head != "eq":
        return False
    x, rest = zero.args[0], other.args[1].args[0]
    if any(c < 0 for _, c in pairs(x)) or x.args[0] or rest.args[0]:
        return False
    # All that x is made of is 0 then, and so is what rest is made of.
    parts = {item for item, _ in pairs(x)}
    return all(
        item in parts or (item.head == "mod" and item.args[0] is x)
        for item, _ in pairs(rest)
    )


@rule("stablehlo.or")
def _or(e: Elements, op: Any, result: int, index: Index) -> Term:
    x, y = (e.at(operand, index) for operand in op.operands)
    for one, other in ((x, y), (y, x)):
        value = value_of(one)
        if value is not None:
            return number(1.0) if value else other
    return call("or", x, y)


@rule("stablehlo.select")
def _select(e: Elements, op: Any, result: int, index: Index) -> Term:
    condition, x, y = op.operands
    chosen = e.at(condition, index if condition.type.rank else ())
    value = value_of(chosen)
    if value is not None:
        return e.at(x if value else y, index)
    on_true, on_false = e.at(x, index), e.at(y, index)
    if on_true is on_false:
        return on_true
    if value_of(on_false) == 0 and not is_integer(on_true):
        return call("multiply", chosen, on_true)
    if value_of(on_true) == 0 and not is_integer(on_false):
        return call("multiply", _not(chosen), on_false)
    return call("select", chosen, on_true, on_false)


@rule("stablehlo.convert")
def _convert(e: Elements, op: Any, result: int, index: Index) -> Term:
    (operand,) = op.operands
    x = e.at(operand, index)
    old, new = operand.type.element_type, op.results[0].type.element_type
    if isinstance(new, ir.FloatType):
        if isinstance(old, ir.FloatType):
            return make("round", str(new), x) if new.width < old.width else x
        if is_integer(x):
            value = as_constant(x)
            return call("float", x) if value is None else number(float(value))
        return x
    if isinstance(old, ir.FloatType):
        # Sums of ones; a fraction would be cut off.
        return x if x.head in ("sum", "eq") else call("truncate", x)
    if is_integer(x) and new.width < 32 and bounds(x)[1] >= 2 ** (new.width - 1):
        raise NotUnderstood("to a narrower integer", op)
    return x


@rule("stablehlo.optimization_barrier")
def _barrier(e: Elements, op: Any, result: int, index: Index) -> Term:
    return e.at(op.operands[result], index)
