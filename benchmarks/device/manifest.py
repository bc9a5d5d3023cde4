"""What a kit holds: modules, programs that launch their kernels, and results."""

from __future__ import annotations

import dataclasses
import gzip
import json
import pathlib
from typing import Any

import numpy as np

from device.data import DTYPES, Array, product

#: Grows when an older runner would not understand a kit.
VERSION = 1
NAME = "manifest.json"


class KitError(Exception):
    """A kit is missing or cannot be read."""


@dataclasses.dataclass(frozen=True)
class Image:
    """Code of a module.

    Attributes:
        file: In the kit, compressed.
        capability: Ten times the compute capability that it is for.
        exact: Whether it runs on this capability alone, as machine code does; PTX
            runs on later ones, too.
    """

    file: str
    capability: int
    exact: bool = False


@dataclasses.dataclass(frozen=True)
class Buffer:
    """Memory of the device.

    Attributes:
        name: What it is.
        dtype: Of its elements.
        shape: Its sizes.
        fill: How its elements are made (data.make); None: with bytes that no kernel
            may read, before each run.
        zero: Zero before the first run, and kept from run to run.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: dict[str, Any] | None = None
    zero: bool = False

    @property
    def bytes(self) -> int:
        return product(self.shape) * DTYPES[self.dtype].itemsize


@dataclasses.dataclass(frozen=True)
class Launch:
    """One launch of a program.

    Attributes:
        kernel: Its name.
        part: What it does in a layer: "route", "tiles", "matmul", "combine", "other".
        grid: Blocks.
        threads: Of a block.
        shared: Dynamic shared memory, in bytes.
        cluster: Blocks of a cluster, or 0.
        cooperative: Whether all blocks run at once.
        arguments: Numbers of 32 bits, or (buffer, bytes from its beginning).
    """

    kernel: str
    part: str
    grid: tuple[int, int, int]
    threads: int
    shared: int
    cluster: int
    cooperative: bool
    arguments: tuple[int | tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run must leave in a buffer.

    Attributes:
        buffer: Its number.
        offset: Bytes from its beginning.
        dtype: Of its elements.
        count: Elements that are written. Those behind them, to the end of the
            buffer, must stay as they were.
        room: Elements, with those that are not written.
        file: The elements, in the kit, compressed.
        relative: Of an element, how much of the wanted one it may be away.
        absolute: And how much besides; both 0: each bit counts.
        why: Where the bound comes from.
    """

    buffer: int
    offset: int
    dtype: str
    count: int
    room: int
    file: str
    relative: float = 0.0
    absolute: float = 0.0
    why: str = ""

    @property
    def is_exact(self) -> bool:
        return not (self.relative or self.absolute)


@dataclasses.dataclass(frozen=True)
class Program:
    """Launches, the memory they use, and what they must compute.

    Attributes:
        name: What it shows.
        module: The name of the module of its kernels.
        buffers: The memory.
        launches: In order.
        results: Empty where it is only timed.
    """

    name: str
    module: str
    buffers: tuple[Buffer, ...]
    launches: tuple[Launch, ...]
    results: tuple[Result, ...] = ()


@dataclasses.dataclass(frozen=True)
class Kit:
    """A folder with a manifest.

    Attributes:
        folder: Where it is.
        modules: Images of each module, the preferred one first.
        checks: Programs with results.
        timed: By kind and name, what is timed; see device.rows.
        version: Of the format.
    """

    folder: pathlib.Path
    modules: dict[str, tuple[Image, ...]]
    checks: tuple[Program, ...]
    timed: dict[str, Any]
    version: int = VERSION

    def bytes(self, file: str) -> bytes:
        """The content of a file of the kit."""
        try:
            return gzip.decompress((self.folder / file).read_bytes())
        except OSError as error:
            raise KitError(f"{self.folder / file}: {error}; make device-kit") from error

    def expected(self, result: Result) -> Array:
        """The elements that a result must have."""
        return np.frombuffer(self.bytes(result.file), DTYPES[result.dtype])

    def write(self) -> None:
        """Writes the manifest."""
        content = dataclasses.asdict(self)
        del content["folder"]
        (self.folder / NAME).write_text(json.dumps(content, indent=1) + "\n")


def read_program(content: dict[str, Any]) -> Program:
    """A program from JSON."""

    def argument(value: Any) -> int | tuple[int, int]:
        return value if isinstance(value, int) else (value[0], value[1])

    return Program(
        content["name"],
        content["module"],
        tuple(
            Buffer(**buffer | {"shape": tuple(buffer["shape"])})
            for buffer in content["buffers"]
        ),
        tuple(
            Launch(
                **launch
                | {
                    "grid": tuple(launch["grid"]),
                    "arguments": tuple(map(argument, launch["arguments"])),
                }
            )
            for launch in content["launches"]
        ),
        tuple(Result(**result) for result in content["results"]),
    )


def read(folder: pathlib.Path) -> Kit:
    """The kit in a folder.

    Raises:
        KitError: There is none, or it is of another version.
    """
    try:
        content = json.loads((folder / NAME).read_text())
    except (OSError, ValueError) as error:
        raise KitError(f"{folder}: no kit: {error}; run 'make device-kit'") from error
    if content.get("version") != VERSION:
        raise KitError(
            f"{folder}: the kit is of version {content.get('version')}, and this "
            f"runner reads {VERSION}; run 'make device-kit' again"
        )
    return Kit(
        folder,
        {
            name: tuple(Image(**image) for image in images)
            for name, images in content["modules"].items()
        },
        tuple(map(read_program, content["checks"])),
        content["timed"],
    )
