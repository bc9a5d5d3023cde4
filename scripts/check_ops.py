"""Checks that each op, type and attribute is documented and its rules are tested.

An op has a summary, a description with an example in MLIR, and its constraints as
a list of labels (`- ROUTE-3: ...`), numbered from 1. Each label stands beside the
check in C++ and in a test that expects an error.

usage: python scripts/check_ops.py [ROOT]
"""

import pathlib
import re
import sys

from source_files import CXX, report, source_files
from tablegen_records import Record, place, records

DIALECT = "moe/IR/MoEIdxOps.td"
DEFINITION = re.compile(r"^\s*- ([A-Z][A-Z0-9_-]*)-(\d+):", re.MULTILINE)


def check_texts(record: Record) -> list[str]:
    """Summary and description of an op, type or attribute."""
    name, summary = record["!name"], record["summary"].strip()
    findings = []
    if not summary or "\n" in summary or summary.endswith("."):
        findings.append(f"{name} needs a summary of one line without a final stop")
    elif summary[0].islower():
        findings.append(f"the summary of {name} should start with a capital")
    # A terminator stands in the example of what it ends.
    terminator = any(trait["def"] == "Terminator" for trait in record.get("traits", []))
    if "```mlir" not in record["description"] and not terminator:
        findings.append(f"the description of {name} needs an example (```mlir)")
    return findings


def check_numbers(record: Record) -> list[str]:
    """The labels of one record have one prefix and count from 1."""
    labels = DEFINITION.findall(record["description"])
    wanted = (
        [(labels[0][0], str(i)) for i in range(1, len(labels) + 1)] if labels else []
    )
    if labels != wanted:
        found = ", ".join("-".join(label) for label in labels)
        return [f"the labels of {record['!name']} do not count from 1: {found}"]
    return []


def labels_in_code(root: pathlib.Path, prefixes: set[str]) -> set[str]:
    """Every label with a known prefix in C++ sources."""
    pattern = label_pattern(prefixes)
    return {
        label
        for path in source_files(root, *CXX)
        if path.is_relative_to(root / "lib") or path.is_relative_to(root / "include")
        for label in pattern.findall(path.read_text())
    }


def labels_in_tests(root: pathlib.Path, prefixes: set[str]) -> set[str]:
    """Every label in a piece of a lit test (split at -----) that expects an error."""
    pattern = label_pattern(prefixes)
    return {
        label
        for path in source_files(root, ".mlir")
        for piece in re.split(r"^// -----.*$", path.read_text(), flags=re.MULTILINE)
        if "expected-error" in piece
        for label in pattern.findall(piece)
    }


def label_pattern(prefixes: set[str]) -> re.Pattern[str]:
    """Matches a whole label with one of the prefixes."""
    names = "|".join(sorted(prefixes)) or "(?!)"
    return re.compile(rf"(?<![\w-])(?:{names})-\d+\b")


def check(root: pathlib.Path) -> list[str]:
    """The findings about the whole dialect."""
    findings = []
    defined: dict[str, str] = {}
    for record in records(root, DIALECT, "Op", "TypeDef", "AttrDef"):
        if "EnumAttr" in record["!superclasses"]:
            continue
        where = place(root, record)
        messages = check_texts(record) + check_numbers(record)
        findings += [f"{where}: {message}" for message in messages]
        for prefix, number in DEFINITION.findall(record["description"]):
            label = f"{prefix}-{number}"
            if label in defined:
                findings.append(f"{where}: label {label} is also at {defined[label]}")
            defined[label] = where
    prefixes = {label.rsplit("-", 1)[0] for label in defined}
    code, tests = labels_in_code(root, prefixes), labels_in_tests(root, prefixes)
    for label, where in defined.items():
        if label not in code:
            findings.append(f"{where}: {label} stands beside no check in C++")
        if label not in tests:
            findings.append(f"{where}: {label} has no test that expects an error")
    findings += [
        f"label {label} is used but not defined in {DIALECT} or what it includes"
        for label in sorted((code | tests) - set(defined))
    ]
    return findings


if __name__ == "__main__":
    sys.exit(report("ops", check))
