"""The peer's layer after routing: the standard fused-MoE algorithm in Triton."""

from __future__ import annotations

import numpy as np

from device.data import Array
from device.driver import Driver
from device.execute import UNWRITTEN, Memory, Modules
from device.launch import Call
from device.problem import Inputs, Weights
from device.timed import Peer, PeerKernel, PeerMatmul, Shape


def aligned_blocks(choices: Array, experts: int, rows: int) -> tuple[Array, Array, int]:
    """Pairs by expert, each expert's padded to whole blocks of `rows`.

    Args:
        choices: [T, K], pair t·K + k is the kth choice of token t.

    Returns:
        The pair at each place (T·K where there is none), the expert of each block,
        and the places in use.
    """
    flat = choices.ravel()
    places = flat.size + min(experts, flat.size) * (rows - 1)
    blocks = -(-places // rows)
    order = np.full(blocks * rows, flat.size, np.int32)
    block_expert = np.zeros(blocks, np.int32)
    place = 0
    for expert in range(experts):
        pairs = np.flatnonzero(flat == expert)
        used = -(-pairs.size // rows)
        order[place : place + pairs.size] = pairs
        block_expert[place // rows : place // rows + used] = expert
        place += used * rows
    return order, block_expert, place


class PeerLayer:
    """The peer's buffers and launches for one number of tokens.

    Attributes:
        out: [T, H], the address of the result.
    """

    def __init__(
        self,
        driver: Driver,
        modules: Modules,
        memory: Memory,
        shape: Shape,
        peer: Peer,
        weights: Weights,
        inputs: Inputs,
        x: int,
    ) -> None:
        self._driver, self._modules, self._memory = driver, modules, memory
        self._shape, self._peer, self._weights = shape, peer, weights
        self._inputs, self._x = inputs, x
        self.pairs = inputs.choices.size
        inner = shape.intermediate
        self._sizes = (
            self.pairs * 2 * inner * 2,
            self.pairs * inner * 2,
            self.pairs * shape.hidden * 2,
            inputs.tokens * shape.hidden * 2,
        )
        self._written = [memory.allocate(size) for size in self._sizes]
        self._wide, self._narrow, self._expert_rows, self.out = self._written
        self._gates = memory.place(inputs.gates)
        self._lists: dict[int, tuple[int, int, int, int]] = {}

    def spoil(self) -> None:
        """Overwrites all that its kernels write: no chain passes by the work of the
        one before."""
        for pointer, size in zip(self._written, self._sizes, strict=True):
            self._driver.set_bytes(pointer, UNWRITTEN, size)

    def _blocks(self, rows: int) -> tuple[int, int, int, int]:
        """Addresses of the lists for tiles of `rows`, and the number of blocks."""
        if rows not in self._lists:
            order, block_expert, used = aligned_blocks(
                self._inputs.choices, self._shape.experts, rows
            )
            self._lists[rows] = (
                self._memory.place(order),
                self._memory.place(block_expert),
                self._memory.place(np.array([used], np.int32)),
                block_expert.size,
            )
        return self._lists[rows]

    def _call(
        self,
        kernel: PeerKernel,
        grid: tuple[int, int, int],
        arguments: list[tuple[int, int]],
    ) -> Call:
        function = self._modules.function(kernel.module, kernel.kernel)
        scratch = [(8, 0)] * kernel.nulls
        return Call(
            self._driver, function, grid, kernel.threads, kernel.shared,
            [*arguments, *scratch],
        )  # fmt: skip

    def matmul(self, matmul: PeerMatmul) -> Call:
        """One of the two matmuls in a configuration.

        Raises:
            DriverError: The device cannot take it.
            Unsupported: It is for another one.
        """
        first = matmul.number == 1
        shape = self._shape
        columns = 2 * shape.intermediate if first else shape.hidden
        order, block_expert, used, blocks = self._blocks(matmul.rows)
        pointers = [
            self._x if first else self._narrow,
            self._weights.gate_up if first else self._weights.down,
            self._wide if first else self._expert_rows,
            order,
            block_expert,
            used,
            self._gates,
        ]
        arguments = [(8, pointer) for pointer in pointers] + [(4, self.pairs)]
        grid = (blocks * -(-columns // matmul.columns), 1, 1)
        return self._call(matmul.kernel, grid, arguments)

    def activation(self) -> Call:
        """silu(gate) * up."""
        blocks = -(-self._shape.intermediate // self._peer.activation_block)
        return self._call(
            self._peer.activation,
            (self.pairs, blocks, 1),
            [(8, self._wide), (8, self._narrow)],
        )

    def sum(self) -> Call:
        """The sum of each token's rows."""
        blocks = -(-self._shape.hidden // self._peer.sum_block)
        return self._call(
            self._peer.sum,
            (self._inputs.tokens, blocks, 1),
            [(8, self._expert_rows), (8, self.out)],
        )

    def chain(self, first: PeerMatmul, second: PeerMatmul) -> list[Call]:
        """The layer after routing."""
        return [
            self.matmul(first),
            self.activation(),
            self.matmul(second),
            self.sum(),
        ]
