"""Arrays whose memory ends where the next access faults."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

_LIBC = ctypes.CDLL(None, use_errno=True)
_PROT_NONE = 0


def guarded(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy of `values` that ends right before an inaccessible page.

    The memory lives as long as the array; reading or writing beyond its end kills
    the process.
    """
    size = max(values.nbytes, 1)
    pages = -(-size // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    last = ctypes.c_void_p(start + pages * mmap.PAGESIZE)
    if _LIBC.mprotect(last, mmap.PAGESIZE, _PROT_NONE) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    offset = pages * mmap.PAGESIZE - values.nbytes
    raw = np.frombuffer(memory, np.uint8, values.nbytes, offset)
    copy = raw.view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy
