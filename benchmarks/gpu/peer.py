"""The peer's layer: the launches of the standard fused-MoE algorithm."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np

from gpu import peer_kernels
from gpu.triton_ptx import Kernel, compile_kernel

BF16 = np.dtype(ml_dtypes.bfloat16)


@dataclasses.dataclass(frozen=True)
class Tile:
    """What the peer is tuned over, for one of its matmuls."""

    rows: int = 64
    columns: int = 128
    depth: int = 64
    group: int = 8
    warps: int = 4
    stages: int = 3


@dataclasses.dataclass(frozen=True)
class Shape:
    """A layer: E experts of K per token, sizes H and I, T tokens."""

    tokens: int
    experts: int
    chosen: int
    hidden: int
    intermediate: int

    @property
    def pairs(self) -> int:
        return self.tokens * self.chosen


@dataclasses.dataclass
class Launch:
    """One kernel of the layer, ready to be executed."""

    kernel: Kernel
    grid: tuple[int, ...]
    args: list[Any]

    def run(self, **options: Any) -> Any:
        return self.kernel.launch(self.grid, self.args, **options)


def _power_of_two(number: int) -> int:
    return 1 << max(number - 1, 0).bit_length()


class Layer:
    """The layer with its buffers; `launches` in order give `out` [T, H].

    Args:
        shape: Its sizes.
        x: [T, H] bf16.
        logits: [T, E] f32.
        gate_up: [E, 2 I, H] bf16.
        down: [E, H, I] bf16.
        tiles: Of the two matmuls; both share the blocks of rows of the first.
        sm: 80 (mma.sync) or 90 (wgmma).
        normalize: Whether a token's gates are divided by their sum.
    """

    def __init__(
        self,
        shape: Shape,
        x: np.ndarray,
        logits: np.ndarray,
        gate_up: np.ndarray,
        down: np.ndarray,
        tiles: tuple[Tile, Tile] = (Tile(), Tile()),
        sm: int = 80,
        normalize: bool = True,
    ) -> None:
        assert tiles[0].rows == tiles[1].rows, "one sort serves both matmuls"
        self.shape, self.sm, self.normalize = shape, sm, normalize
        self.x, self.logits, self.gate_up, self.down = x, logits, gate_up, down
        rows = tiles[0].rows
        pairs = shape.pairs
        places = pairs + min(shape.experts, pairs) * (rows - 1)
        self.blocks = -(-places // rows)
        self.ids = np.zeros(pairs, np.int32)
        self.gates = np.zeros(pairs, np.float32)
        self.cursors = np.zeros(shape.experts, np.int32)
        self.block_expert = np.zeros(self.blocks, np.int32)
        self.padded = np.zeros(1, np.int32)
        # Padding keeps this value, which is no pair. A real layer fills it by memset.
        self.sorted_pairs = np.full(self.blocks * rows, pairs, np.int32)
        self.wide = np.zeros((pairs, 2 * shape.intermediate), BF16)
        self.narrow = np.zeros((pairs, shape.intermediate), BF16)
        self.expert_rows = np.zeros((pairs, shape.hidden), BF16)
        self.out = np.zeros((shape.tokens, shape.hidden), BF16)
        self.launches = [
            self._top_k(),
            *self._sort(rows),
            self._matmul(self.x, self.gate_up, self.wide, tiles[0], gated=False),
            self._activation(),
            self._matmul(self.narrow, self.down, self.expert_rows, tiles[1], True),
            self._sum(),
        ]

    def _launch(
        self,
        function: Any,
        grid: tuple[int, ...],
        args: list[Any],
        constants: dict[str, Any],
        warps: int = 4,
        stages: int = 3,
    ) -> Launch:
        kernel = compile_kernel(function, args, constants, self.sm, warps, stages)
        return Launch(kernel, grid, args)

    def _top_k(self) -> Launch:
        shape, per_program = self.shape, 4
        return self._launch(
            peer_kernels.top_k_softmax,
            (-(-shape.tokens // per_program),),
            [self.logits, self.ids, self.gates, np.int32(shape.tokens)],
            {
                "E": shape.experts,
                "K": shape.chosen,
                "NORMALIZE": self.normalize,
                "EXPERTS": _power_of_two(shape.experts),
                "TOKENS": per_program,
            },
        )

    def _sort(self, rows: int) -> list[Launch]:
        pairs, chunk = np.int32(self.shape.pairs), 256
        experts = self.shape.experts
        return [
            self._launch(
                peer_kernels.align_blocks,
                (1,),
                [
                    self.ids,
                    self.cursors,
                    self.block_expert,
                    self.padded,
                    pairs,
                    np.int32(self.blocks),
                ],
                {
                    "E": experts,
                    "BLOCK_M": rows,
                    "EXPERTS": _power_of_two(experts),
                    "CHUNK": 128,
                },
                warps=8,
            ),
            self._launch(
                peer_kernels.sort_pairs,
                (-(-self.shape.pairs // chunk),),
                [self.ids, self.cursors, self.sorted_pairs, pairs],
                {"CHUNK": chunk},
            ),
        ]

    def _matmul(
        self,
        rows: np.ndarray,
        weights: np.ndarray,
        out: np.ndarray,
        tile: Tile,
        gated: bool,
    ) -> Launch:
        _, columns, depth = weights.shape
        return self._launch(
            peer_kernels.grouped_matmul,
            (self.blocks * -(-columns // tile.columns),),
            [
                rows,
                weights,
                out,
                self.sorted_pairs,
                self.block_expert,
                self.padded,
                self.gates,
                np.int32(self.shape.pairs),
            ],
            {
                "N": columns,
                "DEPTH": depth,
                "PAIRS_PER_ROW": 1 if gated else self.shape.chosen,
                "GATED": gated,
                "BLOCK_M": tile.rows,
                "BLOCK_N": tile.columns,
                "BLOCK_K": tile.depth,
                "GROUP_M": tile.group,
            },
            tile.warps,
            tile.stages,
        )

    def _activation(self) -> Launch:
        size = self.shape.intermediate
        block = min(1024, _power_of_two(size))
        return self._launch(
            peer_kernels.silu_and_mul,
            (self.shape.pairs, -(-size // block)),
            [self.wide, self.narrow],
            {"I": size, "BLOCK": block},
        )

    def _sum(self) -> Launch:
        size = self.shape.hidden
        block = min(2048, _power_of_two(size))
        return self._launch(
            peer_kernels.sum_rows,
            (self.shape.tokens, -(-size // block)),
            [self.expert_rows, self.out],
            {"H": size, "K": self.shape.chosen, "BLOCK": block},
        )

    def run(self, **options: Any) -> list[Any]:
        """Executes every launch in the emulator; their results."""
        return [launch.run(**options) for launch in self.launches]
