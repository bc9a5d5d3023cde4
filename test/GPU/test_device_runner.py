"""The parts of the runner for devices: its data, and how results are compared."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import oracle
import pytest
from device import data
from device.compare import compare
from device.manifest import Result

NAN, INF = math.nan, math.inf


def result(dtype: str, count: int, room: int, **bound: float) -> Result:
    return Result(0, 0, dtype, count, room, "", **bound)


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_words_are_those_of_splitmix() -> None:
    """The first outputs of the published generator, seeded with 0."""
    assert data.words(0, 3).tolist() == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]
    assert np.array_equal(data.words(5, 4, first=3), data.words(5, 7)[3:])


def test_normal_numbers() -> None:
    numbers = data.normal(1, 100_000)
    assert abs(numbers.mean()) < 0.02
    assert abs(numbers.std() - 2 / math.sqrt(3)) < 0.02
    assert abs(numbers).max() < 4


def test_rounding_to_bf16_is_that_of_ml_dtypes() -> None:
    bits = data.words(3, 200_000).astype(np.uint32)
    values = bits.view(np.float32)
    got = data.to_dtype(values, "bf16")
    with np.errstate(invalid="ignore"):
        want = values.astype(ml_dtypes.bfloat16)
    is_nan = np.isnan(values)
    assert np.array_equal(got[~is_nan], want.view(np.uint16)[~is_nan])
    assert np.isnan(data.to_float(got, "bf16")[is_nan]).all()
    finite = data.to_float(got, "bf16")[~is_nan]
    assert np.array_equal(finite, want.astype(np.float64)[~is_nan])


@pytest.mark.parametrize(("tokens", "experts", "chosen"), [(17, 6, 2), (1, 8, 8)])
def test_plan_is_that_of_the_oracle(tokens: int, experts: int, chosen: int) -> None:
    logits = data.normal(4, tokens * experts).reshape(tokens, experts)
    plan = data.plan_of(data.top_choices(logits, chosen), experts)
    want = oracle.route(logits[None], chosen)
    for name, field in plan.items():
        assert np.array_equal(field, getattr(want, name).ravel()), name


def test_exact_means_every_bit() -> None:
    exact = result("f32", 3, 3)
    assert not compare(exact, f32(1, NAN, 0), f32(1, NAN, 0)).problem
    found = compare(exact, f32(1, 2, -0.0), f32(1, 2, 0.0))
    assert found.problem.startswith("element 2 is -0 (bits 0x80000000), not 0")
    assert found.differing == 1


@pytest.mark.parametrize(
    ("got", "want", "passes"),
    [
        (1.05, 1.0, True),
        (1.2, 1.0, False),
        (-0.09, 0.0, True),
        (NAN, 1.0, False),
        (INF, 1.0, False),
        (1.0, NAN, False),
        (1.0, INF, False),
        (-INF, INF, False),
        (-NAN, NAN, True),
    ],
)
def test_bounded(got: float, want: float, passes: bool) -> None:
    bounded = result("f32", 1, 1, absolute=0.1)
    assert bool(compare(bounded, f32(got), f32(want)).problem) != passes


def test_what_is_not_written_stays() -> None:
    found = np.full(4, -1, np.int32)
    found[:2] = 5, 6
    partly = result("i32", 2, 4)
    assert not compare(partly, found, found[:2].copy()).problem
    found[3] = 0
    problem = compare(partly, found, found[:2].copy()).problem
    assert problem == "element 3 behind the end is written"
