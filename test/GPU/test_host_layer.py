"""A whole MoE layer on the emulator agrees with the CPU's but for rounding."""

from __future__ import annotations

import pytest
from gated_layers import Layer, compare, compiled

#: A schedule by hand: its second form serves experts with 15 rows on average.
FORMS = """#moe.gpu_matmul<chip = sm_80, forms = [
    <rows = 32, columns = 128, depth = 64, warp_rows = 16, stages = 3, lanes = 8,
     least = 0>,
    <rows = 128, columns = 128, depth = 32, warp_rows = 64, stages = 3, lanes = 4,
     least = 15>]>"""


def layer(scope: str, dtype: str = "bfloat16") -> Layer:
    return Layer(6, 2, 72, 40, scope=scope, normalize="sum", dtype=dtype)


@pytest.mark.parametrize("scope", ["token", "sequence"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_layer_is_that_of_the_cpu(dtype: str, scope: str) -> None:
    models = compiled(layer(scope, dtype))
    for s, t in [(2, 5), (1, 60), (1, 1), (1, 0)]:
        compare(layer(scope, dtype), models, "normal", s, t)


def test_forms_by_hand() -> None:
    """Few rows of an expert, and enough for the second form of tiles."""
    models = compiled(layer("sequence"), schedule=FORMS)
    for s, t in [(2, 5), (1, 60), (3, 20), (1, 0)]:
        compare(layer("sequence"), models, "normal", s, t)


@pytest.mark.parametrize("scope", ["token", "sequence"])
def test_layer_of_known_sizes(scope: str) -> None:
    """Several blocks route; what they keep between calls is zero at first."""
    models = compiled(layer(scope), "1x60", "120")
    for _ in range(2):
        compare(layer(scope), models, "normal", 1, 60)
