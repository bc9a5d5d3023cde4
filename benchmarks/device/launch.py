"""Launches by the driver, with their parameters in memory."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from device.driver import Driver

# CUlaunchAttributeID
_COOPERATIVE, _CLUSTER = 2, 4


class _Attribute(ctypes.Structure):
    """CUlaunchAttribute"""

    _fields_ = [
        ("id", ctypes.c_int),
        ("pad", ctypes.c_char * 4),
        ("value", ctypes.c_uint32 * 16),
    ]


class _Config(ctypes.Structure):
    """CUlaunchConfig"""

    _fields_ = [
        ("grid", ctypes.c_uint32 * 3),
        ("block", ctypes.c_uint32 * 3),
        ("shared", ctypes.c_uint32),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(_Attribute)),
        ("count", ctypes.c_uint32),
    ]


assert ctypes.sizeof(_Attribute) == 72 and ctypes.sizeof(_Config) == 56


class Call:
    """A launch that is ready to be made: its parameters are in memory."""

    def __init__(
        self,
        driver: Driver,
        function: int,
        grid: Sequence[int],
        threads: int,
        shared: int,
        arguments: Sequence[tuple[int, int]],
        cluster: int = 0,
        cooperative: bool = False,
    ) -> None:
        """`arguments` are pairs of bytes (4 or 8) and value."""
        self._driver, self._function = driver, function
        self._values = [
            ctypes.c_uint64(value) if size == 8 else ctypes.c_int32(value)
            for size, value in arguments
        ]
        self._pointers = (ctypes.c_void_p * max(len(self._values), 1))(
            *(ctypes.addressof(value) for value in self._values)
        )
        used: list[tuple[int, tuple[int, ...]]] = []
        if cooperative:
            used.append((_COOPERATIVE, (1,)))
        if cluster:
            used.append((_CLUSTER, (cluster, 1, 1)))
        self._attributes = (_Attribute * 2)()
        for attribute, (number, words) in zip(self._attributes, used, strict=False):
            attribute.id = number
            attribute.value[: len(words)] = words
        self._config = _Config(
            (ctypes.c_uint32 * 3)(*grid),
            (ctypes.c_uint32 * 3)(threads, 1, 1),
            shared,
            None,
            self._attributes,
            len(used),
        )

    def launch(self, stream: int) -> None:
        """Launches the kernel on a stream."""
        config = self._config
        if config.count:
            config.stream = stream
            self._driver.call(
                "cuLaunchKernelEx",
                ctypes.byref(config),
                ctypes.c_void_p(self._function),
                self._pointers,
                None,
            )
            return
        self._driver.call(
            "cuLaunchKernel",
            ctypes.c_void_p(self._function),
            *(ctypes.c_uint32(size) for size in (*config.grid, *config.block)),
            ctypes.c_uint32(config.shared),
            ctypes.c_void_p(stream),
            self._pointers,
            None,
        )
