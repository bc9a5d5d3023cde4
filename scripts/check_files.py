"""Checks names and sizes of source files, and sizes of C++ functions.

No file says Utils, Common, Misc or Helpers, or ends in a number. C++ and TableGen
files stay below 500 lines, Python files too; C++ functions below 60 lines. C++ and
TableGen files begin with a comment that says what the file is, and the licence.

usage: python scripts/check_files.py [ROOT]
"""

import collections.abc
import pathlib
import re
import sys

from source_files import CXX, PYTHON, TABLEGEN, report, source_files

FILE_LINES = 500
FUNCTION_LINES = 60
EMPTY_NAME = re.compile(r"(utils?|common|misc|helpers?)$", re.IGNORECASE)
HEAD = re.compile(
    r"(?://.*\n)+// SPDX-License-Identifier: Apache-2\.0 WITH LLVM-exception\n"
)
HEADED = (*CXX, *TABLEGEN, ".cu", ".inc")
# What opens a brace at its own level without being a function.
NOT_A_FUNCTION = re.compile(
    r"^\s*(?:template\s*<.*>\s*)?(?:inline\s+)?"
    r"(?:namespace|struct|class|enum|union|extern\s+\"C\"|\w.*=\s*\{$)"
)
SKIPPED = re.compile(r"^\s*(?://|#|$)|^\s*(?:public|private|protected):")


def opening(lines: list[str], index: int) -> int:
    """The first line of the statement whose `{` ends line `index`."""
    first = index
    while first > 0:
        before = lines[first - 1]
        if SKIPPED.match(before) or before.rstrip().endswith((";", "}", "{")):
            break
        first -= 1
    return first


def functions(text: str) -> collections.abc.Iterator[tuple[int, int, str]]:
    """(first line from 1, lines, header) of each function in clang-formatted C++."""
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        line = lines[index]
        if SKIPPED.match(line) or not line.endswith("{"):
            index += 1
            continue
        first = opening(lines, index)
        header = " ".join(part.strip() for part in lines[first : index + 1])
        if NOT_A_FUNCTION.match(header) or "(" not in header:
            index += 1
            continue
        margin = len(lines[first]) - len(lines[first].lstrip())
        close = re.compile(rf"^ {{{margin}}}\}}")
        last = next(
            (i for i in range(index + 1, len(lines)) if close.match(lines[i])), index
        )
        yield first + 1, last - first + 1, header
        index = last + 1


def check(root: pathlib.Path) -> list[str]:
    """The findings about all C++, TableGen and Python files."""
    findings = []
    for path in source_files(root, *CXX, *TABLEGEN, *PYTHON):
        name = path.relative_to(root)
        if EMPTY_NAME.search(path.stem):
            findings.append(f"{name}:1: the name says nothing; name the idea")
        if re.search(r"[A-Za-z]\d$", path.stem):
            findings.append(f"{name}:1: a numbered name; split by idea")
        text = path.read_text()
        count = text.count("\n")
        if count > FILE_LINES:
            findings.append(f"{name}:1: {count} lines, more than {FILE_LINES}")
        if path.suffix in CXX:
            findings += [
                f"{name}:{line}: {size} lines, more than {FUNCTION_LINES}: {header}"
                for line, size, header in functions(text)
                if size > FUNCTION_LINES
            ]
    findings += [
        f"{path.relative_to(root)}:1: does not begin with a comment that says what "
        "the file is, and below it the licence's SPDX line"
        for path in source_files(root, *HEADED)
        if not HEAD.match(path.read_text())
    ]
    return findings


if __name__ == "__main__":
    sys.exit(report("files", check))
