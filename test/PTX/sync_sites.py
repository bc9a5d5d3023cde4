"""Synchronisation in PTX: where it is, and the same text without it."""

import dataclasses
import re

# Statements that only order or wait; without one, a kernel still assembles.
SYNC = re.compile(
    r"^\s*(?:@!?%?\w+\s+)?(?:"
    r"(?P<barrier>bar(?:rier)?(?:\.cta)?\.(?:sync|arrive|red|warp\.sync)|"
    r"barrier\.cluster\.(?:arrive|wait))|"
    r"(?P<wait>cp\.async\.wait_(?:group|all)|cp\.async\.bulk\.wait_group|"
    r"wgmma\.wait_group)|"
    r"(?P<commit>cp\.async\.commit_group|cp\.async\.bulk\.commit_group|"
    r"wgmma\.commit_group)|"
    r"(?P<fence>fence|membar|wgmma\.fence)"
    r")[\w.:]*[^;]*;"
)
# A wait on an mbarrier is a loop: it goes on when the predicate is true.
TRY_WAIT = re.compile(r"mbarrier\.(?:try|test)_wait[\w.:]*\s+([%\w$]+)\s*,[^;]*;")


@dataclasses.dataclass(frozen=True)
class Site:
    """A synchronising statement of a kernel."""

    line: int
    # barrier, wait, commit, fence or mbarrier-wait
    kind: str
    statement: str


def kernel_lines(text: str, kernel: str) -> range:
    """The lines (from 0) of a kernel's body."""
    lines = text.split("\n")
    entry = re.compile(rf"\.entry {kernel}\(")
    first = next(i for i, line in enumerate(lines) if entry.search(line))
    first = next(i for i, line in enumerate(lines[first:], first) if line == "{")
    depth = 0
    for index, line in enumerate(lines[first:], first):
        code = line.split("//")[0]
        depth += code.count("{") - code.count("}")
        if depth == 0:
            return range(first, index)
    raise ValueError(f"the body of {kernel} has no end")


def sites(text: str, kernel: str) -> list[Site]:
    """The synchronising statements of a kernel in order."""
    lines = text.split("\n")
    found = []
    for index in kernel_lines(text, kernel):
        line = lines[index]
        match = SYNC.match(line)
        statement = " ".join(line.split())
        if match:
            found.append(Site(index + 1, str(match.lastgroup), statement))
        elif TRY_WAIT.search(line):
            found.append(Site(index + 1, "mbarrier-wait", statement))
    return found


def without(text: str, site: Site) -> str:
    """The text without a statement; a wait on an mbarrier passes at once."""
    lines = text.split("\n")
    line = lines[site.line - 1]
    if site.kind == "mbarrier-wait":
        line = TRY_WAIT.sub(r"setp.eq.u32 \1, 0, 0;", line)
    else:
        line = SYNC.sub("", line)
    lines[site.line - 1] = line
    return "\n".join(lines)
