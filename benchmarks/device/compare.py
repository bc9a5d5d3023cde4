"""Results of a device beside those that it must have."""

from __future__ import annotations

import dataclasses

import numpy as np

from device.data import DTYPES, Array, to_float
from device.execute import UNWRITTEN
from device.manifest import Result


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What a result came to.

    Attributes:
        problem: Empty if it is right.
        differing: Elements whose bits are not those wanted.
        worst: The largest error, as a fraction of the bound; 0 for exact ones.
    """

    problem: str = ""
    differing: int = 0
    worst: float = 0.0


def _bits(elements: Array) -> Array:
    kinds = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
    return elements.view(kinds[elements.dtype.itemsize])


def compare(result: Result, found: Array, wanted: Array) -> Comparison:
    """Compares all elements of a result, and looks whether others were written.

    Args:
        result: What is compared, and by which bound.
        found: Its `room` elements on the device.
        wanted: The `count` elements that it must begin with.
    """
    if wanted.size != result.count or found.size != result.room:
        return Comparison(f"{wanted.size} elements are wanted, not {result.count}")
    rest = found[result.count :].view(np.uint8)
    if (rest != UNWRITTEN).any():
        first = int(np.argmax(rest != UNWRITTEN)) // DTYPES[result.dtype].itemsize
        return Comparison(f"element {result.count + first} behind the end is written")
    live = found[: result.count]
    differs = _bits(live) != _bits(wanted)
    differing = int(differs.sum())
    if not differing:
        return Comparison()
    if result.is_exact:
        at = int(np.argmax(differs))
        return Comparison(
            f"element {at} is {_show(live[at], result)}, not "
            f"{_show(wanted[at], result)}; {differing} of {live.size} differ",
            differing,
        )
    return _compare_within(result, live, wanted, differing)


def _compare_within(
    result: Result, found: Array, wanted: Array, differing: int
) -> Comparison:
    got, want = to_float(found, result.dtype), to_float(wanted, result.dtype)
    finite = np.isfinite(want)
    with np.errstate(invalid="ignore", divide="ignore"):
        bound = result.relative * abs(want) + result.absolute
        share = np.where(finite, abs(got - want) / bound, 0.0)
    # A NaN must be a NaN, an infinity the same infinity; and nothing else may be one.
    same = np.where(np.isnan(want), np.isnan(got), got == want)
    wrong = np.where(finite, ~(share <= 1), ~same)
    worst = float(np.nanmax(share, initial=0.0))
    if not wrong.any():
        return Comparison("", differing, worst)
    at = int(np.argmax(wrong))
    return Comparison(
        f"element {at} is {got[at]:g}, not {want[at]:g} within {bound[at]:.3g} "
        f"({result.why}); {int(wrong.sum())} of {found.size} are wrong",
        differing,
        worst,
    )


def _show(element: object, result: Result) -> str:
    value = np.array([element], DTYPES[result.dtype])
    if result.dtype.startswith("i"):
        return str(value[0])
    return f"{to_float(value, result.dtype)[0]:g} (bits {_bits(value)[0]:#x})"
