"""Whole layers of many sizes and rules on the emulator, under all its checks, agree
with the CPU but for rounding."""

from __future__ import annotations

import moe_mlir as moe
import pytest
from gated_layers import Layer, compare, compiled

BOUNDS = (("floor", 1), ("cap", 4))
GROUPS = (("groups", (8, 3, "top2_sum")), ("scale", 2.5))
LAYERS = [
    Layer(3, 1, 24, 8),
    Layer(60, 4, 37, 21, score="sigmoid", normalize="sum", dtype="float16"),
    Layer(96, 8, 40, 100, scope="token", layout="kn"),
    Layer(16, 3, 130, 50, options=BOUNDS, padded=True),
    Layer(64, 8, 64, 33, score="sigmoid", options=GROUPS, layout="kn"),
    Layer(128, 22, 16, 16, normalize="softmax", dtype="float16"),
    Layer(288, 6, 33, 24, scope="token", score="sqrtsoftplus", normalize="sum"),
    Layer(384, 8, 24, 16, padded=True),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_layers(layer: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    """From no token to more than a tile of rows; ties, one expert, rows of NaN."""
    monkeypatch.setenv("PTX_CHECK", "all")
    monkeypatch.setenv("PTX_FINDINGS", "error")
    models = compiled(layer)
    sizes = [
        ("normal", 1, 1),
        ("normal", 2, 17),
        ("equal", 1, 2),
        ("one_expert", 1, 40),
        ("specials", 2, 9),
        ("normal", 1, 0),
    ]
    for seed, (kind, s, t) in enumerate(sizes):
        if seed:
            monkeypatch.setenv("PTX_SEED", str(seed))
        compare(layer, models, kind, s, t)


def test_checks_are_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables above reach the emulator, launch by launch."""
    models = compiled(LAYERS[0])
    compare(LAYERS[0], models, "normal", 1, 3)
    monkeypatch.setenv("PTX_CHECK", "everything")
    with pytest.raises(moe.MoEError, match="cuLaunchKernel.*CUDA_ERROR_INVALID_VALUE"):
        compare(LAYERS[0], models, "normal", 1, 3)


@pytest.mark.long
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_long_layers(layer: Layer) -> None:
    """As many tokens as models are given at once."""
    models = compiled(layer)
    for kind, s, t in [("normal", 1, 128), ("two", 3, 1000), ("normal", 1, 4096)]:
        compare(layer, models, kind, s, t)
