"""Inputs from seeds: the same bits wherever they are made.

Only integer arithmetic and correctly rounded operations are used: a library's
logarithm, or its random generator, may differ from version to version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Element types by name. A bfloat16 is held as its 16 bits: NumPy has none.
DTYPES: dict[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(np.uint16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "i8": np.dtype(np.uint8),
}
#: Distance of 1 to the next larger number.
EPSILON = {"f32": 2.0**-23, "f16": 2.0**-10, "bf16": 2.0**-7}
_NAN = np.uint32(0x7FC00000)


def words(seed: int, count: int, first: int = 0) -> npt.NDArray[np.uint64]:
    """`count` random words of 64 bits (splitmix64), from the `first` one on."""
    with np.errstate(over="ignore"):
        z = np.arange(first + 1, first + count + 1, dtype=np.uint64)
        z = (z + np.uint64(seed << 32)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def normal(seed: int, count: int) -> npt.NDArray[np.float32]:
    """Sums of four uniform numbers: mean 0, deviation 1.15, within ±4; exact."""
    w = words(seed, count)
    total = np.zeros(count, np.int64)
    for shift in (0, 16, 32, 48):
        total += ((w >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
    return ((total - 131070).astype(np.float32)) * np.float32(2.0**-15)


def _special(seed: int, count: int) -> npt.NDArray[np.float32]:
    """Normal numbers, one in eight of them NaN, an infinity or a negative zero."""
    values, chosen = normal(seed, count), words(seed + 1, count) % np.uint64(32)
    for number, value in enumerate((np.inf, -np.inf, -0.0)):
        values[chosen == number] = value
    values.view(np.uint32)[chosen == 3] = _NAN
    return values


def _integers(seed: int, count: int, least: int, most: int) -> npt.NDArray[np.int64]:
    drawn = words(seed, count) % np.uint64(most - least + 1)
    return drawn.astype(np.int64) + least


def to_dtype(values: Array, dtype: str) -> Array:
    """Numbers as elements, rounded to nearest, ties to even."""
    if dtype != "bf16":
        return values.astype(DTYPES[dtype])
    bits = values.astype(np.float32).view(np.uint32)
    is_nan = np.isnan(values)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    high = (rounded >> np.uint32(16)).astype(np.uint16)
    return np.where(is_nan, np.uint16(0x7FC0), high)


def to_float(elements: Array, dtype: str) -> npt.NDArray[np.float64]:
    """Elements as numbers; exact."""
    if dtype == "bf16":
        return (elements.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(
            np.float64
        )  # fmt: skip
    return elements.astype(np.float64)


def make(fill: dict[str, Any], dtype: str, count: int) -> Array:
    """The elements that a manifest's `fill` describes.

    Kinds: "normal", "quantised" (to quarters), "special", each with a seed and an
    optional scale; "integers" from `least` to `most`; "equal" to `value`; "values".

    Raises:
        ValueError: The kind is not known, or there are too few values.
    """
    kind, seed = fill["kind"], fill.get("seed", 0)
    values: Array
    match kind:
        case "normal":
            values = normal(seed, count)
        case "quantised":
            values = np.rint(normal(seed, count) * np.float32(4)) * np.float32(0.25)
        case "special":
            values = _special(seed, count)
        case "integers":
            values = _integers(seed, count, fill["least"], fill["most"])
        case "equal":
            values = np.full(count, fill["value"])
        case "values":
            values = np.array(fill["values"])
            if values.size != count:
                raise ValueError(f"{values.size} values for {count} elements")
        case _:
            raise ValueError(f"data of kind {kind!r} are not known")
    if "scale" in fill:
        values = values * np.float32(fill["scale"])
    return to_dtype(values, dtype)


def top_choices(logits: Array, chosen: int) -> npt.NDArray[np.int64]:
    """[T, K]: the experts of the largest logits of each token, largest first."""
    return np.argsort(-logits.astype(np.float64), axis=1, kind="stable")[:, :chosen]


def plan_of(choices: Array, experts: int) -> dict[str, Array]:
    """The plan of choices [T, K], one sequence: rows in the order of experts."""
    tokens, chosen = choices.shape
    ordered = np.sort(choices, axis=1)  # the rows of a token, in expert order
    order = np.argsort(ordered.ravel(), kind="stable")
    row = np.empty_like(order)
    row[order] = np.arange(order.size)
    counts = np.bincount(ordered.ravel(), minlength=experts)
    return {
        "expert_offsets": np.append(0, np.cumsum(counts)).astype(np.int32),
        "row_token": (order // chosen).astype(np.int32),
        "token_offsets": np.arange(0, tokens * chosen + 1, chosen, dtype=np.int32),
        "token_row": row.astype(np.int32),
    }


def product(shape: Sequence[int]) -> int:
    """Elements of a shape."""
    return int(np.prod(shape, dtype=np.int64)) if len(shape) else 1
