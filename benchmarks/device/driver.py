"""The CUDA driver by ctypes: names, values and layouts of its public interface."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

#: The driver of a GPU.
LIBRARY = "libcuda.so.1"
# CUresult
_NO_DEVICE, _STUB_LIBRARY = 100, 34
# CUdevice_attribute
_MULTIPROCESSORS, _L2_BYTES, _MAJOR, _MINOR, _SHARED_OPT_IN = 16, 38, 75, 76, 97
# CUfunction_attribute
_STATIC_SHARED, _MAX_DYNAMIC_SHARED, _NON_PORTABLE_CLUSTER = 1, 8, 14
# CUjit_option
_ERROR_LOG, _ERROR_LOG_BYTES = 5, 6
# CUstream_flags, CUstreamCaptureMode: other threads may call what they like
_NON_BLOCKING, CAPTURE_RELAXED = 1, 2
_CLUSTER_CAPABILITY = 90
#: What timing needs; a driver may lack it.
GRAPH_FUNCTIONS = (
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuGraphExecDestroy",
    "cuGraphDestroy",
)
#: And this, with graphs or without.
EVENT_FUNCTIONS = (
    "cuEventCreate",
    "cuEventRecord",
    "cuEventSynchronize",
    "cuEventElapsedTime",
)


class NoDevice(Exception):
    """There is no driver, or it finds no device."""


class DriverError(Exception):
    """A call of the driver failed."""


class Driver:
    """One device, by its driver's library; its primary context is current.

    Attributes:
        name: Of the device.
        capability: Ten times its compute capability.
        multiprocessors: Their number.
        l2_bytes: Of its second-level cache.
        version: Of the driver's interface; 12040 is that of CUDA 12.4.
        stream: A stream of our own.
    """

    def __init__(self, library: str = LIBRARY) -> None:
        """Opens device 0.

        Raises:
            NoDevice: There is no such library, or no device.
            DriverError: There is a device, but a call fails.
        """
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise NoDevice(f"the driver cannot be loaded: {error}") from error
        status = self._library.cuInit(0)
        if status in (_NO_DEVICE, _STUB_LIBRARY):
            raise NoDevice(f"cuInit: {self._text(status)}")
        self._check("cuInit", status)
        if self._number("cuDeviceGetCount") == 0:
            raise NoDevice("the driver finds no device")
        self._device = self._number("cuDeviceGet", 0)
        text = ctypes.create_string_buffer(256)
        self.call("cuDeviceGetName", text, 256, self._device)
        self.name = text.value.decode()
        self.version = self._number("cuDriverGetVersion")
        self.capability = 10 * self._attribute(_MAJOR) + self._attribute(_MINOR)
        self.multiprocessors = self._attribute(_MULTIPROCESSORS)
        self.l2_bytes = self._attribute(_L2_BYTES)
        self._shared_bytes = self._attribute(_SHARED_OPT_IN)
        context = self._handle("cuDevicePrimaryCtxRetain", self._device)
        self.call("cuCtxSetCurrent", ctypes.c_void_p(context))
        self.stream = self._handle("cuStreamCreate", ctypes.c_uint32(_NON_BLOCKING))

    def missing(self, names: Sequence[str]) -> list[str]:
        """The functions that the library lacks."""
        return [name for name in names if not hasattr(self._library, name)]

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function.

        Raises:
            DriverError: It fails.
        """
        self._check(name, getattr(self._library, name)(*arguments))

    def _check(self, name: str, status: int, detail: str = "") -> None:
        if status:
            end = f": {detail}" if detail else ""
            raise DriverError(f"{name} failed: {self._text(status)}{end}")

    def _text(self, status: int) -> str:
        words = []
        for name in ("cuGetErrorName", "cuGetErrorString"):
            text = ctypes.c_char_p()
            getattr(self._library, name)(status, ctypes.byref(text))
            words.append((text.value or b"unknown").decode())
        return f"{words[0]} ({status}, {words[1]})"

    def _number(self, name: str, *arguments: Any) -> int:
        value = ctypes.c_int()
        self.call(name, ctypes.byref(value), *arguments)
        return value.value

    def _handle(self, name: str, *arguments: Any) -> int:
        value = ctypes.c_void_p()
        self.call(name, ctypes.byref(value), *arguments)
        return value.value or 0

    def _attribute(self, number: int) -> int:
        return self._number("cuDeviceGetAttribute", number, self._device)

    def load(self, image: bytes) -> int:
        """A module of PTX or machine code.

        Raises:
            DriverError: The driver refuses it; with what its compiler says.
        """
        log = ctypes.create_string_buffer(4096)
        options = (ctypes.c_int * 2)(_ERROR_LOG, _ERROR_LOG_BYTES)
        values = (ctypes.c_void_p * 2)(ctypes.addressof(log), len(log))
        module = ctypes.c_void_p()
        name = "cuModuleLoadDataEx"
        status = getattr(self._library, name)(
            ctypes.byref(module), image + b"\0", 2, options, values
        )
        self._check(name, status, log.value.decode(errors="replace").strip())
        return module.value or 0

    def unload(self, module: int) -> None:
        self.call("cuModuleUnload", ctypes.c_void_p(module))

    def function(self, module: int, name: str) -> int:
        """A kernel, allowed all of a block's shared memory."""
        handle = self._handle(
            "cuModuleGetFunction", ctypes.c_void_p(module), name.encode()
        )
        function = ctypes.c_void_p(handle)
        used = self._number("cuFuncGetAttribute", _STATIC_SHARED, function)
        most = self._shared_bytes - used
        self.call("cuFuncSetAttribute", function, _MAX_DYNAMIC_SHARED, most)
        if self.capability >= _CLUSTER_CAPABILITY:
            self.call("cuFuncSetAttribute", function, _NON_PORTABLE_CLUSTER, 1)
        return handle

    def allocate(self, size: int) -> int:
        """Memory of the device."""
        pointer = ctypes.c_uint64()
        length = ctypes.c_size_t(max(size, 16))
        self.call("cuMemAlloc_v2", ctypes.byref(pointer), length)
        return pointer.value

    def free(self, pointer: int) -> None:
        self.call("cuMemFree_v2", ctypes.c_uint64(pointer))

    # Everything goes by our own stream: a copy that returns may not have landed yet.

    def upload(self, pointer: int, array: npt.NDArray[Any]) -> None:
        """Copies an array to the device, and waits."""
        data = np.ascontiguousarray(array)
        if data.nbytes:
            self.call(
                "cuMemcpyHtoDAsync_v2",
                ctypes.c_uint64(pointer),
                ctypes.c_void_p(data.ctypes.data),
                ctypes.c_size_t(data.nbytes),
                ctypes.c_void_p(self.stream),
            )
            self.synchronize()

    def download(self, pointer: int, array: npt.NDArray[Any]) -> None:
        """Copies memory of the device to a dense array, and waits."""
        if array.nbytes:
            self.call(
                "cuMemcpyDtoHAsync_v2",
                ctypes.c_void_p(array.ctypes.data),
                ctypes.c_uint64(pointer),
                ctypes.c_size_t(array.nbytes),
                ctypes.c_void_p(self.stream),
            )
            self.synchronize()

    def copy(self, to: int, source: int, size: int) -> None:
        """Copies on the device."""
        self.call(
            "cuMemcpyDtoDAsync_v2",
            ctypes.c_uint64(to),
            ctypes.c_uint64(source),
            ctypes.c_size_t(size),
            ctypes.c_void_p(self.stream),
        )

    def set_bytes(self, pointer: int, value: int, size: int) -> None:
        """Sets bytes of the device's memory."""
        if size:
            self.call(
                "cuMemsetD8Async",
                ctypes.c_uint64(pointer),
                ctypes.c_ubyte(value),
                ctypes.c_size_t(size),
                ctypes.c_void_p(self.stream),
            )

    def synchronize(self) -> None:
        """Waits for all that was asked for."""
        self.call("cuStreamSynchronize", ctypes.c_void_p(self.stream))
