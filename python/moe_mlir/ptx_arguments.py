"""Arguments of kernels: arrays become device buffers, the rest bytes."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from moe_mlir import _ptx
from moe_mlir._ptx import PtxError

if TYPE_CHECKING:
    from moe_mlir.ptx import Kernel, Param

#: Device memory is aligned like this; counters depend on it.
ALIGNMENT = 256
#: What no access of a kernel up to sm_90 needs more of, and NumPy gives.
ACCESS_ALIGNMENT = 16
#: Bytes of an array from which a copy of it would cost more than it is worth.
LARGE = 1 << 20

_FLOATS = {".f16": "<e", ".f32": "<f", ".f64": "<d"}
#: Elements of tensors that are smaller than a byte.
_PACKED_BITS = {"b4x16": 4, "b4x16_p64": 4, "b6x16_p32": 6}


@dataclasses.dataclass(frozen=True)
class TensorMap:
    """A descriptor of a tensor in global memory, for the TMA (sm_90 and later).

    Sizes are in the order of the array's axes, the contiguous one last.

    Attributes:
        array: The tensor; its memory is a device buffer like any array argument.
        box: Elements of a copy along each axis.
        swizzle: Bytes, 0, 32, 64, 96 (sm_103 only) or 128.
        atomicity: Bytes a swizzle keeps together, 16; of 128 also 32 or 64.
        flips: With an atomicity of 32: each second line of 128 bytes exchanges the
            halves of its pieces of 16 bytes.
        element_strides: Along each axis; None: all 1.
        interleave: Bytes, 0, 16 or 32.
        fill_nan: Elements outside the tensor are NaN instead of 0.
        type: "f16", "bf16", "f32", "tf32", "f32ftz", "u8" ...; None: the array's.
            "b4x16", "b4x16_p64" and "b6x16_p32" are elements of 4 and 6 bits, packed
            along the last axis of an array of bytes: a row of n bytes has 8 n / 4 or
            8 n / 6 of them, and the box counts them, too.
    """

    array: npt.NDArray[Any]
    box: Sequence[int]
    swizzle: int = 0
    element_strides: Sequence[int] | None = None
    interleave: int = 0
    fill_nan: bool = False
    type: str | None = None
    atomicity: int = 16
    flips: bool = False

    def encode(self, address: int) -> bytes:
        """The 128 bytes of the descriptor of a tensor at ``address``.

        Raises:
            PtxError: The hardware could not do this.
        """
        array = self.array
        strides = self.element_strides or (1,) * array.ndim
        for what, sizes in (("box", self.box), ("element_strides", strides)):
            if len(sizes) != array.ndim:
                raise PtxError(
                    f"{what} has {len(sizes)} sizes for an array of {array.ndim} axes"
                )
        if array.ndim and array.strides[-1] != array.itemsize:
            raise PtxError("a tensor map needs an array whose last axis is contiguous")
        dims = list(array.shape[::-1])
        if bits := _PACKED_BITS.get(self.type or ""):
            if array.itemsize != 1 or not dims or dims[0] * 8 % bits:
                raise PtxError(
                    f"tensors of {self.type} need an array of bytes whose rows are "
                    f"whole elements of {bits} bits"
                )
            dims[0] = dims[0] * 8 // bits
        return _ptx.encode_tensor_map(
            type=self.type or _type_name(array.dtype),
            address=address,
            dims=dims,
            strides=array.strides[-2::-1] if array.ndim > 1 else (),
            box=tuple(self.box)[::-1],
            element_strides=tuple(strides)[::-1],
            interleave=self.interleave,
            swizzle=self.swizzle,
            atomicity=self.atomicity,
            flips=self.flips,
            fill_nan=self.fill_nan,
        )


Argument: TypeAlias = (
    npt.NDArray[Any] | np.generic | int | float | bool | bytes | TensorMap | None
)


class DeviceBuffers:
    """The arrays of a launch as device memory.

    Arrays that overlap share a buffer. Memory that is aligned as device memory is
    used in place, other memory is copied in and, after the launch, out. A large
    array needs but ``alignment`` to be used in place: it must not be there twice.
    """

    def __init__(
        self,
        device: _ptx.Device,
        kernel: Kernel,
        args: Sequence[Argument],
        alignment: int = ALIGNMENT,
    ) -> None:
        self._device = device
        self._alignment = alignment
        self._ranges: list[_Range] = []
        arrays = []
        for index, argument in enumerate(args):
            array = argument.array if isinstance(argument, TensorMap) else argument
            if not isinstance(array, np.ndarray):
                continue
            where = _where(kernel, index)
            if array.dtype.hasobject:
                raise PtxError(f"{where}: an array of Python objects has no bytes")
            arrays.append((*np.lib.array_utils.byte_bounds(array), array, where))
        for low, high, array, where in sorted(arrays, key=lambda entry: entry[:2]):
            if self._ranges and low < self._ranges[-1].high:
                self._ranges[-1].add(high, array)
            elif low < high:
                self._ranges.append(_Range(low, high, [array], where))

    def __enter__(self) -> DeviceBuffers:
        try:
            for part in self._ranges:
                part.place(self._device, self._alignment)
        except BaseException:
            self._free()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._free()

    def _free(self) -> None:
        for part in self._ranges:
            part.free(self._device)

    def address(self, array: npt.NDArray[Any]) -> int:
        """The device address of an array's first element; 0 if it has none."""
        pointer: int = array.__array_interface__["data"][0]
        for part in self._ranges:
            if part.low <= pointer < part.high:
                return part.device_address + pointer - part.low
        return 0

    def read_back(self) -> None:
        """Makes the arrays hold what the kernel wrote."""
        for part in self._ranges:
            part.read_back(self._device)


