"""Times of launches: replays of graphs, in turn, in rounds."""

from __future__ import annotations

import ctypes
import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence

from device.driver import CAPTURE_RELAXED, Driver
from device.launch import Call

#: Rounds, in each of which everything is timed once.
ROUNDS = 3
#: Of a measurement, in microseconds, and the launches that it has at most.
_MEASURED, _MOST_REPEATS, _REPLAYS = 4000.0, 50, 3

Emit = Callable[[int], None]


def emitting(calls: Sequence[Call]) -> Emit:
    """Makes launches on a stream."""

    def emit(stream: int) -> None:
        for call in calls:
            call.launch(stream)

    return emit


class Graph:
    """Launches as a graph."""

    def __init__(self, driver: Driver, emit: Emit, repeats: int) -> None:
        self._driver = driver
        stream = ctypes.c_void_p(driver.stream)
        driver.call("cuStreamBeginCapture_v2", stream, CAPTURE_RELAXED)
        graph = ctypes.c_void_p()
        try:
            for _ in range(repeats):
                emit(driver.stream)
        finally:
            driver.call("cuStreamEndCapture", stream, ctypes.byref(graph))
        self._executable = ctypes.c_void_p()
        driver.call(
            "cuGraphInstantiateWithFlags",
            ctypes.byref(self._executable),
            graph,
            ctypes.c_uint64(0),
        )
        driver.call("cuGraphDestroy", graph)

    def launch(self) -> None:
        self._driver.call(
            "cuGraphLaunch", self._executable, ctypes.c_void_p(self._driver.stream)
        )

    def close(self) -> None:
        self._driver.call("cuGraphExecDestroy", self._executable)


class Direct:
    """The same launches once, without a graph."""

    def __init__(self, driver: Driver, emit: Emit) -> None:
        self._driver, self._emit = driver, emit

    def launch(self) -> None:
        self._emit(self._driver.stream)

    def close(self) -> None:
        """Holds nothing."""


@dataclasses.dataclass(frozen=True)
class Times:
    """Microseconds of each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def over(self, other: Times) -> float:
        """The median of the ratios, each of one round."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


class Timer:
    """Times launches on a device.

    Attributes:
        graphs: Whether by graphs; else the times hold the cost of launching.
    """

    def __init__(self, driver: Driver, graphs: bool = True) -> None:
        self._driver, self.graphs = driver, graphs
        self._events = [ctypes.c_void_p(), ctypes.c_void_p()]
        for event in self._events:
            driver.call("cuEventCreate", ctypes.byref(event), 0)

    def _elapsed(self, run: Callable[[], None], times: int) -> float:
        """Microseconds of `times` runs."""
        driver, stream = self._driver, ctypes.c_void_p(self._driver.stream)
        begin, end = self._events
        driver.call("cuEventRecord", begin, stream)
        for _ in range(times):
            run()
        driver.call("cuEventRecord", end, stream)
        driver.call("cuEventSynchronize", end)
        milliseconds = ctypes.c_float()
        driver.call("cuEventElapsedTime", ctypes.byref(milliseconds), begin, end)
        return milliseconds.value * 1000

    def _prepare(self, emit: Emit) -> tuple[Graph | Direct, int]:
        """Launches in a number that takes long enough to be measured."""
        emit(self._driver.stream)
        self._driver.synchronize()
        if not self.graphs:
            return Direct(self._driver, emit), 1
        probe = Graph(self._driver, emit, 1)
        probe.launch()
        once = max(self._elapsed(probe.launch, 2) / 2, 0.1)
        probe.close()
        repeats = int(min(max(_MEASURED / _REPLAYS / once, 1), _MOST_REPEATS))
        return Graph(self._driver, emit, repeats), repeats

    def measure(
        self, contestants: Mapping[str, Emit], rounds: int = ROUNDS
    ) -> dict[str, Times]:
        """The time of one emission of each contestant; rounds go through all of them,
        so that a change of the clock meets all alike."""
        made = {name: self._prepare(emit) for name, emit in contestants.items()}
        times: dict[str, list[float]] = {name: [] for name in made}
        for _ in range(rounds):
            for name, (graph, repeats) in made.items():
                graph.launch()  # brings the caches to the state of a replay
                elapsed = self._elapsed(graph.launch, _REPLAYS)
                times[name].append(elapsed / (_REPLAYS * repeats))
        for graph, _ in made.values():
            graph.close()
        return {name: Times(tuple(values)) for name, values in times.items()}
