"""Timing that tells whether the core was free."""

import pytest
import timing


class Clock:
    """Time that passes only where a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(timing.time, "process_time", made)
    monkeypatch.setattr(timing, "cpu_clock", made)
    return made


class Probe:
    """Says of each moment what the test wrote down."""

    def __init__(self, answers: list[bool]) -> None:
        self.answers = iter(answers)

    def disturbed(self) -> bool:
        return next(self.answers)


def run_with(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, answers: list[bool], rounds: int
) -> list[float]:
    monkeypatch.setattr(timing, "CoreProbe", lambda: Probe(answers))
    durations = iter([100, 1, 2, 3, 4, 5, 6])

    def work() -> None:
        clock.now += next(durations)

    return list(timing.undisturbed(work, rounds, tries=3))


def test_runs_beside_another_user_are_repeated(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Before and after each run; the first call only warms up.
    answers = [False, False, True, False, False, True, True, True, False, False]
    assert run_with(clock, monkeypatch, answers, 2) == [1, 5]


def test_a_core_that_is_never_free_gives_no_time(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_with(clock, monkeypatch, [True] * 6, 1) == []
    assert run_with(clock, monkeypatch, [False, True] * 3, 1) == []


def test_the_probe_compares_with_its_best(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Factor:
        cost = 1.0

        def __matmul__(self, other: object) -> None:
            clock.now += self.cost

    monkeypatch.setattr(timing.np, "ones", lambda *_: Factor())
    probe = timing.CoreProbe()
    assert not probe.disturbed()
    probe.factor.cost = 1.5
    assert probe.disturbed()
    probe.factor.cost = 1.02
    assert not probe.disturbed()
