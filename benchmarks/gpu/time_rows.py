"""The model's ratio of our time to the peer's, beside the measured one."""

from __future__ import annotations

from bars import Bars

from gpu.cases import Case
from gpu.counted import Counted
from gpu.matmul_rows import matmuls
from gpu.peer import Tile
from gpu.peer_runs import WINNERS

#: Microseconds on an H100 SXM (driver 580, CUDA 13.0), median of graph replays, weights
#: larger than L2: E, H, I, T: ours and the peer's best for sm_80, of each matmul. Ours
#: is a kernel of the same form, written before these; its activation is in matmul 1.
MEASURED = {
    (64, 2048, 1024, 16): ((149, 150), (76, 76)),
    (64, 2048, 1024, 128): ((189, 191), (96, 100)),
    (64, 2048, 1024, 1024): ((232, 257), (124, 143)),
    (128, 2048, 768, 16): ((185, 187), (95, 96)),
    (128, 2048, 768, 128): ((274, 279), (141, 146)),
    (128, 2048, 768, 1024): ((301, 320), (160, 171)),
}
#: By how much the model's ratio may differ.
WITHIN = 0.15
#: Which of the winners it was.
WINNER: dict[int, Tile] = dict(zip((16, 128, 1024), WINNERS, strict=True))


def measured(case: Case) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """What was measured of a case, None if nothing was."""
    shape = case.shape
    sizes = (shape.experts, shape.hidden, shape.intermediate, shape.tokens)
    return MEASURED.get(sizes) if case.routing == "uniform" else None


def compare(bars: Bars, case: Case, ours: list[Counted], winner: list[Counted]) -> None:
    """One row for each matmul that was measured; `winner` is the peer's best then."""
    times = measured(case)
    if times is None:
        return
    theirs = [one for one in winner if one.kernel == "grouped_matmul"]
    own = [matmul.launch for matmul in matmuls(case, ours)]
    for number, (us, left, right) in enumerate(zip(times, own, theirs, strict=True), 1):
        modelled = left.microseconds() / right.microseconds()
        bars.at_most(
            f"{case.name} matmul {number}: model's ratio, off by",
            WITHIN,
            abs(modelled / (us[0] / us[1]) - 1),
        )
        bars.note(
            f"  modelled {left.microseconds():.0f} / {right.microseconds():.0f} = "
            f"{modelled:.2f}, measured {us[0]} / {us[1]} = {us[0] / us[1]:.2f} us"
        )
