"""Checks what every text file may hold.

No path of one machine, no host of a package registry, no note of unfinished work,
no space at the end of a line, no tab in code, one newline at the end of a file. A link
of a document to a file of the checkout leads somewhere.

usage: python scripts/check_text.py [ROOT]
"""

import pathlib
import re
import sys

from source_files import report, source_files

# Written in pieces so that this file does not find itself.
FORBIDDEN = {
    "a path of one machine": re.compile(
        r"(?<![\w.*$})])/(?:home|root|work|farm|Users|tmp/bash_jobs)/\w"
    ),
    "a package registry's host": re.compile(
        r"(?:pypi|pythonhosted|debian|pytorch|ubuntu)\.org|huggingface\.co|(?<=hf)\.co\b"
    ),
    "a note of unfinished work": re.compile(
        r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|\bnot (?:yet )?implem" r"ented\b"
    ),
    "a path out of the checkout": re.compile(r"\.\./shar" r"ed\b"),
}
# Code may look like a link; blanked, it keeps the line numbers.
CODE = re.compile(r"^( *)```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
# Their format asks for trailing blanks or tabs.
FREE_FORM = (".patch",)
TABS = ("Makefile",)


def check_file(name: pathlib.PurePath, text: str) -> list[str]:
    """The findings of one file."""
    findings = []
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in FORBIDDEN.items():
            if match := pattern.search(line):
                findings.append(f"{name}:{number}: {what}: '{match[0]}'")
        if name.suffix in FREE_FORM:
            continue
        if line != line.rstrip():
            findings.append(f"{name}:{number}: a space at the end of the line")
        if "\t" in line and name.name not in TABS:
            findings.append(f"{name}:{number}: a tab")
    if (text and not text.endswith("\n")) or text.endswith("\n\n"):
        findings.append(f"{name}:{text.count(chr(10))}: not one newline at the end")
    return findings


def broken_links(path: pathlib.Path, name: pathlib.PurePath, text: str) -> list[str]:
    """The links of a Markdown document whose file does not exist."""
    text = CODE.sub(lambda code: "\n" * code[0].count("\n"), text)
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: no file '{match[1]}'"
        for match in LINK.finditer(text)
        if not (path.parent / match[1]).exists()
    ]


def check(root: pathlib.Path) -> list[str]:
    """The findings of all text files; others (pictures, weights) are left out."""
    findings = []
    for path in source_files(root):
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        name = path.relative_to(root)
        findings += check_file(name, text)
        if path.suffix == ".md":
            findings += broken_links(path, name, text)
    return findings


if __name__ == "__main__":
    sys.exit(report("text", check))
