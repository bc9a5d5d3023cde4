"""What a kit brings along to be timed."""

from __future__ import annotations

import dataclasses
from typing import Any

from device.manifest import Program, read_program


@dataclasses.dataclass(frozen=True)
class Shape:
    """A layer: E experts, K per token, sizes H and I."""

    experts: int
    chosen: int
    hidden: int
    intermediate: int

    @property
    def name(self) -> str:
        return f"E{self.experts} K{self.chosen} H{self.hidden} I{self.intermediate}"


@dataclasses.dataclass(frozen=True)
class PeerKernel:
    """A kernel of the peer: one dimension of threads, then pointers to scratch memory
    that it does not use."""

    module: str
    kernel: str
    threads: int
    shared: int
    nulls: int


@dataclasses.dataclass(frozen=True)
class PeerMatmul:
    """A grouped matmul of the peer.

    Attributes:
        kind: "mma" or "wgmma", by the instructions it was compiled for.
        number: 1 or 2, in the layer.
        rows: Of a tile.
        columns: Of a tile.
        name: Its whole configuration.
        kernel: The kernel.
    """

    kind: str
    number: int
    rows: int
    columns: int
    name: str
    kernel: PeerKernel


@dataclasses.dataclass(frozen=True)
class Peer:
    """The peer's kernels for one shape.

    Attributes:
        matmuls: In all configurations.
        activation: silu_and_mul.
        activation_block: Columns of one block of it.
        sum: sum_rows.
        sum_block: Columns of one block of it.
    """

    matmuls: tuple[PeerMatmul, ...]
    activation: PeerKernel
    activation_block: int
    sum: PeerKernel
    sum_block: int


@dataclasses.dataclass(frozen=True)
class TimedLayer:
    """One shape: our layer after routing for each number of tokens, and the peer."""

    shape: Shape
    programs: dict[int, Program]
    peer: Peer


@dataclasses.dataclass(frozen=True)
class Timed:
    """Everything that is timed.

    Attributes:
        routes: By their names.
        layers: By shape.
        reader: The module of the kernel that reads memory.
    """

    routes: tuple[Program, ...]
    layers: tuple[TimedLayer, ...]
    reader: str


def _kernel(content: dict[str, Any]) -> PeerKernel:
    return PeerKernel(**content)


def _peer(content: dict[str, Any]) -> Peer:
    return Peer(
        tuple(
            PeerMatmul(**matmul | {"kernel": _kernel(matmul["kernel"])})
            for matmul in content["matmuls"]
        ),
        _kernel(content["activation"]),
        content["activation_block"],
        _kernel(content["sum"]),
        content["sum_block"],
    )


def read_timed(content: dict[str, Any]) -> Timed:
    """From a manifest's `timed`."""
    return Timed(
        tuple(map(read_program, content["routes"])),
        tuple(
            TimedLayer(
                Shape(**layer["shape"]),
                {
                    int(tokens): read_program(program)
                    for tokens, program in layer["programs"].items()
                },
                _peer(layer["peer"]),
            )
            for layer in content["layers"]
        ),
        content["reader"],
    )
