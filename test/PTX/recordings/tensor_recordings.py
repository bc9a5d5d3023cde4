"""The recorded results of the tensor cores.

Of each variant and distribution the archive holds a CRC-32 of the D registers of all
tiles and, of most, the registers of the first tiles. Inputs are made anew by
`make_tiles`; the sparse variant's are stored.
"""

import collections.abc
import dataclasses
import functools
import zlib
from typing import Any

import numpy as np

from recordings import archive, tensor_model
from recordings.tensor_layouts import Layout, fragment_c, group_fragment_c
from recordings.tensor_tiles import Tiles, make_tiles
from recordings.tensor_variants import MMA, WGMMA, Mma, Wgmma


@functools.cache
def data() -> dict[str, Any]:
    return archive.read("tensor.xz")


@dataclasses.dataclass(frozen=True)
class TensorRecording:
    """What one variant gave for the tiles of one distribution."""

    name: str
    distribution: str
    variant: Mma | Wgmma
    count: int
    crc: int
    # D registers [tile, lane or thread, register] of the first tiles, if stored.
    first: np.ndarray | None

    @property
    def key(self) -> str:
        return f"{self.name}|{self.distribution}"

    def tiles(self) -> Tiles:
        """The input tiles A, B, C."""
        return make_tiles(self.name, self.variant.shape, self.distribution, self.count)

    def layout(self) -> Layout:
        """The layout of C and D."""
        s = self.variant.shape
        if isinstance(self.variant, Wgmma):
            return group_fragment_c(s.n, s.d)
        return fragment_c(s.m, s.n, s.d)

    def model(self, tiles: Tiles) -> np.ndarray:
        """D tiles by the model."""
        if isinstance(self.variant, Wgmma):
            return tensor_model.wgmma(self.variant, *tiles)
        return tensor_model.mma(self.variant, *tiles)

    def agrees(self, registers: np.ndarray) -> bool:
        """Whether D registers of all tiles are the recorded ones, bit for bit."""
        return zlib.crc32(np.ascontiguousarray(registers).tobytes()) == self.crc


def recordings() -> collections.abc.Iterator[TensorRecording]:
    """The recordings of mma.sync and wgmma."""
    for key, (count, crc) in data()["crc32"].items():
        name, _, distribution = key.partition("|")
        variant = MMA.get(name) or WGMMA[name]
        yield TensorRecording(name, distribution, variant, count, crc, data().get(key))


def sparse_recording(selector: int) -> dict[str, np.ndarray]:
    """Registers A, B, C, E (metadata) and D of mma.sp.m16n8k32 of bf16."""
    prefix = f"mma.sp.m16n8k32 sel={selector}|"
    return {name: data()[prefix + name] for name in "ABCED"}
