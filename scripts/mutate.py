"""Plants each fault of test/mutations and checks that its test notices it.

usage: python scripts/mutate.py [NAME...]

A mutation is a patch with two lines before it:

    # fault: what is wrong with the patched line
    # test: gtest PROGRAM [FILTER] | lit PATTERN | pytest ARGUMENT...

The sources are copied to build/mutate, which has a build of its own. A test must
pass there before the fault and fail with it. The exit status is 1 where a fault
survives, or where a patch does not apply or does not build.
"""

import argparse
import dataclasses
import filecmp
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

from source_files import ROOT, source_files
from tablegen_records import LLVM

MUTATIONS = ROOT / "test" / "mutations"
SCRATCH = ROOT / "build" / "mutate"
HEADER = re.compile(
    r"# fault: (?P<fault>.+)\n# test: (?P<kind>gtest|lit|pytest) (?P<words>.+)\n"
)
# What has to be built before a test of each kind; gtest names its own program.
TARGETS = {
    "lit": ["moe-opt", "moe-reduce", "moe-lsp-server", "MoEPlugin"],
    "pytest": ["moe-opt", "_moe"],
}
PTX_TARGETS = ["_ptx", "ptx-run", "ptx_cuda"]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """One planted fault and the test that must notice it."""

    path: pathlib.Path
    fault: str
    kind: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def targets(self) -> list[str]:
        if self.kind == "gtest":
            return [self.words[0]]
        if self.words[0].startswith("test/PTX/"):
            return PTX_TARGETS
        if self.words[0].startswith("test/GPU/"):
            return [*TARGETS[self.kind], *PTX_TARGETS]
        return TARGETS[self.kind]

    def command(self, source: pathlib.Path) -> list[str]:
        """The test's command line in a copy of the sources with its own build."""
        build = source / "build"
        match self.kind:
            case "gtest":
                program, *patterns = self.words
                filters = [f"--gtest_filter={pattern}" for pattern in patterns]
                return [str(build / "test/unit" / program), *filters]
            case "lit":
                filters = [f"--filter={pattern}" for pattern in self.words]
                return [str(LLVM / "bin" / "lit"), "-q", *filters, str(build / "test")]
        pytest = [sys.executable, "-m", "pytest", "-x", "-q", f"--build={build}"]
        return [*pytest, *self.words]


def read(path: pathlib.Path) -> Mutation:
    """Reads the header of a mutation; ValueError where it has none."""
    match = HEADER.match(path.read_text())
    if not match:
        raise ValueError(f"{path}: needs the lines '# fault: ...' and '# test: ...'")
    words = tuple(shlex.split(match["words"]))
    return Mutation(path, match["fault"], match["kind"], words)


def copy_sources(target: pathlib.Path) -> None:
    """Makes `target` the same as the sources; leaves equal files untouched."""
    wanted = set()
    for path in source_files(ROOT):
        copy = target / path.relative_to(ROOT)
        wanted.add(copy)
        if not copy.exists() or not filecmp.cmp(path, copy, shallow=False):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    for path in target.rglob("*"):
        inside = path.relative_to(target).parts
        if path.is_file() and inside[0] != "build" and path not in wanted:
            path.unlink()


class Laboratory:
    """A copy of the sources with a build, in which faults are planted."""

    def __init__(self, source: pathlib.Path) -> None:
        self.source = source
        self.environment = os.environ | {
            # The compiler's cache then sees the same relative paths everywhere.
            "CCACHE_BASEDIR": str(source),
            "PYTHONPATH": str(source / "build" / "python"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, command: list[str], seconds: int = 900) -> tuple[int, str]:
        """Exit status and output of a command; a time-out is a failure."""
        try:
            done = subprocess.run(
                command,
                cwd=self.source,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return 124, "timed out"
        return done.returncode, done.stdout

    def configure(self) -> None:
        """Copies the sources and configures the build like `make` does."""
        copy_sources(self.source)
        script = str(self.source / "scripts" / "configure.sh")
        status, output = self.run([script, "release", "build", sys.executable])
        if status:
            raise SystemExit(output)

    def build(self, targets: list[str]) -> str | None:
        """Builds targets; the end of the output where that fails."""
        status, output = self.run(["ninja", "-C", "build", *targets], seconds=3600)
        return output[-3000:] if status else None

    def patch(self, mutation: Mutation, *options: str) -> str | None:
        """Applies a mutation; the reason where that fails."""
        # Without a repository around it, git takes the paths as they are.
        nowhere = os.environ | {"GIT_CEILING_DIRECTORIES": str(self.source.parent)}
        done = subprocess.run(
            ["git", "apply", *options, str(mutation.path)],
            cwd=self.source,
            env=nowhere,
            capture_output=True,
            text=True,
        )
        return done.stderr if done.returncode else None

    def verdict(self, mutation: Mutation) -> str:
        """`killed`, `survived`, or why it cannot be said."""
        if reason := self.patch(mutation):
            return f"does not apply: {reason}"
        try:
            if output := self.build(mutation.targets):
                return f"does not build: {output}"
            status, _ = self.run(mutation.command(self.source))
        finally:
            self.patch(mutation, "--reverse")
        return "killed" if status else "survived"


def check_baseline(laboratory: Laboratory, mutations: list[Mutation]) -> None:
    """Each test passes without a fault, else its failure would show nothing."""
    tests = {(mutation.kind, mutation.words): mutation for mutation in mutations}
    targets = sorted({target for test in tests.values() for target in test.targets})
    print(f"building {' '.join(targets)} without a fault", flush=True)
    if output := laboratory.build(targets):
        raise SystemExit(output)
    for (kind, words), mutation in tests.items():
        print(f"without a fault: {kind} {shlex.join(words)}", flush=True)
        status, output = laboratory.run(mutation.command(laboratory.source))
        if status:
            raise SystemExit(f"fails without a fault:\n{output[-3000:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only these mutations")
    names = parser.parse_args().names
    mutations = [read(path) for path in sorted(MUTATIONS.glob("*.patch"))]
    if unknown := set(names) - {mutation.name for mutation in mutations}:
        parser.error(f"no mutation is called {' '.join(sorted(unknown))}")
    chosen = [mutation for mutation in mutations if not names or mutation.name in names]

    laboratory = Laboratory(SCRATCH / "source")
    laboratory.configure()
    check_baseline(laboratory, chosen)
    killed = 0
    for number, mutation in enumerate(chosen, 1):
        start = time.monotonic()
        verdict = laboratory.verdict(mutation)
        killed += verdict == "killed"
        seconds = time.monotonic() - start
        label = f"[{number}/{len(chosen)}] {mutation.name} ({mutation.fault})"
        print(f"{label}: {verdict} ({seconds:.0f} s)", flush=True)
    print(f"{killed} killed, {len(chosen) - killed} not")
    return 0 if killed == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
