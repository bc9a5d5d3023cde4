"""Every form that test/PTX/isa_grammar.txt describes, written out."""

import itertools
import re
from collections.abc import Iterator

import isa_forms

MACRO = re.compile(r"\((\w+)=(.*)\)")
REGISTER = re.compile(r"(?<![\w%\]])\.(?:pred|tf32|[a-z]+\d\w*)")
#: A choice: the name that operands have for it, and its alternatives.
Choice = tuple[str, list[str]]


def alternatives(text: str) -> list[str]:
    """`a|b` in pieces; what stands in braces stays whole."""
    found, depth = [""], 0
    for c in text:
        depth += (c == "{") - (c == "}")
        if c == "|" and not depth:
            found.append("")
        else:
            found[-1] += c
    return found


def closing(text: str, start: int) -> int:
    """Where the brace at `start` is closed."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if not depth:
            return at
    raise ValueError(f"unbalanced braces: {text}")


class Grammar:
    """Named alternatives, as they were defined so far."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}

    def define(self, name: str, text: str) -> None:
        self.names[name] = self.expand(alternatives(text))

    def expand(self, found: list[str]) -> list[str]:
        return [b for a in found for b in self.names.get(a, [a])]

    def choices(self, line: str, operands: bool = False) -> list[Choice]:
        """The line as a sequence of choices, literal text among them."""
        parts: list[Choice] = []
        at = 0
        while at < len(line):
            if line[at] != "{":
                stop = line.find("{", at)
                stop = len(line) if stop < 0 else stop
                parts.append(("", [line[at:stop]]))
                at = stop
                continue
            end = closing(line, at)
            inner = line[at + 1 : end]
            named = re.match(r"(\w):", inner)
            body = inner[2:] if named else inner
            if named or "|" in body or body in self.names:
                name = named[1] if named else ""
                parts.append((name, self.expand(alternatives(body))))
            elif operands or " " in line[:at]:  # a vector
                parts += [("", ["{"]), *self.choices(inner, True), ("", ["}"])]
            else:
                parts.append(("", [body]))
            at = end + 1
        return parts


def finish(text: str, chosen: dict[str, str]) -> str:
    """A statement: registers in the place of types."""
    head, _, operands = text.partition(" ")
    numbers = itertools.count()

    def register(match: re.Match[str]) -> str:
        name = ".b16" if match[0] in (".f16", ".bf16", ".s2f6x2") else match[0]
        return isa_forms.register(name, next(numbers))

    operands = re.sub(r"<(\w)\*(\d)>", r"{<\1>*\2}", operands)
    operands = re.sub(r"<(\w)>", lambda m: chosen[m[1]], operands)
    operands = re.sub(
        r"\{(\.\w+)\*(\d+)\}",
        lambda m: "{" + ", ".join([m[1]] * int(m[2])) + "}",
        operands,
    )
    head = re.sub(r"<(\w)>", lambda m: chosen[m[1]], head)
    return f"{head} {REGISTER.sub(register, operands)};"


def statements(text: str) -> Iterator[str]:
    """All forms, in the order of the lines; some more than once."""
    grammar = Grammar()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if macro := MACRO.fullmatch(line):
            grammar.define(*macro.groups())
            continue
        parts = grammar.choices(line)
        for chosen in itertools.product(*(found for _, found in parts)):
            names = {
                name: c for (name, _), c in zip(parts, chosen, strict=True) if name
            }
            yield finish("".join(chosen), names)
