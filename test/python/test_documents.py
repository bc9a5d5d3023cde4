"""What the documentation says runs and exists.

The Python blocks of one document are one program, run in order in an empty folder.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: pathlib.Path) -> list[str]:
    """The Python blocks of a document."""
    return BLOCK.findall(document.read_text())


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


def test_the_readme_is_among_them() -> None:
    assert "README.md" in DOCUMENTS


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
