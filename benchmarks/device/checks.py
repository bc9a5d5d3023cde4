"""Every program of a kit, executed and compared."""

from __future__ import annotations

import dataclasses

from device.compare import Comparison, compare
from device.driver import Driver, DriverError
from device.execute import Loaded, Memory, Modules, Unsupported
from device.manifest import Kit, Program

#: Runs of a program: the second one finds what the first one left.
RUNS = 2


@dataclasses.dataclass
class Counts:
    """Programs by what they came to."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0


def check(
    program: Program, kit: Kit, driver: Driver, modules: Modules
) -> list[Comparison]:
    """Runs a program and compares each result of each run.

    Raises:
        Unsupported: The device is too old for it.
        DriverError: A call fails, as it does after a kernel crashed.
    """
    wanted = [kit.expected(result) for result in program.results]
    comparisons = []
    with Memory(driver) as memory:
        loaded = Loaded(program, modules, driver, memory)
        for _ in range(RUNS):
            comparisons += [
                compare(result, found, want)
                for result, found, want in zip(
                    program.results, loaded.run(), wanted, strict=True
                )
            ]
    modules.unload(program.module)
    return comparisons


def _describe(program: Program, comparisons: list[Comparison]) -> str:
    exact = sum(result.is_exact for result in program.results)
    words = [f"{exact} exact"] if exact else []
    if bounded := len(program.results) - exact:
        differing = max(comparison.differing for comparison in comparisons)
        worst = max(comparison.worst for comparison in comparisons)
        words.append(
            f"{bounded} within its bound (bits of {differing} elements differ; worst "
            f"error {worst:.2f} of the bound)"
        )
    return f"{len(program.launches)} launches, {', '.join(words)}"


def run_checks(kit: Kit, driver: Driver, modules: Modules, only: str = "") -> bool:
    """Checks all programs with `only` in their name; whether none is wrong."""
    counts = Counts()
    for program in kit.checks:
        if only not in program.name:
            continue
        try:
            comparisons = check(program, kit, driver, modules)
        except Unsupported as reason:
            counts.skipped += 1
            print(f"skip {program.name}: {reason}", flush=True)
            continue
        except DriverError:
            # The device takes no more calls after a kernel that crashed.
            print(f"FAIL {program.name}: the driver failed", flush=True)
            raise
        problems = [comparison.problem for comparison in comparisons]
        if any(problems):
            counts.failed += 1
            for number, problem in enumerate(problems):
                run, result = divmod(number, len(program.results))
                if problem:
                    print(f"FAIL {program.name}: run {run}, result {result}: {problem}")
        else:
            counts.passed += 1
            print(f"pass {program.name}: {_describe(program, comparisons)}", flush=True)
    print(
        f"results: {counts.passed} programs right, {counts.failed} wrong, "
        f"{counts.skipped} skipped"
    )
    if not counts.passed and not counts.failed:
        print("FAIL: no program was executed")
        return False
    return not counts.failed
