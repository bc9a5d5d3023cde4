"""Runs the benchmarks and says which promise was kept.

usage: python scripts/run_benchmarks.py [NAME...]

A benchmark is a program benchmarks/bench_NAME.py that prints, for each promise, its
bar, the measured value and `pass` or `fail`, and exits non-zero on a miss. All are run;
the exit status is 1 if one of them missed.
"""

import argparse
import subprocess
import sys
import time

from source_files import ROOT


def main() -> int:
    programs = {
        path.stem.removeprefix("bench_"): path
        for path in sorted((ROOT / "benchmarks").glob("bench_*.py"))
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of: {' '.join(programs)}")
    names = parser.parse_args().names or list(programs)
    if unknown := sorted(set(names) - set(programs)):
        parser.error(f"no benchmark is called {' '.join(unknown)}")
    missed = []
    for name in names:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        done = subprocess.run([sys.executable, str(programs[name])], cwd=ROOT)
        if done.returncode:
            missed.append(name)
        print(f"== {name}: {time.monotonic() - start:.0f} s", flush=True)
    print(f"{len(names) - len(missed)} passed, {len(missed)} failed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
