"""Says which pinned requirements this Python environment lacks.

usage: python scripts/check_environment.py requirements.txt

A missing package is an error (exit status 1); another version than the tested
one is a warning.
"""

import importlib.metadata
import pathlib
import sys


def pins(requirements: str) -> dict[str, str]:
    """The `name==version` lines of a requirements file."""
    lines = (line.split("#")[0].strip() for line in requirements.splitlines())
    return dict(line.split("==") for line in lines if line)


def installed(name: str) -> str | None:
    """The installed version without its local part, None if there is none."""
    try:
        return importlib.metadata.version(name).split("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None


def main(path: str) -> int:
    missing = []
    for name, wanted in pins(pathlib.Path(path).read_text()).items():
        found = installed(name)
        if found is None:
            missing.append(f"{name}=={wanted}")
        elif found != wanted:
            print(f"setup: warning: {name} {found} is installed, {wanted} is tested")
    if missing:
        print(
            f"setup: error: {sys.prefix} lacks {' '.join(missing)}; run: "
            f"{sys.executable} -m pip install -r {path}",
            file=sys.stderr,
        )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
