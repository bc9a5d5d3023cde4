"""Rows of whole layers: what our launches need, of what the peer's need."""

from __future__ import annotations

import dataclasses

from bars import Bars

from gpu.cases import Case
from gpu.code_facts import assemble
from gpu.counted import SUMS, Counted, microseconds, outside_mma, total


@dataclasses.dataclass
class Measured:
    """A case with every launch counted.

    Attributes:
        ours: Our launches.
        peers: The peer's by the name of their tiles: the bars hold against these.
        runners_up: More of the peer's, for the best of each counter.
        wgmma: The peer's for sm_90, None if it was not run.
    """

    case: Case
    ours: list[Counted]
    peers: dict[str, list[Counted]]
    runners_up: dict[str, list[Counted]]
    wgmma: tuple[str, list[Counted]] | None = None


#: Machine instructions outside matrix products that ours may need, of the peer's.
INSTRUCTIONS = 0.4
#: Launches of a layer after the logits.
LAUNCHES = 4
#: What both sides must read anyway is not told apart below this.
COMPULSORY, SAME = 1.01, 1.001


def values(launches: list[Counted]) -> dict[str, float]:
    """What is compared of a layer, by name."""
    sums = {name: total(launches, counters) for name, counters in SUMS.items()}
    return {
        "launches": float(len(launches)),
        **sums,
        "machine instructions outside mma": outside_mma(launches),
    }


def ratio(ours: float, theirs: float) -> float:
    """Nothing of nothing is equal."""
    if theirs == 0:
        return 1.0 if ours == 0 else float("inf")
    return ours / theirs


def _bar(name: str, case: Case, ours: float, theirs: float) -> float:
    if name == "machine instructions outside mma":
        return INSTRUCTIONS
    bytes_of = {"DRAM bytes (modelled)": 1, "sectors of loads, stores, atomics": 32}
    if unit := bytes_of.get(name):
        most = COMPULSORY * case.weight_bytes() / unit
        if max(ours, theirs) <= most:
            return SAME
    return 1.0


def compare(bars: Bars, measured: Measured) -> None:
    """One row a counter, against the least of the peers; the best of all beside."""
    case = measured.case
    ours = values(measured.ours)
    peers = {name: values(launches) for name, launches in measured.peers.items()}
    others = {name: values(launches) for name, launches in measured.runners_up.items()}
    bars.at_most(f"{case.name}: launches after the logits", LAUNCHES, ours["launches"])
    for name, own in ours.items():
        least = min(peers, key=lambda tiles, name=name: peers[tiles][name])
        theirs = peers[least][name]
        bar = _bar(name, case, own, theirs)
        bars.at_most(f"{case.name}: {name}", bar, ratio(own, theirs), " x")
        everyone = peers | others
        best = min(everyone, key=lambda tiles, name=name: everyone[tiles][name])
        bars.note(
            f"  {own:.6g} of {theirs:.6g} ({least}); least of all: "
            f"{everyone[best][name]:.6g} ({best})"
        )


def describe(bars: Bars, measured: Measured, chip_of_code: str) -> None:
    """The launches one by one, and modelled times, which have no bar."""
    shown = {"ours": measured.ours} | measured.peers | measured.runners_up
    if measured.wgmma:
        shown[f"sm_90, {measured.wgmma[0]}"] = measured.wgmma[1]
    for name, launches in shown.items():
        for chip in ("h100", "a100"):
            point, lower, upper = (
                microseconds(launches, chip, which)
                for which in ("point", "lower", "upper")
            )
            bars.note(
                f"{measured.case.name}: modelled {chip} {point:.0f} us "
                f"({lower:.0f}-{upper:.0f}), {name}"
            )
        if launches in (measured.ours, next(iter(measured.peers.values()))):
            for launch in launches:
                bars.note(_launch(launch, chip_of_code))


def _launch(launch: Counted, chip: str) -> str:
    made = assemble(launch.text, chip).get(launch.kernel)
    registers = f"{made.registers} registers" if made else "no ptxas"
    if made and made.spill_stores:
        registers += f" ({made.spill_stores} bytes spilled)"
    time = launch.times["h100"]
    terms = sorted(time["terms"].items(), key=lambda term: -term[1]["best"])[:4]
    listed = ", ".join(f"{name} {value['best'] * 1e6:.1f}" for name, value in terms)
    return (
        f"    {launch.kernel:<30} {launch.blocks:>6} x {launch.threads:<4} "
        f"{launch.shared / 1024:>5.1f} KB, {launch.facts['blocks_per_sm']} an SM, "
        f"{registers}; {launch.microseconds():.1f} us: {listed}; "
        f"latency {time['latency'] * 1e6:.1f}"
    )
