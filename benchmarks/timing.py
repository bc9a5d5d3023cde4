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


class CoreProbe:
    """Tells whether another hardware thread or guest uses the core.

    A short matrix product that fits the first cache takes the longer for it, by
    up to twice. Where it took more than `SLACK` times its best time so far, the
    core was not this process's alone.
    """

    SLACK = 1.08
    SIZE, REPEATS = 64, 150  # too small for NumPy to start threads

    def __init__(self) -> None:
        self.factor = np.ones((self.SIZE, self.SIZE), np.float32)
        self.best = math.inf
        for _ in range(20):
            self.disturbed()

    def disturbed(self) -> bool:
        start = time.process_time()
        for _ in range(self.REPEATS):
            self.factor @ self.factor
        taken = time.process_time() - start
        self.best = min(self.best, taken)
        return taken > self.SLACK * self.best


def undisturbed(
    function: Callable[[], object], rounds: int, tries: int = 40
) -> npt.NDArray[np.float64]:
    """Processor seconds of runs that had the core for themselves.

    For figures that are no ratios, of work of one thread. A run counts if the core
    was free just before and just after it; others are repeated, up to `tries`
    for each of the rounds. Fewer times, perhaps none, where the core is never free.
    """
    function()  # code and data become warm
    probe = CoreProbe()
    times: list[float] = []
    for _ in range(rounds * tries):
        if len(times) == rounds:
            break
        before = probe.disturbed()
        taken = seconds(function, cpu_clock)
        if not probe.disturbed() and not before:
            times.append(taken)
    return np.array(times)


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
