"""The peer's layers with what their launches counted, and which tiles they use."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from moe_mlir import _ptx

from gpu.cases import Case, zeros
from gpu.counted import CHIPS, Counted
from gpu.peer import BF16, Launch, Layer, Tile

#: The multiprocessors of an H100 run code for sm_80, and so the model is one of them.
ARCHITECTURE = 90
#: Bytes of shared memory that a block may have on sm_80, for which the code is made.
SHARED = {80: 163 * 1024, 90: 227 * 1024}

#: The best tiles that were measured on an H100, mma.sync; always compared.
WINNERS = tuple(
    Tile(rows, columns, 64, 8, 4, stages)
    for rows, columns, stages in ((32, 64, 4), (64, 128, 3), (64, 256, 3))
)
#: The same for wgmma, by tokens: shown beside, without a bar.
WGMMA = {
    16: Tile(16, 128, 128, 8, 4, 3),
    128: Tile(32, 128, 128, 8, 4, 3),
    1024: Tile(128, 256, 64, 8, 8, 4),
}

Tiles = tuple[Tile, Tile]


def tile_name(tile: Tile) -> str:
    """64x128x64 g8 w4 s3: rows, columns, depth, group, warps, stages."""
    return (
        f"{tile.rows}x{tile.columns}x{tile.depth} "
        f"g{tile.group} w{tile.warps} s{tile.stages}"
    )


def tiles_name(tiles: Tiles) -> str:
    return " + ".join(dict.fromkeys(map(tile_name, tiles)))


class DoesNotFit(ValueError):
    """A tile needs more shared memory than a block can have."""


class Peer:
    """Runs the peer's launches for one case; equal ones once.

    Args:
        case: The layer and its routing.
        keep: A folder that keeps what launches counted from run to run. It holds
            for one build of the emulator.
    """

    def __init__(self, case: Case, keep: Path | None = None) -> None:
        shape = case.shape
        self.case, self._keep = case, keep
        self._x = zeros((shape.tokens, shape.hidden), BF16)
        self._logits = case.logits()
        self._gate_up = zeros(
            (shape.experts, 2 * shape.intermediate, shape.hidden), BF16
        )
        self._down = zeros((shape.experts, shape.hidden, shape.intermediate), BF16)
        self._counted: dict[str, Counted] = {}
        self._emulator = Path(_ptx.__file__).read_bytes() if keep else b""

    def layer(self, tiles: Tiles, sm: int = 80) -> Layer:
        """The layer; nothing has run."""
        weights = (self._gate_up, self._down)
        return Layer(
            self.case.shape, self._x, self._logits, *weights, tiles=tiles, sm=sm
        )

    def run(self, tiles: Tiles, sm: int = 80) -> list[Counted]:
        """What each launch of the layer counts.

        Raises:
            DoesNotFit: The chip has too little shared memory.
        """
        layer = self.layer(tiles, sm)
        for launch in layer.launches:
            if launch.kernel.shared > SHARED[sm]:
                raise DoesNotFit(f"{tiles_name(tiles)} for sm_{sm}")
        return [self._run(launch) for launch in layer.launches]

    def _run(self, launch: Launch) -> Counted:
        """Matrix products write zeros: only the plan must really be made."""
        key = self._key(launch)
        known = self._counted.get(key) or self._read(key, launch)
        if known is None:
            result = count(launch)
            assert not result.findings, result.findings[0]
            known = Counted.from_result(result, launch.kernel.text)
            self._write(key, known)
        elif known["mma_issued"] == 0:
            launch.run(check=set(), counters=False)
        self._counted[key] = known
        return known

    def _key(self, launch: Launch) -> str:
        facts = (self.case.name, launch.kernel.name, launch.grid, launch.kernel.shared)
        parts = (repr(facts).encode(), launch.kernel.text.encode(), self._emulator)
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    def _read(self, key: str, launch: Launch) -> Counted | None:
        path = self._keep / f"{key}.json.gz" if self._keep else None
        if path is None or not path.exists():
            return None
        facts, times = json.loads(gzip.decompress(path.read_bytes()))
        return Counted(launch.kernel.name, facts, times, launch.kernel.text)

    def _write(self, key: str, counted: Counted) -> None:
        if self._keep is None:
            return
        self._keep.mkdir(parents=True, exist_ok=True)
        text = json.dumps([counted.facts, counted.times])
        path = self._keep / f"{key}.json.gz"
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(gzip.compress(text.encode()))
        unfinished.rename(path)


def count(launch: Launch) -> Any:
    """A launch's result, with caches modelled."""
    return launch.run(check=set(), cache_model=True, tensor="fast", arch=ARCHITECTURE)


def check_covers(case: Case, layer: Layer) -> None:
    """That the peer routes as the case says."""
    rows = np.bincount(layer.ids, minlength=case.shape.experts)
    assert np.array_equal(rows, case.expert_rows())


#: Chips of the modelled times that are stored.
assert CHIPS == ("h100", "a100")
