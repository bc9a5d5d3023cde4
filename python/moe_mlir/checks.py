"""Options of a routing as callers write them, checked before they are used."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from moe_mlir.errors import MoEError


def integer(where: str, name: str, value: Any) -> int:
    """The value of an integer of any type.

    Raises:
        MoEError: It is no integer, or of more than 64 bits.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise MoEError(
            f"{where}: {name} is {value!r}; it must be an integer", where=name
        ) from None
    if not -(2**63) <= number < 2**63:
        raise MoEError(f"{where}: {name} = {number} is out of range", where=name)
    return number


def real(where: str, name: str, value: Any) -> float:
    """The value of a real number of any type.

    Raises:
        MoEError: It is none.
    """
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise MoEError(
            f"{where}: {name} is {value!r}; it must be a number", where=name
        ) from None


def flag(where: str, name: str, value: Any) -> bool:
    """The value of a bool.

    Raises:
        MoEError: It is something else that Python takes for true or false.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise MoEError(
            f"{where}: {name} is {value!r}; it must be True or False", where=name
        )
    return bool(value)


def groups(where: str, value: Any) -> tuple[int, int, Any]:
    """Number of groups, groups kept, and how a group is scored; None: no groups.

    Raises:
        MoEError: It is no such triple. The third is left to the caller.
    """
    if value is None:
        return 1, 1, "max"
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise MoEError(
            f"{where}: groups is {value!r}; use (number of groups, groups kept per "
            'token, "max" or "top2_sum"), e.g. (8, 4, "top2_sum")',
            where="groups",
        )
    count, kept, score = value
    return (
        integer(where, "groups[0]", count),
        integer(where, "groups[1]", kept),
        score,
    )
