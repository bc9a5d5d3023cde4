"""The modelled time of the peer's matmuls from some of their experts.

Blocks of equal rows do equal work, so a launch of some experts, evenly taken from those
with few and many rows, tells of all of them: sums are scaled, waves of blocks are those
of the whole grid.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from gpu.cases import Case
from gpu.peer import Launch, Layer
from gpu.peer_runs import count

#: Programs of a sample: every multiprocessor of an H100 gets one.
PROGRAMS = 132


@dataclasses.dataclass
class Sample:
    """The blocks of some experts, as the peer's sort would list them.

    Attributes:
        pairs: Sorted pairs, those of each expert padded to whole blocks.
        experts: The expert of each block.
        share: Of all blocks.
    """

    pairs: npt.NDArray[np.int32]
    experts: npt.NDArray[np.int32]
    share: float


def sample(ids: npt.NDArray[np.int32], experts: int, rows: int, least: int) -> Sample:
    """Experts with at least so many blocks together, or all.

    Args:
        ids: The expert of each pair.
        rows: Of a block.
        least: Blocks.
    """
    held = np.bincount(ids, minlength=experts)
    used = np.flatnonzero(held)
    by_rows = used[np.argsort(held[used], kind="stable")]
    blocks = -(-held // rows)
    taken = by_rows
    for number in range(1, len(by_rows) + 1):
        # In the middle of as many equal parts.
        places = (np.arange(number) + 0.5) * len(by_rows) / number
        taken = by_rows[places.astype(int)]
        if blocks[taken].sum() >= least:
            break
    taken = np.sort(taken)
    pairs = np.full(int(blocks[taken].sum()) * rows, len(ids), np.int32)
    start = 0
    for expert in taken:
        own = np.flatnonzero(ids == expert)
        pairs[start : start + len(own)] = own
        start += int(blocks[expert]) * rows
    share = float(blocks[taken].sum() / blocks.sum())
    return Sample(pairs, np.repeat(taken, blocks[taken]).astype(np.int32), share)


def microseconds(case: Case, layer: Layer, launch: Launch) -> float:
    """The modelled time on an H100 of a matmul of a layer that was sorted.

    Args:
        launch: One of the layer's two matmuls.
    """
    blocks = layer.blocks
    across = launch.grid[0] // blocks
    rows = layer.sorted_pairs.size // blocks
    least = -(-PROGRAMS // across)
    made = sample(layer.ids, case.shape.experts, rows, least)
    args = list(launch.args)
    args[3:6] = [made.pairs, made.experts, np.array([made.pairs.size], np.int32)]
    part = Launch(launch.kernel, (len(made.experts) * across,), args)
    result = count(part)
    assert not result.findings, result.findings[0]
    time = result.estimate("h100", 1 / made.share, launch.grid)
    return float(time["point"]) * 1e6
