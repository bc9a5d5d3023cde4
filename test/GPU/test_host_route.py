"""moe.route on the emulator: the same bits as the rule in C++."""

from __future__ import annotations

import dataclasses
from typing import Any

import moe_mlir as moe
import numpy as np
import pytest


def check(logits: np.ndarray, k: int, **options: Any) -> None:
    """Compares every field of the plan, bit for bit."""
    got = moe.route(logits, k, target="emulator", **options)
    want = moe.route(logits, k, target="reference", **options)
    for field in dataclasses.fields(want):
        left, right = getattr(got, field.name), getattr(want, field.name)
        assert np.array_equal(left, right), field.name


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_calls_of_different_sizes_share_a_workspace(scope: str) -> None:
    random = np.random.default_rng(0)
    for sequences, tokens in [(2, 9), (1, 33), (3, 1), (1, 0), (2, 9)]:
        logits = random.standard_normal((sequences, tokens, 8)).astype(np.float32)
        check(logits, 2, scope=scope)


def test_padding_and_bias() -> None:
    random = np.random.default_rng(1)
    logits = random.standard_normal((2, 6, 16)).astype(np.float32)
    bias = random.standard_normal(16).astype(np.float32)
    check(logits, 3, scope="sequence", choice_bias=bias, lengths=[4, 6], cap=5)
