"""Which files of the checkout are sources, for the checks beside this file."""

import collections.abc
import pathlib
import subprocess
import sys

CXX = (".cpp", ".h")
TABLEGEN = (".td",)
PYTHON = (".py",)

ROOT = pathlib.Path(__file__).resolve().parent.parent


def source_files(root: pathlib.Path, *suffixes: str) -> list[pathlib.Path]:
    """Files below `root` that git does not ignore; all suffixes if none is given.

    Where `root` is not a git checkout, every file outside build folders counts.
    """
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if listing.returncode == 0:
        paths = {root / name for name in listing.stdout.split("\0") if name}
    else:
        skipped = ("build", ".venv", ".git", "__pycache__")
        paths = {
            path
            for path in root.rglob("*")
            if not path.relative_to(root).as_posix().startswith(skipped)
        }
    return sorted(
        path
        for path in paths
        if path.is_file() and (not suffixes or path.suffix in suffixes)
    )


def report(
    name: str, check: collections.abc.Callable[[pathlib.Path], list[str]]
) -> int:
    """Runs a check on the tree named on the command line, else on this checkout.

    Prints each finding (`path:line: what`) and gives the exit status.
    """
    root = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    findings = check(root)
    for finding in findings:
        print(finding)
    print(f"{name}: {len(findings)} findings" if findings else f"{name}: clean")
    return 1 if findings else 0
