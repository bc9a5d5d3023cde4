"""Comparison of `moe_mlir.route` with the oracle, bit for bit."""

from typing import Any

import moe_mlir
import numpy as np
import numpy.typing as npt
import oracle

Array = npt.NDArray[Any]

TARGETS = ("reference", "cpu")


def bits(values: Array) -> Array:
    return values.view(np.uint32) if values.dtype == np.float32 else values


def count_nan_tokens(logits: Array, valid: Array | None) -> int:
    nan = np.isnan(logits.astype(np.float32)).any(-1)
    return int((nan if valid is None else nan & (valid != 0)).sum())


def assert_routes_as_oracle(
    target: str, logits: Array, arguments: dict[str, Any], what: object
) -> None:
    """Every index and every bit of every gate agrees."""
    want = oracle.route(logits, **arguments)
    plan = moe_mlir.route(logits, target=target, **arguments)
    live = want.expert_offsets[-1]
    for name in oracle.Routing._fields:
        wanted = getattr(want, name)
        if name in ("row_token", "token_row", "gates"):
            wanted = wanted[:live]
        got = np.asarray(getattr(plan, name))
        where = f"{name} of {what}, logits {logits.shape}, target {target}"
        assert got.dtype == wanted.dtype, where
        assert got.shape == wanted.shape, where
        if not np.array_equal(bits(got), bits(wanted)):
            first = tuple(np.argwhere(bits(got) != bits(wanted))[0])
            raise AssertionError(f"{where}{first}: {got[first]}, not {wanted[first]}")
    nan_tokens = count_nan_tokens(logits, arguments.get("valid"))
    assert plan.nan_tokens == nan_tokens, f"nan_tokens of {what}, target {target}"
