"""Every CUDA kernel with its answer."""

from foreign import (  # noqa: F401 - importing registers the kernels
    call_cases,
    float_cases,
    hopper_cases,
    move_cases,
    reduce_cases,
    select_cases,
    tile_cases,
    warp_cases,
)
from foreign.case import KERNELS, Kernel

__all__ = ["KERNELS", "Kernel"]
