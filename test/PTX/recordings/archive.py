"""Archives of recorded arrays.

An archive is an xz file: 8 bytes with the length of a header, the header, the arrays.
The header is JSON: {key: [offset, dtype, shape]}, or {key: value} for plain values. An
array lies there as planes: the lowest byte of all its elements, then the second, ...
"""

import json
import lzma
import pathlib
from typing import Any

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent


def describes_array(value: object) -> bool:
    """Whether a value of the header describes an array: [offset, dtype, shape]."""
    match value:
        case [int(), str(), list()]:
            return True
    return False


def read(name: str) -> dict[str, Any]:
    """The arrays and plain values of the archive `name` in this folder."""
    raw = lzma.open(FOLDER / name).read()
    start = 8 + int.from_bytes(raw[:8], "little")
    blob = np.frombuffer(raw, np.uint8, offset=start)
    result: dict[str, Any] = {}
    for key, value in json.loads(raw[8:start]).items():
        if describes_array(value):
            offset, dtype, shape = value
            item = np.dtype(dtype).itemsize
            size = int(np.prod(shape)) * item
            planes = blob[offset : offset + size].reshape(item, -1)
            value = planes.T.copy().view(dtype).reshape(shape)
        result[key] = value
    return result


def write(name: str, content: dict[str, Any]) -> None:
    """Writes arrays and plain values as the archive `name` in this folder."""
    header: dict[str, Any] = {}
    planes, offset = [], 0
    for key, value in content.items():
        if isinstance(value, np.ndarray):
            header[key] = [offset, value.dtype.str, list(value.shape)]
            data = np.ascontiguousarray(value).reshape(-1, 1).view(np.uint8)
            planes.append(data.T.tobytes())
            offset += value.nbytes
        else:
            header[key] = value
    text = json.dumps(header).encode()
    raw = len(text).to_bytes(8, "little") + text + b"".join(planes)
    preset = 9 | lzma.PRESET_EXTREME
    (FOLDER / name).write_bytes(lzma.compress(raw, preset=preset))
