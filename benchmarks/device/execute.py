"""Programs of a kit on a device."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Mapping

import numpy as np

from device.data import DTYPES, Array, make, product
from device.driver import Driver, DriverError
from device.launch import Call
from device.manifest import Buffer, Kit, Launch, Program

#: What memory holds that a kernel may not read: NaNs, and indices out of range.
UNWRITTEN = 0xFF


class Unsupported(Exception):
    """The device is too old for a program, or too small."""


class Modules:
    """The modules of a kit, each loaded when it is first needed.

    Attributes:
        driver: Of the device they are loaded to.
    """

    def __init__(self, kit: Kit, driver: Driver) -> None:
        self._kit, self.driver = kit, driver
        self._loaded: dict[str, int] = {}
        self._functions: dict[tuple[str, str], int] = {}

    def _load(self, name: str) -> int:
        """The first image that is for this device and that the driver takes: it may
        refuse machine code of a newer assembler, and compile the PTX."""
        capability = self.driver.capability
        images = [
            image
            for image in self._kit.modules[name]
            if image.capability == capability
            or (not image.exact and image.capability < capability)
        ]
        if not images:
            least = min(image.capability for image in self._kit.modules[name])
            raise Unsupported(f"needs sm_{least}, and the device is sm_{capability}")
        for image in images[:-1]:
            with contextlib.suppress(DriverError):
                return self.driver.load(self._kit.bytes(image.file))
        return self.driver.load(self._kit.bytes(images[-1].file))

    def function(self, module: str, kernel: str) -> int:
        """A kernel.

        Raises:
            Unsupported: Nothing in the kit runs on this device.
            DriverError: The driver refuses the code.
        """
        if module not in self._loaded:
            self._loaded[module] = self._load(module)
        key = module, kernel
        if key not in self._functions:
            self._functions[key] = self.driver.function(self._loaded[module], kernel)
        return self._functions[key]

    def unload(self, module: str) -> None:
        """Forgets a module."""
        if module in self._loaded:
            self.driver.unload(self._loaded.pop(module))
        for key in [key for key in self._functions if key[0] == module]:
            del self._functions[key]


class Memory:
    """Memory of a device, freed at the end of a `with`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._pointers: list[int] = []

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        # After a failure the driver may refuse this, too; the first error counts.
        with (
            contextlib.nullcontext()
            if error is None
            else contextlib.suppress(DriverError)
        ):
            self._driver.synchronize()
            for pointer in self._pointers:
                self._driver.free(pointer)

    def allocate(self, size: int) -> int:
        """Memory of so many bytes."""
        self._pointers.append(self._driver.allocate(size))
        return self._pointers[-1]

    def place(self, array: Array) -> int:
        """A copy of an array."""
        pointer = self.allocate(array.nbytes)
        self._driver.upload(pointer, array)
        return pointer

    def repeat(self, array: Array, count: int) -> int:
        """Memory of `count` elements, which are those of an array again and again."""
        size = array.itemsize * count
        pointer = self.allocate(size)
        self._driver.upload(pointer, array[: min(count, array.size)])
        done = min(size, array.nbytes)
        while done < size:
            step = min(done, size - done)
            self._driver.copy(pointer + done, pointer, step)
            done += step
        self._driver.synchronize()
        return pointer


class Loaded:
    """A program in a device's memory, ready to run.

    Attributes:
        program: The program.
        pointers: Of its buffers.
        calls: Its launches.
    """

    def __init__(
        self,
        program: Program,
        modules: Modules,
        driver: Driver,
        memory: Memory,
        given: Mapping[str, int] | None = None,
    ) -> None:
        """`given` are addresses of buffers, by name, that are there already.

        Raises:
            Unsupported: The device is too old, or too small.
        """
        self.program, self._driver = program, driver
        given = given or {}
        # Before anything is allocated: the device may not be able to run it.
        functions = {
            launch.kernel: modules.function(program.module, launch.kernel)
            for launch in program.launches
        }
        for launch in program.launches:
            blocks = product(launch.grid)
            if launch.cooperative and blocks > driver.multiprocessors:
                raise Unsupported(
                    f"needs {blocks} blocks at once, and the device has "
                    f"{driver.multiprocessors} multiprocessors"
                )
        self.pointers = [
            given.get(buffer.name) or self._place(buffer, memory)
            for buffer in program.buffers
        ]
        self._spoiled = [
            (pointer, buffer.bytes)
            for buffer, pointer in zip(program.buffers, self.pointers, strict=True)
            if buffer.fill is None and not buffer.zero and buffer.name not in given
        ]
        self.calls = [
            self._call(launch, functions[launch.kernel]) for launch in program.launches
        ]

    def _place(self, buffer: Buffer, memory: Memory) -> int:
        if buffer.fill is not None:
            count = product(buffer.shape)
            return memory.place(make(buffer.fill, buffer.dtype, count))
        pointer = memory.allocate(buffer.bytes)
        self._driver.set_bytes(pointer, 0 if buffer.zero else UNWRITTEN, buffer.bytes)
        return pointer

    def _call(self, launch: Launch, function: int) -> Call:
        arguments = [
            (4, argument)
            if isinstance(argument, int)
            else (8, self.pointers[argument[0]] + argument[1])
            for argument in launch.arguments
        ]
        return Call(
            self._driver,
            function,
            launch.grid,
            launch.threads,
            launch.shared,
            arguments,
            launch.cluster,
            launch.cooperative,
        )

    def run(self) -> list[Array]:
        """Runs it once; the elements of its results, with those not written."""
        driver = self._driver
        for pointer, size in self._spoiled:
            driver.set_bytes(pointer, UNWRITTEN, size)
        for call in self.calls:
            call.launch(driver.stream)
        driver.synchronize()
        found = []
        for result in self.program.results:
            elements = np.empty(result.room, DTYPES[result.dtype])
            driver.download(self.pointers[result.buffer] + result.offset, elements)
            found.append(elements)
        return found
