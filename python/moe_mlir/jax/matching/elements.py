"""The element of a value as a formula, one StableHLO operation at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jaxlib.mlir import ir

from moe_mlir.importing.walk import where
from moe_mlir.jax.matching.terms import (
    Term,
    as_atom,
    atom,
    bounds,
    is_integer,
    make,
    number,
    substitute,
    variable,
)

Index = tuple[Term, ...]
#: (elements, operation, number of the result, index) to the element.
Rule = Callable[["Elements", Any, int, Index], Term]

#: Filled by ``arithmetic`` and ``movement``.
RULES: dict[str, Rule] = {}

#: A formula of more elements is no layer, but a model that goes on after one.
_BUDGET = 20_000


class NotUnderstood(Exception):
    """No rule covers an operation on the way; the layer is left as it is."""

    def __init__(self, why: str, operation: Any = None) -> None:
        if operation is not None:
            why = f"'{operation.name}' at {where(operation.location)}: {why}"
        super().__init__(why)
        self.why = why


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers how elements of operations' results follow from their operands'."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register


def producer(value: Any) -> Any | None:
    """The operation that a value is a result of; None for an argument of a block."""
    owner = value.owner
    return None if isinstance(owner, ir.Block) else owner.operation


def shape(value: Any) -> list[int]:
    return list(value.type.shape)


def is_float(value: Any) -> bool:
    return isinstance(value.type.element_type, ir.FloatType)


def integers(operation: Any, name: str) -> list[int]:
    return [int(one) for one in operation.attributes[name]]


class Elements:
    """Formulas for the elements of the values that follow from one ``top_k``.

    Values that do not depend on it are not looked into unless ``expand`` asks, so that
    the layer's input, logits and weights stay what the program calls them.

    Args:
        anchor: The operation ``chlo.top_k``.
    """

    def __init__(self, anchor: Any) -> None:
        self.anchor = anchor
        self.dependent = dependents(anchor)
        self._numbers: dict[Any, int] = {}
        self._values: list[Any] = []
        self._known: dict[tuple[Any, Index], Term] = {}
        #: Where groups limit the choice: a pair's variables, and its key without them.
        self.key: tuple[list[Term], Term, Term] | None = None

    def at(self, value: Any, index: Sequence[Term]) -> Term:
        """The element of ``value`` at ``index``.

        Raises:
            NotUnderstood: An operation on the way has no rule.
        """
        key = (value, tuple(index))
        if key not in self._known:
            if len(self._known) > _BUDGET:
                raise NotUnderstood("what follows from the choice is too large")
            self._known[key] = self._element(value, key[1])
        return self._known[key]

    def _element(self, value: Any, index: Index) -> Term:
        operation = producer(value)
        if operation is not None and operation == self.anchor:
            return self._chosen(value, index)
        if value in self.dependent:
            return self.unfold(value, index)
        if is_float(value):
            constant = splat(value)
            return self.opaque(value, index) if constant is None else number(constant)
        try:
            return self.unfold(value, index)
        except NotUnderstood:
            return atom("unknown", self.number(value), *index)

    def _chosen(self, value: Any, index: Index) -> Term:
        scores = self.anchor.operands[0]
        sizes = (*shape(scores)[:-1], shape(value)[-1])
        chosen = atom("ids", 0, shape(scores)[-1], sizes, *index)
        if value == self.anchor.results[1]:
            return chosen
        if self.key is not None:
            # What is chosen is a candidate: its key is not the one of the others.
            *token, expert = [*self.key[0], self.key[1]]
            given = zip([*token, expert], (*index[:-1], chosen), strict=True)
            atoms = ((as_atom(old), new) for old, new in given)
            return substitute(self.key[2], {old: new for old, new in atoms if old})
        return self.at(scores, (*index[:-1], chosen))

    def unfold(self, value: Any, index: Index) -> Term:
        """The element as its own operation makes it."""
        operation = producer(value)
        if operation is None:
            raise NotUnderstood("an argument has no operation")
        found = RULES.get(operation.name)
        if found is None:
            raise NotUnderstood("it is not one that the matcher knows", operation)
        results = list(operation.results)
        return found(self, operation, results.index(value), index)

    def number(self, value: Any) -> int:
        if value not in self._numbers:
            self._numbers[value] = len(self._values)
            self._values.append(value)
        return self._numbers[value]

    def opaque(self, value: Any, index: Index) -> Term:
        return make("el", self.number(value), *index)

    def value(self, term: Term) -> Any:
        """The value of an ``el``."""
        return self._values[term.args[0]]

    def value_at(self, number: int) -> Any:
        """The value of a number that ``number`` gave."""
        return self._values[number]

    def expand(self, term: Term) -> Term:
        """Looks into an ``el`` until it is something else, or as far as rules go."""
        while term.head == "el":
            try:
                term = self.unfold(self.value(term), term.args[1:])
            except NotUnderstood:
                return term
        return term

    def sum_index(self, value: Any, dimension: int, size: int) -> Term:
        """The index over which a result sums; one for each result and dimension."""
        return variable(f"{self.number(value)}.{dimension}", size)


def dependents(anchor: Any) -> set[Any]:
    """Values of the anchor's block that depend on its results."""
    found: set[Any] = set()
    waiting = list(anchor.results)
    while waiting:
        value = waiting.pop()
        if value in found:
            continue
        found.add(value)
        for use in value.uses:
            user = in_block(use.owner.operation, anchor.block)
            if user is not None:
                waiting += list(user.results)
    return found


def in_block(operation: Any, block: Any) -> Any | None:
    """The operation of ``block`` that is or holds ``operation``."""
    while operation is not None and operation.block != block:
        parent = operation.parent
        operation = None if parent is None else parent.operation
    return operation


def region_of(op: Any) -> str:
    """The operation that a region applies to its two arguments; "second" if it gives
    the second, "" if it is anything else."""
    body = [one.operation for one in op.regions[0].blocks[0].operations]
    arguments = list(op.regions[0].blocks[0].arguments)
    if len(arguments) != 2:
        return ""
    given = list(body[-1].operands)
    if len(body) == 1:
        return "second" if given == arguments[1:] else ""
    if len(body) != 2 or set(body[0].operands) != set(arguments):
        return ""
    return body[0].name if given == list(body[0].results) else ""


_STRUCTURAL = (
    "stablehlo.broadcast_in_dim",
    "stablehlo.convert",
    "stablehlo.reshape",
    "stablehlo.transpose",
)


def splat(value: Any) -> float | None:
    """The number that all elements of a value are, if that is plain to see."""
    operation = producer(value)
    while operation is not None and operation.name in _STRUCTURAL:
        operation = producer(operation.operands[0])
    if operation is None or operation.name != "stablehlo.constant":
        return None
    elements = operation.attributes["value"]
    if not elements.is_splat:
        return None
    return float(elements.get_splat_value().value)


def as_index(term: Term, operation: Any, high: int) -> Term:
    """An index that is surely in [0, high].

    Raises:
        NotUnderstood: It may be outside, or is no sum of index variables.
    """
    if not is_integer(term):
        raise NotUnderstood("an index is no formula that the matcher reads", operation)
    low, top = bounds(term)
    if low < 0 or top > high:
        raise NotUnderstood("an index may be out of bounds", operation)
    return term
