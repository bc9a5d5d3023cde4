"""Arrays in the memory of a device: ours, and those of other frameworks."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from moe_mlir import _moe
from moe_mlir.arrays import DTYPES, Array
from moe_mlir.errors import MoEError
from moe_mlir.signature import elements

#: kDLCUDA of DLPack.
_DL_CUDA = 2
#: Element types by code and bits of DLPack.
_DL_TYPES = {
    (0, 8): "i8",
    (0, 16): "i16",
    (0, 32): "i32",
    (0, 64): "i64",
    (1, 8): "ui8",
    (2, 16): "f16",
    (2, 32): "f32",
    (2, 64): "f64",
    (4, 16): "bf16",
    (6, 8): "i1",
}
#: Kernels read so many bytes at once.
ALIGNMENT = 16


class DeviceArray:
    """A dense array in the memory of a device.

    Other frameworks read it in place by DLPack (``torch.from_dlpack``) or by
    ``__cuda_array_interface__``, which has no bfloat16.

    Attributes:
        shape: Its sizes.
        dtype: Its element type, a NumPy one.
        pointer: The address of its first element.
        stream: The stream that writes it, 0 for the default one.
    """

    def __init__(
        self,
        device: _moe.GPUDevice,
        owner: object,
        pointer: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        stream: int = 0,
    ) -> None:
        self.device = device
        self._owner = owner
        self.pointer = pointer
        self.shape = shape
        self.dtype = dtype
        self.stream = stream

    @classmethod
    def empty(
        cls, device: _moe.GPUDevice, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> DeviceArray:
        """Memory for an array, not set to anything."""
        owner = _moe.GPUBuffer.allocate(device, elements(shape) * dtype.itemsize)
        return cls(device, owner, owner.pointer, shape, dtype)

    @classmethod
    def upload(
        cls, device: _moe.GPUDevice, array: Array, stream: int = 0
    ) -> DeviceArray:
        """A copy of a dense NumPy array on a device."""
        made = cls.empty(device, array.shape, array.dtype)
        _moe.gpu_upload(device, made.pointer, array, stream)
        made.stream = stream
        return made

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return elements(self.shape) * self.dtype.itemsize

    def numpy(self) -> Array:
        """A copy in the memory of the host; waits for the array to be written."""
        array = np.empty(self.shape, self.dtype)
        _moe.gpu_download(self.device, array, self.pointer, self.stream)
        return array

    def __dlpack_device__(self) -> tuple[int, int]:
        return _DL_CUDA, self.device.ordinal

    def __dlpack__(self, *, stream: int | None = None, **_: object) -> object:
        self._wait(stream)
        name = next(name for name, dtype in DTYPES.items() if dtype == self.dtype)
        code = next(code for code, known in _DL_TYPES.items() if known == name)
        return _moe.make_dlpack(
            self, self.pointer, list(self.shape), code, self.__dlpack_device__()
        )

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.dtype == DTYPES["bf16"]:
            raise AttributeError(
                "__cuda_array_interface__ has no bfloat16; use __dlpack__"
            )
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.pointer, False),
            "strides": None,
            "stream": self.stream or 1,
        }

    def _wait(self, stream: int | None) -> None:
        """Makes the array whole for a reader on another stream."""
        same = stream is None or stream in (self.stream, -1)
        if not same and not (stream == 1 and self.stream == 0):
            self.device.synchronize(self.stream)

    def __repr__(self) -> str:
        return f"<moe_mlir.DeviceArray {self.dtype} {list(self.shape)}>"


@dataclasses.dataclass(frozen=True)
class _Foreign:
    """What a framework says of its array."""

    pointer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None  # in elements
    dtype: np.dtype[Any]
    ordinal: int
    keep: object


def is_on_device(value: object) -> bool:
    """Whether a value is an array in the memory of a GPU."""
    if isinstance(value, DeviceArray):
        return True
    if isinstance(value, np.ndarray):
        return False
    try:
        if hasattr(value, "__dlpack_device__"):
            return int(value.__dlpack_device__()[0]) == _DL_CUDA
        return hasattr(value, "__cuda_array_interface__")
    except (RuntimeError, TypeError, ValueError, BufferError):
        return False


def view_on_device(
    value: Any, device: _moe.GPUDevice, stream: int, where: str
) -> DeviceArray:
    """A view of an array that is on `device` already, without a copy.

    Raises:
        MoEError: It is on another device, not dense, or not aligned.
    """
    if isinstance(value, DeviceArray):
        if value.device is not device:
            raise MoEError(
                f"{where}: is on another device ({value.device.name}) than the "
                f"compiled code ({device.name}); pass .numpy() of it",
                where=where,
            )
        value._wait(stream)
        return value
    foreign = _read(value, device, stream, where)
    if foreign.ordinal != device.ordinal:
        raise MoEError(
            f"{where}: is on GPU {foreign.ordinal}, and the code was compiled for GPU "
            f"{device.ordinal}; move it there, or compile(device={foreign.ordinal})",
            where=where,
        )
    if not _is_dense(foreign):
        raise MoEError(
            f"{where}: is a strided view, and kernels read dense memory; pass "
            ".contiguous() of it",
            where=where,
        )
    if foreign.pointer % ALIGNMENT and elements(foreign.shape):
        raise MoEError(
            f"{where}: its address is no multiple of {ALIGNMENT}; pass a copy of it",
            where=where,
        )
    return DeviceArray(
        device, foreign.keep, foreign.pointer, foreign.shape, foreign.dtype, stream
    )


def _read(value: Any, device: _moe.GPUDevice, stream: int, where: str) -> _Foreign:
    try:
        if hasattr(value, "__dlpack__"):
            # 1 is the default stream, in the protocol.
            capsule = value.__dlpack__(stream=stream or 1)
            pointer, shape, strides, code, (_, ordinal) = _moe.read_dlpack(capsule)
            if code not in _DL_TYPES:
                raise TypeError(f"its element type has DLPack's code {code}")
            return _Foreign(
                pointer,
                tuple(shape),
                None if strides is None else tuple(strides),
                DTYPES[_DL_TYPES[code]],
                ordinal,
                (value, capsule),
            )
        return _read_interface(value, device, stream)
    except (BufferError, RuntimeError, TypeError, KeyError) as error:
        raise MoEError(
            f"{where}: this {type(value).__name__} cannot be read in place: {error}",
            where=where,
        ) from error


def _read_interface(value: Any, device: _moe.GPUDevice, stream: int) -> _Foreign:
    interface = value.__cuda_array_interface__
    dtype = np.dtype(interface["typestr"])
    if interface.get("mask") is not None:
        raise TypeError("it has a mask")
    if dtype not in DTYPES.values():
        raise TypeError(f"elements are {dtype}")
    writer = interface.get("stream")
    if writer is not None and writer not in (stream, 1 if stream == 0 else None):
        device.synchronize(0 if writer == 1 else writer)
    strides = interface.get("strides")
    if strides is not None:
        strides = tuple(stride // dtype.itemsize for stride in strides)
    pointer, _ = interface["data"]
    # The interface does not say which device; the driver knows a wrong address.
    return _Foreign(
        pointer, tuple(interface["shape"]), strides, dtype, device.ordinal, value
    )


def _is_dense(array: _Foreign) -> bool:
    if array.strides is None or 0 in array.shape:
        return True
    expected = 1
    for size, stride in zip(
        reversed(array.shape), reversed(array.strides), strict=True
    ):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
