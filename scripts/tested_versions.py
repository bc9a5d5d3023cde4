"""The table of tested versions in README.md, made from the pinned requirements."""

import pathlib
import re

BEGIN, END = "<!-- tested versions -->", "<!-- end of tested versions -->"
SHOWN = ("torch", "torch-mlir", "transformers", "jax", "flax", "numpy")
# What requirements.txt cannot know: these are what the tests run on.
FIXED = {"OS": "Debian 12, x86-64", "LLVM and MLIR": "22.1.8", "Python": "3.11"}


def table(requirements: str) -> str:
    """A Markdown table of the platform and the main packages."""
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", requirements, re.MULTILINE))
    rows = FIXED | {name: pins[name] for name in SHOWN}
    lines = ["| what | tested version |", "|---|---|"]
    lines += [f"| {name} | {version} |" for name, version in rows.items()]
    return "\n".join(lines)


def insert(readme: str, root: pathlib.Path) -> str:
    """README.md with the table between its two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"README.md needs the lines {BEGIN} and {END}")
    text = table((root / "requirements.txt").read_text())
    return f"{before}{BEGIN}\n{text}\n{END}{after}"
