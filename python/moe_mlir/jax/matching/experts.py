"""The two layers of an expert, from the formula of one element of its result."""

from __future__ import annotations

import dataclasses

from moe_mlir.jax.matching.activation import activation_of
from moe_mlir.jax.matching.elements import Elements, NotUnderstood, producer, shape
from moe_mlir.jax.matching.router import without_rounding
from moe_mlir.jax.matching.sums import factors, product
from moe_mlir.jax.matching.terms import (
    Term,
    as_atom,
    linear,
    make,
    plus,
    substitute,
)


@dataclasses.dataclass(frozen=True)
class Weight:
    """A weight or bias: an ``el`` and its index's dimensions in the order that the
    compiler reads (expert first), as positions in the value's shape."""

    element: Term
    order: tuple[int, ...]

    def size(self, e: Elements, which: int) -> int:
        """A size of the weight as the compiler reads it."""
        return shape(e.value(self.element))[self.order[which]]


@dataclasses.dataclass(frozen=True)
class Projection:
    """sum over c of x[token, c] * weight[expert, c, output] + bias[expert, output].

    Attributes:
        inputs: x, a formula of the token and ``COLUMN``.
        output: The index of the output feature.
    """

    inputs: Term
    weight: Weight
    bias: Weight | None
    output: Term


@dataclasses.dataclass(frozen=True)
class Experts:
    """What the experts of a layer compute.

    Attributes:
        inputs: The element of x at a token and column ``COLUMN``.
        weights: By operand name; biases end in ``_bias``.
    """

    inputs: Term
    weights: dict[str, Weight]
    activation: str
    limit: float
    alpha: float
    arrangement: str


#: Names of the summed index of an expert's first and second product.
COLUMN, INNER = "#column", "#inner"


def experts_of(e: Elements, term: Term, expert: Term, output: Term) -> Experts:
    """What the experts compute, from an element of a chosen expert's result.

    Args:
        term: The element.
        expert: ids(token, k).
        output: The index of the output feature.

    Raises:
        NotUnderstood: It is not two layers with a known activation between them.
    """
    down = _projection(e, term, expert, INNER, output)
    if down is None:
        raise NotUnderstood(
            "what is combined is no product with a weight of the chosen expert"
        )
    inner = down.inputs
    column = _inner(inner)
    if column is None or down.weight.size(e, 1) != _size(column):
        raise NotUnderstood("the experts use a part of down")
    projections: dict[Projection, Term] = {}
    formula = _abstract(e, inner, expert, projections, column)
    if not projections:
        raise NotUnderstood("the experts have no first layer that is a product")
    first = list(projections)
    if any(one.inputs is not first[0].inputs for one in first):
        raise NotUnderstood("the experts' products read different inputs")
    given = {"down": down.weight}
    if down.bias:
        given["down_bias"] = down.bias
    name, limit, alpha, gate, up = _activation(formula, projections)
    arrangement = "concat"
    if up is None:
        named = {"up": gate}
    elif gate.weight.element.args[0] != up.weight.element.args[0]:
        named = {"gate": gate, "up": up}
    else:
        arrangement = _arrangement(gate.output, up.output, column)
        named = {"gate_up": gate}
    if "gate_up" not in named and any(p.output is not column for p in named.values()):
        raise NotUnderstood("the experts use a part of a first layer's outputs")
    for label, projection in named.items():
        given[label] = projection.weight
        if projection.bias:
            given[f"{label}_bias"] = projection.bias
    _check_sizes(e, given, first[0], output)
    return Experts(first[0].inputs, given, name, limit, alpha, arrangement)


def _inner(term: Term) -> Term | None:
    found = [v for v in term.free if v.args[0] == INNER]
    return linear(0, [(found[0], 1)]) if len(found) == 1 else None


def _activation(
    formula: Term, projections: dict[Projection, Term]
) -> tuple[str, float, float, Projection, Projection | None]:
    if len(projections) == 1:
        ((gate, stand_in),) = projections.items()
        found = activation_of(formula, stand_in, None)
        if found is not None:
            return (*found, gate, None)
    elif len(projections) == 2:
        (one, x), (other, y) = projections.items()
        for gate, g, up, u in ((one, x, other, y), (other, y, one, x)):
            found = activation_of(formula, g, u)
            if found is not None:
                return (*found, gate, up)
    raise NotUnderstood(
        f"what the experts make of their {len(projections)} first product(s) is no "
        "activation that the compiler has"
    )


def _arrangement(gate: Term, up: Term, column: Term) -> str:
    """How one weight holds gate and up, by the outputs that ``column`` reads."""
    inner = as_atom(column, "var")
    size = inner.args[1] if inner else 1
    if gate is column and up is plus(column, linear(size)):
        return "concat"
    doubled = plus(column, column)
    if gate is doubled and up is plus(doubled, linear(1)):
        return "interleaved"
    raise NotUnderstood("gate and up are not the two halves of their weight")


