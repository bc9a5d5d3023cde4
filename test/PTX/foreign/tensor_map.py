"""Tensor maps of arrays."""

from typing import Any

import numpy as np


def tensor_map(array: np.ndarray, box: tuple[int, ...], swizzle: int = 0) -> Any:
    """The tensor map of a whole array; `box` in the order of its dimensions."""
    from moe_mlir import ptx

    return ptx.TensorMap(array, box=box, swizzle=swizzle)
