"""Fuzzes the front end of the PTX emulator.

usage: python scripts/fuzz_ptx.py [--build DIR] [--seconds N] [--inputs N]

Goes on until both the time and the number of inputs are reached (10 minutes and a
million). The first input that crashes, hangs or is accepted though unsound ends it
with status 1 and is kept in DIR/fuzz/findings. What was learned stays in DIR/fuzz.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent
LONGEST = 6000  # bytes of a seed and of an input


def write_seeds(folder: pathlib.Path) -> None:
    """Texts of the tests: one kernel for each recorded form, the planted faults."""
    folder.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(SOURCE / "test" / "PTX"))
    from recordings.form import HEADER, kernel
    from recordings.forms import FORMS

    for number, form in enumerate(FORMS.values()):
        if number % 6 == 0:
            text = HEADER + kernel(form)
            (folder / f"form{number}.ptx").write_text(text)
    for path in sorted((SOURCE / "test" / "PTX" / "faults").glob("*.ptx")):
        text = path.read_text()
        if len(text) <= LONGEST:
            # The line to delete and the line to add exclude each other.
            lines = [line for line in text.splitlines() if not line.endswith("//-")]
            (folder / path.name).write_text("\n".join(lines))


def run(program: pathlib.Path, folder: pathlib.Path, seconds: int, inputs: int) -> int:
    """One run of libFuzzer; gives how many inputs it tried, or fails."""
    findings = folder / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    (folder / "corpus").mkdir(exist_ok=True)
    command = [program, folder / "corpus", folder / "seeds"]
    command += [f"-dict={SOURCE / 'test' / 'fuzz' / 'ptx.dict'}"]
    command += [f"-max_len={LONGEST}", "-timeout=20", "-rss_limit_mb=2048"]
    command += [f"-max_total_time={seconds}", f"-runs={inputs}"]
    command += ["-print_final_stats=1", f"-artifact_prefix={findings}/"]
    done = subprocess.run(
        list(map(str, command)), stderr=subprocess.PIPE, text=True, errors="replace"
    )
    count = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    if done.returncode or not count:
        print(done.stderr[-8000:])
        sys.exit(f"ptx-fuzz failed; the input is in {findings}")
    return int(count[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=SOURCE / "build")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    options = parser.parse_args()
    program = options.build / "test" / "fuzz" / "ptx-fuzz"
    if not program.exists():
        sys.exit(f"{program} is not built: it needs Clang's libFuzzer")
    folder = options.build / "fuzz"
    write_seeds(folder / "seeds")
    begin, tried = time.monotonic(), 0
    while True:
        left = options.seconds - (time.monotonic() - begin)
        if left <= 0 and tried >= options.inputs:
            break
        # Libfuzzer stops at whichever comes first; both must be reached.
        tried += run(program, folder, max(int(left), 60), -1 if left > 0 else 200_000)
    seconds = time.monotonic() - begin
    print(f"{tried} inputs in {seconds:.0f} s, no crash, no hang")


if __name__ == "__main__":
    main()
