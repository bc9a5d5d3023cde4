"""The mutations are ready to be planted; `make mutate` plants them."""

import pathlib
import subprocess

import mutate
import pytest

PATCHES = sorted(mutate.MUTATIONS.glob("*.patch"))


@pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)
def test_patch_applies(path: pathlib.Path, source_root: pathlib.Path) -> None:
    assert mutate.read(path).fault
    command = ["git", "apply", "--check", str(path)]
    done = subprocess.run(command, cwd=source_root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_patch_changes_one_place() -> None:
    for path in PATCHES:
        text = path.read_text()
        assert text.count("\n@@ ") == 1, path
        assert text.count("\n+++ ") == 1, path


def test_header_is_required(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.patch"
    path.write_text("--- a/x\n+++ b/x\n")
    with pytest.raises(ValueError, match="needs the lines"):
        mutate.read(path)


class Scripted(mutate.Laboratory):
    """A laboratory whose commands end as told."""

    def __init__(self, source: pathlib.Path, build: int, test: int) -> None:
        super().__init__(source)
        self.statuses = {"ninja": build}
        self.test = test

    def run(self, command: list[str], seconds: int = 0) -> tuple[int, str]:
        return self.statuses.get(command[0], self.test), "output"


@pytest.mark.parametrize(
    ("build", "test", "verdict"),
    [(0, 1, "killed"), (0, 0, "survived"), (1, 1, "does not build: output")],
)
def test_verdict(build: int, test: int, verdict: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    patch = tmp_path / "a.patch"
    patch.write_text(
        "# fault: two\n# test: gtest Tests\n"
        "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n"
    )
    laboratory = Scripted(tmp_path, build, test)
    assert laboratory.verdict(mutate.read(patch)) == verdict
    assert (tmp_path / "a.txt").read_text() == "one\n"
    (tmp_path / "a.txt").write_text("three\n")
    assert laboratory.verdict(mutate.read(patch)).startswith("does not apply")
