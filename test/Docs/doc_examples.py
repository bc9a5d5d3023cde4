"""A lit test format: every MLIR block of the documentation is a test.

A block with RUN lines is run as written; any other must survive a round trip
through moe-opt. The extracted file keeps the line numbers of its document, so that
an error points to the right line.
"""

import collections.abc
import pathlib
import re
import textwrap

import lit.formats
import lit.Test

BLOCK = re.compile(r"^( *)```mlir\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
ROUND_TRIP = "// RUN: moe-opt %s | moe-opt -o /dev/null"


class DocExample(lit.Test.Test):
    """A test whose source is an extracted file, not one of the source folder."""

    def getSourcePath(self) -> str:
        return self.file_path


def blocks(text: str) -> collections.abc.Iterator[tuple[int, str]]:
    """(line number from 1 of its fence, text) of each MLIR block of a document."""
    for match in BLOCK.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, textwrap.dedent(match[2])


class DocExamples(lit.formats.ShTest):
    """Finds the blocks of Markdown and TableGen files and runs each as a test."""

    def __init__(
        self, root: pathlib.Path, folder: pathlib.Path, patterns: list[str]
    ) -> None:
        super().__init__(execute_external=False)
        self.root, self.folder, self.patterns = root, folder, patterns

    def documents(self) -> list[pathlib.Path]:
        """The documents, without those that are generated from others."""
        found = {path for pattern in self.patterns for path in self.root.glob(pattern)}
        return sorted(path for path in found if "generated" not in path.parts)

    def extract(self, document: pathlib.Path, line: int, block: str) -> pathlib.Path:
        """Writes one block to a file of its own and gives its path."""
        stem = document.relative_to(self.root).as_posix().replace("/", "-")
        # One line less for the fence: the block's first line is line + 1.
        padding = ["// " + f"{document.relative_to(self.root)}:{line}"]
        padding += [""] * (line - 1)
        if "RUN:" not in block:
            padding[-1] = ROUND_TRIP
        path = self.folder / f"{stem}-{line}.mlir"
        path.write_text("\n".join(padding) + "\n" + block)
        return path

    def getTestsInDirectory(self, testSuite, path_in_suite, litConfig, localConfig):
        self.folder.mkdir(parents=True, exist_ok=True)
        for document in self.documents():
            for line, block in blocks(document.read_text()):
                path = self.extract(document, line, block)
                yield DocExample(
                    testSuite,
                    (*path_in_suite, path.name),
                    localConfig,
                    file_path=str(path),
                )
