"""Rows of the routing: barriers, instructions, and the time of a fitted formula."""

from __future__ import annotations

import dataclasses

import numpy as np
from bars import Bars

from gpu.counted import Counted

SCOPES = ("token", "sequence")
#: Barriers of the grid by kind of logits; one of random logits are fewest.
BARRIERS = {
    "random": {"token": 1, "sequence": 2},
    "equal": {"token": 1, "sequence": 3},
    "several": {"token": 1, "sequence": 3},
}
#: DRAM bytes for each byte of the logits; some are of the workspace.
READ_ONCE = 1.1
#: How many sequences are several.
SEQUENCES = 4
#: Microseconds of T 4096, E 256, K 8 by the formula.
LIMITS = {"token": 13.0, "sequence": 17.0}
#: What sequence scope may take more, in microseconds, and of the layer, by tokens.
DIFFERENCE = 5.0
OF_LAYER = {1024: 0.02, 4096: 0.01}
#: Tokens and experts of the fit of instructions.
FIT_TOKENS, FIT_EXPERTS, CHOSEN = (1024, 2048, 4096, 8192), 256, 8
PER_32_KEYS, PER_BLOCK = 90, 24_000
#: t = launch + barrier * barriers + issue * (machine instructions of an SM at 4 a
#: clock): fitted to ten kernels of this algorithm that were timed on an H100.
LAUNCH_US, BARRIER_US, ISSUE = 0.66, 3.33, 1.74
CLOCK_MHZ, ISSUE_RATE, MULTIPROCESSORS = 1960.0, 4.0, 132


@dataclasses.dataclass(frozen=True)
class Routed:
    """A counted launch of the routing.

    Attributes:
        tokens: Of one sequence.
        kind: Of its logits, of BARRIERS.
    """

    tokens: int
    experts: int
    kind: str
    scope: str
    launch: Counted

    @property
    def barriers(self) -> float:
        """Barriers of the grid that a block passes."""
        lines = self.launch.text.splitlines()
        arrivals = [n for n, line in enumerate(lines, 1) if "red.release" in line]
        passed = sum(
            block["executions"]
            for block in self.launch.facts["blocks"]
            for line in arrivals
            if block["first_line"] <= line <= block["last_line"]
        )
        return float(passed / self.launch.blocks)

    @property
    def loads(self) -> float:
        """How often a logit is loaded from L1 or beyond: nothing else is constant."""
        text = self.launch.text.splitlines()
        sectors = sum(
            line["sectors"]
            for line in self.launch.facts["lines"]
            if "ld.global.nc" in text[line["line"] - 1]
        )
        return float(sectors * 32 / (4 * self.tokens * self.experts))

    @property
    def microseconds(self) -> float:
        """By the formula; rounds of polling loops are not counted."""
        multiprocessors = min(self.launch.blocks, MULTIPROCESSORS)
        clocks = self.launch["warp_inst"] / multiprocessors / ISSUE_RATE
        return LAUNCH_US + BARRIER_US * self.barriers + ISSUE * clocks / CLOCK_MHZ


def logits(tokens: int, experts: int, kind: str) -> np.ndarray:
    """Logits [S, T, E]."""
    sizes = (SEQUENCES if kind == "several" else 1, tokens, experts)
    if kind == "equal":
        return np.ones(sizes, np.float32)
    random = np.random.default_rng([tokens, experts])
    return random.standard_normal(sizes).astype(np.float32)


def fit(routed: list[Routed]) -> tuple[float, float]:
    """Machine instructions per 32 keys, and per block of 16 warps."""
    keys = [one.tokens * one.experts / 32 for one in routed]
    blocks = [one.launch.blocks * one.launch.threads / 512 for one in routed]
    counted = [one.launch["warp_inst"] for one in routed]
    found, *_ = np.linalg.lstsq(np.array([keys, blocks]).T, np.array(counted))
    return float(found[0]), float(found[1])


def sizes() -> list[tuple[int, int]]:
    """Tokens and experts of what is routed: the fit's, and the layers'."""
    return [(t, FIT_EXPERTS) for t in FIT_TOKENS] + [(t, 64) for t in OF_LAYER]


def programs() -> list[tuple[int, int, str]]:
    """Tokens, experts and kinds of logits, in both scopes each."""
    rare = [(1024, FIT_EXPERTS, kind) for kind in ("equal", "several")]
    return [(*size, "random") for size in sizes()] + rare


def _compare_one(bars: Bars, one: Routed) -> None:
    what = f"route {one.scope} T{one.tokens} E{one.experts} {one.kind}"
    most = BARRIERS[one.kind][one.scope] if one.launch.blocks > 1 else 0
    bars.at_most(f"{what}: grid barriers", most, one.barriers)
    if one.kind == "random":
        read = one.launch["dram_rd"] / (4 * one.tokens * one.experts)
        bars.at_most(f"{what}: DRAM read / logits", READ_ONCE, read)
        bars.note(
            f"  {one.launch.blocks} blocks; warps load the logits {one.loads:.2f} times"
        )


def compare(bars: Bars, routed: list[Routed], layers: dict[int, float]) -> None:
    """All rows; `layers` are microseconds of our layer of 64 experts by tokens."""
    for one in routed:
        _compare_one(bars, one)
    random = [one for one in routed if one.kind == "random"]
    by = {(one.tokens, one.experts, one.scope): one for one in random}
    for scope in SCOPES:
        family = [by[t, FIT_EXPERTS, scope] for t in FIT_TOKENS]
        keys, blocks = fit(family)
        bars.at_most(f"route {scope}: instructions per 32 keys", PER_32_KEYS, keys)
        bars.at_most(f"route {scope}: instructions per block", PER_BLOCK, blocks)
        one = by[4096, FIT_EXPERTS, scope]
        bars.at_most(
            f"route {scope} T4096 E256: formula", LIMITS[scope], one.microseconds, " us"
        )
    for tokens, experts in sizes():
        token, sequence = (by[tokens, experts, scope] for scope in SCOPES)
        more = sequence.microseconds - token.microseconds
        what = f"route T{tokens} E{experts}: sequence - token"
        bars.at_most(what, DIFFERENCE, more, " us")
        if experts == 64 and tokens in layers:
            bars.at_most(
                f"{what}, of the layer", OF_LAYER[tokens], more / layers[tokens]
            )
            bars.note(f"  layer modelled {layers[tokens]:.0f} us")
