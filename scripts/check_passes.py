"""Checks that each pass is documented, tested, and named by the mechanical rule.

    def SetScope, flag moe-set-scope, file SetScope.cpp, test moe-set-scope.mlir
    def ConvertMoEToCPU, flag convert-moe-to-cpu, file MoEToCPU*.cpp,
        test convert-moe-to-cpu.mlir

usage: python scripts/check_passes.py [ROOT]
"""

import pathlib
import re
import sys

from source_files import report
from tablegen_records import Record, place, records

PASSES = "moe/Passes.td"
WORD = re.compile(r"MoE|[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")
EXAMPLE = re.compile(r"Example: (test/[\w/-]+\.mlir)")
KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def flag_of(name: str) -> str:
    """The flag of the pass `def name`."""
    words = "-".join(word.lower() for word in WORD.findall(name))
    return words if name.startswith("Convert") else f"moe-{words}"


def check_names(root: pathlib.Path, name: str, flag: str) -> list[str]:
    """Flag, source file and test file of a pass follow from its name."""
    wanted = flag_of(name)
    findings = []
    if flag != wanted:
        findings.append(f"flag '{flag}' of def {name} should be '{wanted}'")
    pattern = name.removeprefix("Convert") + "*.cpp"
    if name.startswith("Convert"):
        if not list((root / "lib" / "Conversion").rglob(pattern)):
            findings.append(f"no file lib/Conversion/**/{pattern} for def {name}")
    elif not list((root / "lib").rglob(f"{name}.cpp")):
        findings.append(f"no file lib/**/{name}.cpp for def {name}")
    if not list((root / "test").rglob(f"{wanted}.mlir")):
        findings.append(f"no test {wanted}.mlir for def {name}")
    return findings


def check_texts(root: pathlib.Path, record: Record) -> list[str]:
    """Summary, description, example, options and statistics are complete."""
    name = record["!name"]
    findings = []
    if not record["summary"] or record["summary"].endswith("."):
        findings.append(f"def {name} needs a summary without a final stop")
    if len(record["description"].split()) < 20:
        findings.append(f"def {name} needs a description: what, why, before, after")
    examples = EXAMPLE.findall(record["description"])
    if not examples:
        findings.append(f"def {name} needs 'Example: test/....mlir' in its description")
    findings += [
        f"the example {path} of def {name} does not exist"
        for path in examples
        if not (root / path).is_file()
    ]
    if record["constructor"]:
        findings.append(f"def {name}: leave the constructor to TableGen")
    return findings


def check(root: pathlib.Path) -> list[str]:
    """The findings about all passes of include/moe/Passes.td."""
    findings = []
    for record in records(root, PASSES, "PassBase"):
        where = place(root, record)
        messages = check_names(root, record["!name"], record["argument"])
        messages += check_texts(root, record)
        findings += [f"{where}: {message}" for message in messages]
    for record in records(root, PASSES, "Option", "ListOption"):
        where = place(root, record)
        if not KEBAB.fullmatch(record["argument"]):
            findings.append(f"{where}: option '{record['argument']}' is not kebab case")
        if not record["description"]:
            findings.append(f"{where}: option '{record['argument']}' has no help text")
    return findings


if __name__ == "__main__":
    sys.exit(report("passes", check))
