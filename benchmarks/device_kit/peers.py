"""The peer's kernels, compiled by Triton for a kit."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import numpy as np

# The default will change; the peer is what people run today.
os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")

from device.manifest import Image  # noqa: E402
from device.timed import Peer, PeerKernel, PeerMatmul, Shape  # noqa: E402
from gpu import peer_kernels  # noqa: E402
from gpu.peer import BF16, Tile  # noqa: E402
from gpu.triton_ptx import Kernel, compile_kernel  # noqa: E402
from moe_mlir.errors import MoEError  # noqa: E402
from moe_mlir.ptxas import assemble  # noqa: E402

from device_kit.programs import Writer  # noqa: E402

#: Rows, columns, depth, group, warps, stages: what won on an H100 with each kind of
#: instruction, and neighbours.
CONFIGURATIONS: dict[str, tuple[Tile, ...]] = {
    "mma": tuple(
        Tile(*numbers)
        for numbers in (
            (16, 64, 64, 1, 4, 4),
            (16, 128, 64, 1, 4, 4),
            (32, 64, 64, 1, 4, 3),
            (32, 64, 64, 1, 4, 4),
            (32, 128, 64, 1, 4, 4),
            (32, 64, 128, 1, 4, 3),
            (64, 64, 64, 8, 4, 4),
            (64, 128, 64, 8, 4, 3),
            (64, 128, 64, 8, 4, 4),
            (64, 256, 64, 8, 4, 3),
            (64, 256, 64, 8, 8, 3),
            (128, 128, 64, 8, 8, 3),
            (128, 128, 32, 8, 4, 4),
        )
    ),
    "wgmma": tuple(
        Tile(*numbers)
        for numbers in (
            (16, 64, 128, 1, 4, 3),
            (16, 128, 128, 1, 4, 3),
            (16, 256, 128, 1, 8, 3),
            (32, 64, 128, 1, 4, 3),
            (32, 128, 128, 1, 4, 3),
            (64, 64, 128, 1, 4, 3),
            (64, 128, 128, 8, 4, 3),
            (64, 256, 64, 8, 4, 4),
            (128, 128, 64, 8, 8, 3),
            (128, 128, 64, 8, 8, 4),
            (128, 256, 64, 8, 8, 3),
            (128, 256, 64, 8, 8, 4),
            (128, 256, 64, 1, 8, 4),
        )
    ),
}
_SM = {"mma": 80, "wgmma": 90}
_BLOCK = {"activation": 1024, "sum": 2048}


def _power_of_two(number: int) -> int:
    return 1 << max(number - 1, 0).bit_length()


class PeerWriter:
    """Compiles the peer for a shape and writes its kernels.

    Without an assembler the kit has no machine code of what was compiled for sm_80: the
    driver compiles the PTX then.
    """

    def __init__(self, writer: Writer, shape: Shape) -> None:
        self._writer, self._shape = writer, shape
        # Sizes as at a launch: Triton asks whether 16 divides them.
        pairs = 16 * shape.chosen
        self._pairs = np.int32(pairs)
        self._rows = np.zeros((16, 8), BF16)
        self._words = np.zeros(16, np.int32)
        self._gates = np.zeros(16, np.float32)

    def write(self, most: int) -> Peer:
        """The peer, with at most so many configurations of each kind."""
        shape = self._shape
        matmuls = tuple(
            self._matmul(kind, number, tile)
            for kind, tiles in CONFIGURATIONS.items()
            for number in (1, 2)
            for tile in tiles[:most]
        )
        blocks = {
            "activation": min(_BLOCK["activation"], _power_of_two(shape.intermediate)),
            "sum": min(_BLOCK["sum"], _power_of_two(shape.hidden)),
        }
        activation = compile_kernel(
            peer_kernels.silu_and_mul,
            [self._rows, self._rows],
            {"I": shape.intermediate, "BLOCK": blocks["activation"]},
            _SM["mma"],
        )
        total = compile_kernel(
            peer_kernels.sum_rows,
            [self._rows, self._rows],
            {"H": shape.hidden, "K": shape.chosen, "BLOCK": blocks["sum"]},
            _SM["mma"],
        )
        return Peer(
            matmuls,
            self._kernel("activation", activation, "mma", 2),
            blocks["activation"],
            self._kernel("sum", total, "mma", 2),
            blocks["sum"],
        )

    def _matmul(self, kind: str, number: int, tile: Tile) -> PeerMatmul:
        shape, first = self._shape, number == 1
        wide, narrow = 2 * shape.intermediate, shape.intermediate
        constants: dict[str, Any] = {
            "N": wide if first else shape.hidden,
            "DEPTH": shape.hidden if first else narrow,
            "PAIRS_PER_ROW": shape.chosen if first else 1,
            "GATED": not first,
            "BLOCK_M": tile.rows,
            "BLOCK_N": tile.columns,
            "BLOCK_K": tile.depth,
            "GROUP_M": tile.group,
        }
        arguments = [
            *(self._rows, self._rows, self._rows),
            *(self._words, self._words, self._words),
            self._gates,
            self._pairs,
        ]
        made = compile_kernel(
            peer_kernels.grouped_matmul,
            arguments,
            constants,
            _SM[kind],
            tile.warps,
            tile.stages,
        )
        name = "{}x{}x{} group {} warps {} stages {}".format(*dataclasses.astuple(tile))
        label = f"{kind}-matmul{number}-{name.replace(' ', '-')}"
        kernel = self._kernel(label, made, kind, len(arguments))
        return PeerMatmul(kind, number, tile.rows, tile.columns, name, kernel)

    def _kernel(self, label: str, made: Kernel, kind: str, given: int) -> PeerKernel:
        shape = self._shape
        module = f"peer-E{shape.experts}-H{shape.hidden}-I{shape.intermediate}-{label}"
        text = made.text.encode()
        images = []
        target = "sm_90a" if kind == "wgmma" else "sm_90"
        try:
            code = assemble(text, target)
        except MoEError as error:
            print(f"no machine code of {module}: {error}")
        else:
            file = self._writer.file(f"peers/{module}.cubin", code)
            images.append(Image(file, 90, exact=True))
        file = self._writer.file(f"peers/{module}.ptx", text)
        images.append(Image(file, _SM[kind], exact=kind == "wgmma"))
        self._writer.modules[module] = tuple(images)
        nulls = len(made.module.kernels[made.name].params) - given
        return PeerKernel(module, made.name, made.threads, made.shared, nulls)