def _check_sizes(
    e: Elements, given: dict[str, Weight], first: Projection, output: Term
) -> None:
    """All of each weight is used, and gate_up is two of the others."""
    experts = shape(e.anchor.operands[0])[-1]
    inner, hidden = given["down"].size(e, 1), _size(output)
    columns = [v.args[1] for v in first.inputs.free if v.args[0] == COLUMN]
    if len(columns) != 1:
        raise NotUnderstood("the experts' input has no column that is summed over")
    wanted: dict[str, tuple[int, ...]] = {
        "down": (experts, inner, hidden),
        "gate_up": (experts, columns[0], 2 * inner),
        "gate": (experts, columns[0], inner),
        "up": (experts, columns[0], inner),
    }
    for label, weight in given.items():
        want = wanted[label.removesuffix("_bias")]
        if label.endswith("_bias"):
            want = (want[0], want[2])
        have = tuple(weight.size(e, i) for i in range(len(weight.order)))
        if have != want:
            raise NotUnderstood(f"the experts use a part of {label}")


def _size(index: Term) -> int:
    item = as_atom(index, "var")
    return item.args[1] if item is not None else 1


def _abstract(
    e: Elements,
    term: Term,
    expert: Term,
    projections: dict[Projection, Term],
    inner: Term,
) -> Term:
    """The formula between the layers, products replaced by variables."""

    def again(part: Term) -> Term:
        return _abstract(e, part, expert, projections, inner)

    found = _projection(e, term, expert, COLUMN, inner)
    if found is not None:
        if found not in projections:
            projections[found] = make("stand-in", len(projections))
        return projections[found]
    if term.head == "el":
        looked_into = e.expand(term)
        if looked_into is term:
            raise NotUnderstood(
                "between the experts' layers stands a value that is no product with "
                "the chosen expert's weight"
            )
        return again(looked_into)
    if term.head == "round":
        return again(term.args[1])
    if term.head == "fn":
        return make("fn", term.args[0], *map(again, term.args[1:]))
    return term


def _projection(
    e: Elements, term: Term, expert: Term, name: str, output: Term
) -> Projection | None:
    """A product with a weight of the chosen expert.

    Args:
        name: Of the index that it sums over, in the result.
        output: The output feature, or what the output feature depends on.
    """
    term = without_rounding(e, term)
    if term.head == "fn" and term.args[0] == "add":
        for one, other in (term.args[1:], term.args[:0:-1]):
            found = _projection(e, one, expert, name, output)
            if found is not None and found.bias is None:
                bias = _weight(e, other, (expert, found.output))
                return dataclasses.replace(found, bias=bias) if bias else None
        return None
    if term.head != "sum":
        return None
    summed, body = term.args
    column = linear(0, [(make("var", name, summed.args[1]), 1)])
    parts = factors(substitute(body, {summed: column}))
    for i, part in enumerate(parts):
        rest = parts[:i] + parts[i + 1 :]
        element = _element(e, part, expert, 3)
        if element is None or not rest:
            continue
        found_output = _other(element, expert, column)
        if found_output is None or not (found_output.free & output.free):
            continue
        weight = _weight(e, element, (expert, column, found_output))
        if weight is not None and not expert.free & found_output.free:
            return Projection(product(rest), weight, None, found_output)
    return None


def _other(element: Term, expert: Term, column: Term) -> Term | None:
    """The third index of an element, beside the expert and the column."""
    rest = [one for one in element.args[1:] if one not in (expert, column)]
    return rest[0] if len(rest) == 1 else None


def _weight(e: Elements, term: Term, wanted: tuple[Term, ...]) -> Weight | None:
    """An element of a value at these indices, the expert first, in any order."""
    element = _element(e, term, wanted[0], len(wanted))
    if element is None:
        return None
    index = element.args[1:]
    if any(index.count(one) != 1 for one in wanted):
        return None
    return Weight(element, tuple(index.index(one) for one in wanted))


#: A weight is what the program has before these.
_MOVED = ("stablehlo.transpose", "stablehlo.broadcast_in_dim")


def _element(e: Elements, term: Term, expert: Term, rank: int) -> Term | None:
    """An element of a value of this rank at the chosen expert, looked for under
    operations that only move elements."""
    while term.head == "round":
        term = term.args[1]
    while term.head == "el":
        if expert not in term.args[1:]:
            return None
        operation = producer(e.value(term))
        moved = operation is not None and operation.name in _MOVED
        if len(term.args) - 1 == rank and not moved:
            return term
        if operation is None or not (moved or operation.name == "stablehlo.reshape"):
            return None
        term = e.unfold(e.value(term), term.args[1:])
    return None
