"""Every Python block of the documentation runs.

The blocks of one document are one program, run in order in an empty folder.
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
