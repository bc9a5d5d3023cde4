"""What the documentation says runs and exists.

The Python blocks of one document are one program, run in order in an empty folder;
commands in its console blocks are run where they stand.
"""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ moe-mlir (.*)$", re.MULTILINE)


def blocks(document: pathlib.Path) -> list[str]:
    """The Python blocks of a document, and calls of its commands."""
    return [
        text if kind == "python" else "".join(map(call_of, COMMAND.findall(text)))
        for kind, text in BLOCK.findall(document.read_text())
    ]


def call_of(command: str) -> str:
    """Python that runs ``moe-mlir command`` and fails with it."""
    words = ", ".join(map(repr, shlex.split(command)))
    return (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-m', 'moe_mlir', {words}], check=True)\n"
    )


DOCUMENTS = [
    path.relative_to(SOURCE).as_posix()
    for path in (*SOURCE.glob("*.md"), *SOURCE.glob("docs/*.md"))
    if blocks(path)
]


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_python_blocks(
    name: str, build_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    program = "\n".join(blocks(SOURCE / name))
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(build_root / "python"),
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{program}\n{done.stderr[-3000:]}"


def test_commands_are_run() -> None:
    program = "".join(blocks(SOURCE / "docs/whole-models.md"))
    for word in ("import", "scope", "eval"):
        assert f"'-m', 'moe_mlir', '{word}'" in program


def test_the_readme_is_among_them() -> None:
    assert "README.md" in DOCUMENTS


def test_what_is_installed_exists() -> None:
    """Extras of the package, its constraints, and packages that the set-up installs."""
    text = (SOURCE / "docs/whole-models.md").read_text()
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    (named,) = re.findall(
        r"^    pip install '\./moe-mlir\[(.*)\]' -c (.*)$", text, re.M
    )
    assert set(named[0].split(",")) <= set(project["optional-dependencies"])
    assert (SOURCE / named[1].removeprefix("moe-mlir/")).is_file()
    (packages,) = re.findall(r"^    apt-get install (.*)$", text, re.M)
    known = (SOURCE / "scripts/setup.sh").read_text().split()
    assert [name for name in packages.split() if name not in known] == []


REFERENCE = re.compile(r"`((?:test|docs|benchmarks)/[\w./-]+\.\w+)(?:::(\w+))?`")


def test_the_evidence_exists() -> None:
    """Files and test functions that a document names."""
    seen = 0
    for document in SOURCE.glob("docs/*.md"):
        for path, function in REFERENCE.findall(document.read_text()):
            seen += 1
            assert (SOURCE / path).is_file(), f"{document.name} names {path}"
            if function:
                assert f"def {function}(" in (SOURCE / path).read_text(), function
    assert seen > 20
