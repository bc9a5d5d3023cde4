"""Checks that includes go one way through the layers.

    Routing <- IR <- {Import, Transforms, Conversion} <- Pipelines <- Runtime
            <- {tools, python}

usage: python scripts/check_layers.py [ROOT]
"""

import pathlib
import re
import sys

from source_files import CXX, TABLEGEN, report, source_files

# What each layer may include besides itself. `Passes` is include/moe/Passes.*.
BELOW_PASSES = {"Routing", "IR", "Passes"}
ALLOWED = {
    "Routing": set(),
    "PTX": set(),
    "IR": {"Routing"},
    "Passes": {"Routing", "IR"},
    "Import": BELOW_PASSES,
    "Transforms": BELOW_PASSES,
    "Conversion": BELOW_PASSES,
    "Pipelines": BELOW_PASSES | {"Import", "Transforms", "Conversion"},
    "Runtime": BELOW_PASSES | {"Pipelines"},
}
# Layers that are plain C++.
PLAIN = {"Routing", "PTX"}
INCLUDE = re.compile(r'^\s*#?\s*include\s+["<]([^">]+)[">]')


def layer_of(path: pathlib.PurePath) -> str | None:
    """The layer of a source file or of an include; None outside the layers."""
    match path.parts:
        case ("include", *rest):
            return layer_of(pathlib.PurePath(*rest))
        case ("lib", layer, _, *_):
            return layer
        case ("ptx", *_):
            return "PTX"
        case ("moe", name):
            return name.split(".")[0]
        case ("moe", layer, *_):
            return layer
    return None


def check(root: pathlib.Path) -> list[str]:
    """One finding for each include that goes up, sideways or out of plain C++."""
    findings = []
    for path in source_files(root, *CXX, *TABLEGEN):
        name = path.relative_to(root)
        layer = layer_of(name)
        if layer is None:
            continue
        if layer not in ALLOWED:
            findings.append(f"{name}:1: no layer is called '{layer}'")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            included = match[1]
            if layer in PLAIN and included.startswith(("mlir/", "llvm/")):
                findings.append(
                    f"{name}:{number}: layer {layer} is plain C++ and must not "
                    f"include {included}"
                )
            target = layer_of(pathlib.PurePath(included))
            if target and target != layer and target not in ALLOWED[layer]:
                findings.append(
                    f"{name}:{number}: layer {layer} must not include {included}, "
                    f"which is of layer {target}"
                )
    return findings


if __name__ == "__main__":
    sys.exit(report("include layers", check))
