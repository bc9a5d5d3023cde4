"""Which activation a formula of two numbers is: by its values.

An activation can be written in many ways (a sigmoid, its quotient, erf or erfc), and is
a function of two numbers: it is tried on several hundred pairs of them, among them
large ones, and ones beside each constant of the formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from moe_mlir.jax.matching.terms import Term, value_of

Array = Any

_erf = np.vectorize(math.erf, otypes=[np.float64])
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negate": np.negative,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "exponential": np.exp,
    "logistic": _logistic,
    "tanh": np.tanh,
    "erf": _erf,
    "erfc": _erfc,
    "square": np.square,
    "abs": np.abs,
    "power": np.power,
    "sqrt": np.sqrt,
    "log": np.log,
    "log_plus_one": np.log1p,
    "exponential_minus_one": np.expm1,
    "select": lambda c, x, y: np.where(c != 0, x, y),
    "not": lambda c: 1.0 - c,
    "compare_LT": np.less,
    "compare_LE": np.less_equal,
    "compare_GT": np.greater,
    "compare_GE": np.greater_equal,
}


def _silu(x: Array) -> Array:
    return x * _logistic(x)


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


_KNOWN: dict[str, Callable[[Array], Array]] = {
    "silu": _silu,
    "gelu": lambda x: 0.5 * x * _erfc(-x / math.sqrt(2)),
    "gelu_tanh": _gelu_tanh,
    "relu": lambda x: np.maximum(x, 0),
    "relu2": lambda x: np.square(np.maximum(x, 0)),
}


def activation_of(
    formula: Term, first: Term, second: Term | None
) -> tuple[str, float, float] | None:
    """The activation that a formula is.

    Args:
        formula: Of ``first``, ``second`` and constants.
        first: Stands for the gate, or for the only product.
        second: Stands for the other product of gated experts.

    Returns:
        Its name, limit and alpha (0 but of ``clamped_swiglu``); None if it is none.
    """
    constants = sorted(_constants(formula))
    g, u = _points(constants)
    with np.errstate(all="ignore"):
        try:
            have = _evaluate(formula, {first: g, second: u}, {})
        except KeyError:
            return None
        for name, function in _KNOWN.items():
            want = function(g) * (1 if second is None else u)
            if _same(have, want):
                return name, 0.0, 0.0
        for limit in {abs(c) for c in constants if c} if second is not None else ():
            for alpha in constants:
                gate, up = np.minimum(g, limit), np.clip(u, -limit, limit)
                if _same(have, (up + 1) * gate * _logistic(alpha * gate)):
                    return "clamped_swiglu", limit, alpha
    return None


def _points(constants: list[float]) -> tuple[Array, Array]:
    """Pairs of numbers at which functions are compared."""
    line = np.concatenate(
        [
            np.linspace(-12, 12, 25),
            [-60.0, -30.0, 30.0, 60.0, 1e-3],
            *([c - 0.37, c + 0.37, -c - 0.41] for c in constants if abs(c) < 50),
        ]
    )
    g, u = np.meshgrid(line, np.concatenate([line[::3] + 0.13, [1.0, -1.7]]))
    return g.ravel(), u.ravel()


def _same(have: Array, want: Array) -> bool:
    return bool(np.allclose(have, want, rtol=2e-6, atol=2e-6))


def _constants(term: Term) -> set[float]:
    value = value_of(term)
    if value is not None:
        return {value} if math.isfinite(value) else set()
    parts = (a for a in term.args if isinstance(a, Term))
    return set[float]().union(*map(_constants, parts)) if term.head == "fn" else set()


def _evaluate(term: Term, given: dict[Any, Array], known: dict[Term, Array]) -> Array:
    """Raises KeyError for a formula of something else."""
    if term in given:
        return given[term]
    if term not in known:
        value = value_of(term)
        if value is not None:
            known[term] = np.float64(value)
        elif term.head == "round":
            known[term] = _evaluate(term.args[1], given, known)
        elif term.head == "fn":
            args = [_evaluate(a, given, known) for a in term.args[1:]]
            known[term] = _FUNCTIONS[term.args[0]](*args)
        else:
            raise KeyError(term.head)
    return known[term]
