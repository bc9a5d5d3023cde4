"""Paired timing: what is compared runs in turns, in one process.

A machine's speed drifts by more than many differences, but two runs next to each
other see nearly the same machine. So ratios are taken within a round, and their
median is reported with a 95 % interval.
"""

import math
import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Times = dict[str, npt.NDArray[np.float64]]


Clock = Callable[[], float]

#: For work of one thread: seconds in which this process had the CPU, so that a
#: process beside it does not count.
cpu_clock: Clock = time.process_time


def seconds(function: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """The time of one call."""
    start = clock()
    function()
    return clock() - start


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Clock = time.perf_counter,
) -> Times:
    """Seconds of each function in each round; the order alternates."""
    for function in functions.values():  # code and weights become warm
        function()
    names = list(functions)
    times: Times = {name: np.empty(rounds) for name in names}
    for i in range(rounds):
        for name in names if i % 2 == 0 else reversed(names):
            times[name][i] = seconds(functions[name], clock)
    return times


def median_interval(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Median and its 95 % interval, by order statistics."""
    ordered = np.sort(values)
    n = len(ordered)
    reach = 0.98 * math.sqrt(n)
    low = max(math.floor(n / 2 - reach), 0)
    high = min(math.ceil(n / 2 + reach), n - 1)
    return float(np.median(ordered)), float(ordered[low]), float(ordered[high])


def ratio(times: Times, name: str, other: str) -> tuple[float, float, float]:
    """Median of name / other within rounds, and its 95 % interval."""
    return median_interval(times[name] / times[other])