@dataclasses.dataclass
class _Range:
    """Host memory that arrays of a launch lie in, and its device buffer."""

    low: int
    high: int
    arrays: list[npt.NDArray[Any]]
    name: str
    device_address: int = 0
    copied: bool = False

    def add(self, high: int, array: npt.NDArray[Any]) -> None:
        self.high = max(self.high, high)
        self.arrays.append(array)

    @property
    def writable(self) -> bool:
        return all(array.flags.writeable for array in self.arrays)

    def place(self, device: _ptx.Device, alignment: int) -> None:
        size = self.high - self.low
        self.copied = self.low % (alignment if size >= LARGE else ALIGNMENT) != 0
        if not self.copied:
            self.device_address = device.adopt(self.low, size, self.name, self.writable)
            return
        self.device_address = device.allocate_copy(self.low, size, self.name)
        if not self.writable:
            device.set_writable(self.device_address, False)

    def read_back(self, device: _ptx.Device) -> None:
        if self.copied and self.writable:
            device.copy_out(self.low, self.device_address, self.high - self.low)

    def free(self, device: _ptx.Device) -> None:
        if self.device_address:
            device.free(self.device_address)
            self.device_address = 0


def pack(kernel: Kernel, args: Sequence[Argument], buffers: DeviceBuffers) -> bytes:
    """The parameter buffer of a launch.

    Raises:
        PtxError: An argument is missing, or does not fit its parameter.
    """
    if len(args) != len(kernel.params):
        names = ", ".join(f"{p.name}: {p.type}" for p in kernel.params) or "nothing"
        raise PtxError(
            f"kernel '{kernel.name}' takes {len(kernel.params)} arguments ({names}), "
            f"got {len(args)}"
        )
    result = bytearray(kernel.param_bytes)
    for index, (param, argument) in enumerate(zip(kernel.params, args, strict=True)):
        where = _where(kernel, index)
        value = _bytes_of(param, argument, buffers, where)
        if len(value) != param.size:
            raise PtxError(
                f"{where}: {_describe(argument)} has {len(value)} bytes, the "
                f"parameter {param.size}"
            )
        result[param.offset : param.offset + param.size] = value
    return bytes(result)


def _bytes_of(
    param: Param, argument: Argument, buffers: DeviceBuffers, where: str
) -> bytes:
    if isinstance(argument, np.ndarray):
        return buffers.address(argument).to_bytes(8, "little")
    if isinstance(argument, TensorMap):
        return argument.encode(buffers.address(argument.array))
    if isinstance(argument, bytes):
        return argument
    if argument is None:
        return bytes(8)
    if isinstance(argument, np.generic):
        is_float = argument.dtype.kind not in "biu"
        if not param.is_array and is_float and param.type[1] in "us":
            raise PtxError(f"{where}: {_describe(argument)} for an integer parameter")
        if not is_float and param.type[1] == "f":
            raise PtxError(f"{where}: {_describe(argument)} for a float parameter")
        return argument.tobytes()
    if isinstance(argument, (int, float)):
        return _scalar(param, argument, where)
    raise PtxError(
        f"{where}: {_describe(argument)} is no argument of a kernel; give a NumPy "
        "array or scalar, a TensorMap, bytes or None"
    )


def _scalar(param: Param, value: int | float, where: str) -> bytes:
    """A Python number, in the parameter's type."""
    if param.is_array:
        raise PtxError(f"{where}: a struct of {param.size} bytes is given as bytes")
    try:
        if param.type in _FLOATS:
            return struct.pack(_FLOATS[param.type], value)
        if isinstance(value, float):
            raise PtxError(
                f"{where}: {value!r} for a parameter of type {param.type}; give a "
                "NumPy scalar to say its bits"
            )
        return int(value).to_bytes(param.size, "little", signed=value < 0)
    except OverflowError:
        raise PtxError(f"{where}: {value!r} does not fit {param.type}") from None


def _where(kernel: Kernel, index: int) -> str:
    if index < len(kernel.params):
        return f"argument {index} ('{kernel.params[index].name}')"
    return f"argument {index}"


def _describe(argument: Any) -> str:
    kind = type(argument).__name__
    return f"{kind} {argument!r}" if np.isscalar(argument) else kind


def _type_name(dtype: np.dtype[Any]) -> str:
    """As TensorMap.type says it: float32 -> "f32"."""
    name = dtype.name
    for long, short in (("bfloat", "bf"), ("float", "f"), ("uint", "u"), ("int", "s")):
        if name.startswith(long) and name[len(long) :].isdigit():
            return short + name[len(long) :]
    return "u8" if dtype.itemsize == 1 else name
