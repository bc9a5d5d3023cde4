"""Runs every test suite, goes on after a failure, and sums up.

usage: python scripts/run_tests.py [--build DIR] [--long] [SUITE...]

Suites: checks (of the sources), gtest, lit, pytest. Each writes its whole output
to DIR/test-logs/SUITE.log. The last line printed is `N passed, N failed`; the exit
status is 0 only if nothing failed and every suite that was asked for ran a test.
"""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

SOURCE = pathlib.Path(__file__).resolve().parent.parent
CHECKS = (
    "check_layers.py",
    "check_files.py",
    "check_passes.py",
    "check_ops.py",
    "check_format.py",
    "check_text.py",
    "generate_docs.py --check --build BUILD",
)


@dataclasses.dataclass
class Result:
    """What one suite came to."""

    suite: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    failures: list[str] = dataclasses.field(default_factory=list)

    def fail(self, name: str) -> None:
        self.failed += 1
        self.failures.append(name)


class Runner:
    """Runs commands of one suite; shows their output and keeps it in a log."""

    def __init__(self, build: pathlib.Path, suite: str) -> None:
        self.build = build
        self.folder = build / "test-logs"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"{suite}.log"
        self.log.write_text("")

    def report(self, name: str) -> pathlib.Path:
        """The path of a machine-readable report, without an earlier one."""
        path = self.folder / name
        path.unlink(missing_ok=True)
        return path

    def run(self, *command: object) -> int:
        """Runs a command in the source folder and gives its exit status."""
        words = [str(word) for word in command]
        print("$", " ".join(words), flush=True)
        with (
            self.log.open("a") as log,
            subprocess.Popen(
                words,
                cwd=SOURCE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                print(line, end="", flush=True)
        return process.returncode


def run_checks(runner: Runner, long: bool) -> Result:
    """The checks of the sources: each is one test."""
    result = Result("checks")
    for check in CHECKS:
        script, *options = check.replace("BUILD", str(runner.build)).split()
        if runner.run(sys.executable, SOURCE / "scripts" / script, *options):
            result.fail(check)
        else:
            result.passed += 1
    return result


def run_gtest(runner: Runner, long: bool) -> Result:
    """Every program in DIR/test/unit."""
    result = Result("gtest")
    for program in sorted((runner.build / "test" / "unit").glob("*Tests")):
        report = runner.report(f"{program.name}.json")
        status = runner.run(program, "--gtest_brief=1", f"--gtest_output=json:{report}")
        failed = result.failed
        if report.exists():
            for suite in json.loads(report.read_text())["testsuites"]:
                for case in suite["testsuite"]:
                    name = f"{program.name}: {suite['name']}.{case['name']}"
                    if "failures" in case:
                        result.fail(name)
                    elif case["result"] == "SKIPPED":
                        result.skipped += 1
                    elif case["status"] == "RUN":
                        result.passed += 1
        if status and failed == result.failed:
            result.fail(f"{program.name}: exit status {status}")
    return result


def read_junit(result: Result, report: pathlib.Path) -> None:
    """Adds the cases of a JUnit report to a result."""
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')} {case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            result.fail(name)
        elif case.find("skipped") is not None:
            result.skipped += 1
        else:
            result.passed += 1


def run_junit(
    runner: Runner, result: Result, report: pathlib.Path, *command: object
) -> Result:
    """Runs a command that writes a JUnit report."""
    status = runner.run(*command)
    if report.exists():
        read_junit(result, report)
    if status and not result.failed:
        result.fail(f"{result.suite}: exit status {status}")
    return result


def run_lit(runner: Runner, long: bool) -> Result:
    """Every test of the lit configuration in DIR/test."""
    cache = (runner.build / "CMakeCache.txt").read_text().splitlines()
    lit = next(line for line in cache if line.startswith("MOE_LIT:")).split("=")[1]
    report = runner.report("lit.xml")
    options = ["-sv", f"--xunit-xml-output={report}", *(["--param=long=1"] * long)]
    tests = runner.build / "test"
    return run_junit(runner, Result("lit"), report, lit, *options, tests)


def run_pytest(runner: Runner, long: bool) -> Result:
    """The tests in Python: package, importers, end to end, scripts, install."""
    report = runner.report("pytest.xml")
    command = [sys.executable, "-m", "pytest", "-q", "--durations=10"]
    command.append(f"--junit-xml={report}")
    options = [f"--build={runner.build}", *(["--long"] * long)]
    return run_junit(runner, Result("pytest"), report, *command, *options)


SUITES = {
    "checks": run_checks,
    "gtest": run_gtest,
    "lit": run_lit,
    "pytest": run_pytest,
}


def summarize(results: list[Result]) -> None:
    """Prints the failures, a table of the suites and the closing line."""
    for result in results:
        for name in result.failures:
            print(f"FAILED {result.suite}: {name}")
    print(f"{'suite':<10}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for result in results:
        print(
            f"{result.suite:<10}{result.passed:>8}{result.failed:>8}"
            f"{result.skipped:>9}{result.seconds:>9.1f}"
        )
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    skipped = sum(result.skipped for result in results)
    print(f"{passed} passed, {failed} failed" + f", {skipped} skipped" * bool(skipped))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build")
    parser.add_argument("--long", action="store_true", help="exhaustive tests too")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=" ".join(SUITES))
    options = parser.parse_args()
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no suite {sorted(unknown)}; there are: {' '.join(SUITES)}")

    results = []
    for suite in options.suites or SUITES:
        start = time.monotonic()
        result = SUITES[suite](Runner(options.build.resolve(), suite), options.long)
        result.seconds = time.monotonic() - start
        if not result.passed and not result.failed:
            result.fail("no test ran")
        results.append(result)
    summarize(results)
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
