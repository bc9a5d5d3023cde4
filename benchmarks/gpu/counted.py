"""Launches with what they counted, ours and the peer's in one form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from moe_mlir import ptx

CHIPS = ("h100", "a100")


@dataclasses.dataclass(frozen=True)
class Counted:
    """A launch of a kernel.

    Attributes:
        kernel: Its name.
        facts: Grid, block, shared bytes, blocks per multiprocessor, counters by
            name, `blocks` and `lines` of the PTX, as the emulator writes them.
        times: The modelled time on each chip, in seconds: lower, upper, point, terms.
        text: The PTX that the kernel is in.
    """

    kernel: str
    facts: dict[str, Any]
    times: dict[str, dict[str, Any]]
    text: str

    @classmethod
    def from_result(cls, result: ptx.Result, text: str) -> Counted:
        """Of a launch from Python."""
        facts = json.loads(result.counters_json())
        times = {chip: result.estimate(chip) for chip in CHIPS}
        return cls(facts["kernel"], facts, times, text)

    @classmethod
    def from_line(cls, line: str, text: str) -> Counted:
        """Of a line that the emulator's driver writes."""
        made = json.loads(line)
        facts = made.pop("launch")
        return cls(facts["kernel"], facts, made, text)

    def __getitem__(self, counter: str) -> float:
        return float(self.facts["counters"].get(counter, 0.0))

    @property
    def threads(self) -> int:
        x, y, z = self.facts["block"]
        return int(x * y * z)

    @property
    def blocks(self) -> int:
        x, y, z = self.facts["grid"]
        return int(x * y * z)

    @property
    def shared(self) -> int:
        """Bytes of shared memory of a block."""
        return int(self.facts["static_shared"] + self.facts["dynamic_shared"])

    def microseconds(self, chip: str = "h100", which: str = "point") -> float:
        return float(self.times[chip][which]) * 1e6


#: What is summed over a layer: the counters whose sum it is.
SUMS: dict[str, tuple[str, ...]] = {
    "DRAM bytes (modelled)": ("dram_rd", "dram_wr"),
    "sectors of loads, stores, atomics": (
        "ld_sectors",
        "st_sectors",
        "red_sectors",
        "atom_sectors",
    ),
    "excess shared wavefronts": ("sh_conf",),
    "mma issued": ("mma_issued",),
    "warps at barriers": ("barriers",),
}


def total(launches: Iterable[Counted], counters: Sequence[str]) -> float:
    """The sum of counters over launches."""
    return sum(launch[name] for launch in launches for name in counters)


def outside_mma(launches: Iterable[Counted]) -> float:
    """Machine instructions of warps (modelled) that are no matrix product."""
    return sum(launch["warp_inst"] - launch["mma_issued"] for launch in launches)


def microseconds(
    launches: Iterable[Counted], chip: str = "h100", which: str = "point"
) -> float:
    """The modelled time of launches one after the other."""
    return sum(launch.microseconds(chip, which) for launch in launches)
