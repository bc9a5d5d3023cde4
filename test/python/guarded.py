"""Arrays whose memory ends, or begins, where the next access faults."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

_LIBC = ctypes.CDLL(None, use_errno=True)
_PROT_NONE = 0


def guarded(
    values: npt.NDArray[Any], side: Literal["start", "end"] = "end"
) -> npt.NDArray[Any]:
    """A copy of `values` that ends right before an inaccessible page.

    The memory lives as long as the array; reading or writing beyond its end kills
    the process. With the side "start" it begins right after such a page instead.
    """
    page = mmap.PAGESIZE
    pages = -(-max(values.nbytes, 1) // page)
    memory = mmap.mmap(-1, (pages + 1) * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    closed = start + (pages * page if side == "end" else 0)
    if _LIBC.mprotect(ctypes.c_void_p(closed), page, _PROT_NONE) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    offset = pages * page - values.nbytes if side == "end" else page
    raw = np.frombuffer(memory, np.uint8, values.nbytes, offset)
    copy = raw.view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy
