"""Tensor copies (tile mode, no interleave): which bytes move where, as recorded."""

import collections.abc
import dataclasses
import functools
from typing import Any

import numpy as np

from recordings import archive

# Bytes of an element of a tensor map's type.
ELEMENT = {"u8": 1, "u16": 2, "f16": 2, "bf16": 2, "u32": 4, "u64": 8, "f64": 8}
ELEMENT |= dict.fromkeys(("f32", "f32ftz", "tf32", "tf32ftz"), 4)
SHARED_BYTES, MEMORY_BYTES = 4096, 16384
# The largest tensor that loads read.
TENSOR_BYTES = 32768
# What memory held before a copy wrote it.
SHARED_BEFORE, MEMORY_BEFORE = 0xCD, 0xEE


@functools.cache
def data() -> dict[str, Any]:
    return archive.read("async.xz")


@dataclasses.dataclass(frozen=True)
class Transfer:
    """A box of a tensor: sizes in elements, innermost first; pitch in bytes."""

    rank: int
    type: str
    dim: tuple[int, ...]
    pitch: tuple[int, ...]
    box: tuple[int, ...]
    estride: tuple[int, ...]
    swizzle: int
    nan_fill: bool
    coordinate: tuple[int, ...]
    store: bool = False

    @property
    def size(self) -> int:
        return ELEMENT[self.type]

    @property
    def steps(self) -> tuple[int, ...]:
        """Elements between those taken; the stride of dimension 0 is ignored."""
        return (1, *self.estride[1 : self.rank])

    def counts(self) -> list[int]:
        """Elements of the box in each dimension."""
        sides = zip(self.box, self.steps, strict=False)
        return [-(-side // step) for side, step in sides]

    def legal(self) -> bool:
        """Whether the instruction runs; else it ends the kernel (error 715)."""
        aligned = self.coordinate[0] * self.size % 16 == 0
        negative = min(self.coordinate[: self.rank]) < 0
        return aligned and not (self.store and negative)

    def complete_bytes(self) -> int:
        """What a load adds to its barrier: the whole box, also when clipped."""
        counts = self.counts()
        return self.size * self.box[0] * int(np.prod(counts[1:], dtype=int))

    def elements(self) -> collections.abc.Iterator[tuple[int, int | None]]:
        """(offset in shared memory, offset in the tensor or None outside) of each.

        With a swizzle each row of the box takes the swizzle's width. A store clips
        dimension 0 only at whole granules of 16 bytes.
        """
        size, counts = self.size, self.counts()
        dims = list(self.dim)
        if self.store:
            dims[0] = -(-dims[0] * size // 16) * 16 // size
        pitches = (size, *self.pitch[: self.rank - 1])
        row = self.swizzle or counts[0] * size
        for index in range(int(np.prod(counts))):
            rest, position = index, []
            for d in range(self.rank):
                step = rest % counts[d] * self.steps[d]
                position.append(self.coordinate[d] + step)
                rest //= counts[d]
            offset = index // counts[0] * row + index % counts[0] * size
            if self.swizzle:
                offset ^= (offset >> 7 & self.swizzle // 16 - 1) << 4
            pairs = zip(position, dims, strict=False)
            inside = all(0 <= p < n for p, n in pairs)
            at = sum(p * n for p, n in zip(position, pitches, strict=True))
            yield offset, at if inside else None

    def load_model(self, memory: np.ndarray) -> np.ndarray:
        """Shared memory after a load."""
        shared = np.full(SHARED_BYTES, SHARED_BEFORE, np.uint8)
        size = self.size
        fill = np.tile([0xF7, 0x7F], 4) if self.nan_fill else np.zeros(8, int)
        for offset, at in self.elements():
            value = fill[:size] if at is None else memory[at : at + size]
            if "tf32" in self.type and at is not None:
                bits = int.from_bytes(value.tobytes(), "little")
                rounded = (bits + 0x1000) & 0xFFFFE000
                value = np.frombuffer(rounded.to_bytes(4, "little"), np.uint8)
            shared[offset : offset + size] = value
        return shared

    def store_model(self, shared: np.ndarray) -> np.ndarray:
        """Memory after a store."""
        memory = np.full(MEMORY_BYTES, MEMORY_BEFORE, np.uint8)
        for offset, at in self.elements():
            if at is not None and at + self.size <= len(memory):
                memory[at : at + self.size] = shared[offset : offset + self.size]
        return memory


def transfer(raw: dict[str, Any], store: bool) -> Transfer:
    """A transfer of the archive's lists."""
    sizes = {name: tuple(raw[name]) for name in ("dim", "pitch", "box", "estride")}
    return Transfer(
        rank=raw["rank"],
        type=raw["type"],
        swizzle=raw["swizzle"],
        nan_fill=bool(raw["oobnan"]),
        coordinate=tuple(raw["coord"]),
        store=store,
        **sizes,
    )


def loads() -> list[tuple[Transfer, np.ndarray]]:
    """Each recorded load and the shared memory after it."""
    listed = data()["loads"]["list"]
    results = data()["load_shared"]
    return [(transfer(t, False), s) for t, s in zip(listed, results, strict=True)]


def stores() -> list[tuple[Transfer, np.ndarray]]:
    """Each recorded store and the tensor's memory after it."""
    listed = data()["stores"]["list"]
    results = data()["store_memory"]
    return [(transfer(t, True), m) for t, m in zip(listed, results, strict=True)]


def illegal() -> list[Transfer]:
    """Transfers that end the kernel."""
    return [transfer(t, t["op"] == "store") for t in data()["illegal"]["list"]]


@functools.cache
def single_memory() -> np.ndarray:
    """The floats of the loads of f32 types, from the loads that do not round.

    Where no such load reads, zeros stand.
    """
    memory = np.zeros(TENSOR_BYTES, np.uint8)
    for t, shared in loads():
        if t.type == "f32":
            for offset, at in t.elements():
                if at is not None:
                    memory[at : at + 4] = shared[offset : offset + 4]
    return memory


def source_bytes(t: Transfer) -> np.ndarray:
    """What the source of a copy held: a tensor for loads, shared memory for stores."""
    size = SHARED_BYTES if t.store else TENSOR_BYTES
    if t.type == "u8":
        factor, first = (5, 1) if t.store else (7, 3)
        return (np.arange(size) * factor + first).astype(np.uint8)
    if t.type.startswith(("f32", "tf32")):
        return single_memory()[:size]
    element = ELEMENT[t.type]
    counted = np.arange(1, size // element + 1, dtype=f"u{element}")
    return counted.view(np.uint8)


@dataclasses.dataclass(frozen=True)
class Reduction:
    """An asynchronous reduction of 256 elements, as bit patterns in u64."""

    instruction: str
    operation: str
    type: str
    before: np.ndarray
    operand: np.ndarray
    after: np.ndarray


def reductions() -> list[Reduction]:
    """The recorded reductions: cp.reduce.async.bulk and its tensor form."""
    listed = data()["reductions"]["list"]
    arrays = data()["reduce"]
    return [
        Reduction(r["instr"], r["op"], r["type"], *arrays[i])
        for i, r in enumerate(listed)
    ]


def barrier_log() -> list[str]:
    """What mbarriers said, step by step."""
    lines: list[str] = data()["mbarrier_log"]["lines"]
    return lines
