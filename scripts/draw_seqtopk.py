"""Draws docs/images/seqtopk.svg: the same scores under token and sequence scope.

usage: python scripts/draw_seqtopk.py > docs/images/seqtopk.svg

The choice is computed here from the logits below, by the rule of docs/routing.md.
"""

import math
import sys

K = 2
TOKENS = ("The", "capital", "of", "Burkina", "Faso", "is")
# Logits of six tokens over eight experts: some tokens are easy (one expert stands
# out), some are not.
LOGITS = (
    (5.1, 0.2, 0.6, -0.3, 0.1, 0.4, -0.8, 0.0),
    (0.4, 1.9, 0.2, 1.6, -0.5, 1.3, 0.1, 0.9),
    (0.3, -0.4, 4.6, 0.1, 0.5, -0.2, 0.0, 0.7),
    (0.2, 1.4, 0.6, 1.7, 1.5, -0.3, 1.6, 0.1),
    (1.2, 0.1, -0.2, 0.3, 1.8, 0.4, 1.9, 1.0),
    (0.0, 0.5, 0.2, -0.6, 0.3, 4.9, 0.1, -0.1),
)
CELL, GAP, LEFT, TOP = 34, 176, 84, 96
INK, MUTED, CHOSEN = "#1f2430", "#6b7280", "#c2410c"

Pairs = set[tuple[int, int]]


def softmax(row: tuple[float, ...]) -> list[float]:
    """The scores of one token."""
    largest = max(row)
    powers = [math.exp(value - largest) for value in row]
    return [power / sum(powers) for power in powers]


def best(scores: list[list[float]], tokens: range, count: int) -> Pairs:
    """The `count` best pairs of some tokens; ties to the lower token and expert."""
    pairs = [(t, e) for t in tokens for e in range(len(scores[0]))]
    return set(sorted(pairs, key=lambda pair: -scores[pair[0]][pair[1]])[:count])


def text(x: float, y: float, words: str, size: int = 14, **style: str) -> str:
    """A line of text."""
    attributes = {"fill": INK, "text-anchor": "middle"} | {
        name.replace("_", "-"): value for name, value in style.items()
    }
    written = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" {written}>{words}</text>'


def cell(x: float, y: float, score: float, chosen: bool) -> str:
    """One score: the darker the larger, framed if its pair is chosen."""
    shade = f"{0.06 + 0.94 * math.sqrt(score):.2f}"
    frame = f'stroke="{CHOSEN}" stroke-width="3"' if chosen else 'stroke="none"'
    return (
        f'<rect x="{x + 3:g}" y="{y + 3:g}" width="{CELL - 6}" height="{CELL - 6}" '
        f'rx="4" fill="#2563eb" fill-opacity="{shade}" {frame}/>'
    )


def panel(
    left: float, title: str, rule: str, scores: list[list[float]], chosen: Pairs
) -> list[str]:
    """One matrix of scores with its title and the number of experts per token."""
    experts = len(scores[0])
    middle = left + experts * CELL / 2
    end = left + experts * CELL
    parts = [
        text(middle, 30, title, 18, font_weight="bold"),
        text(middle, 54, rule, 14, fill=MUTED),
        text(end + 44, TOP - 10, "experts", 13, fill=MUTED),
    ]
    for e in range(experts):
        parts.append(text(left + (e + 0.5) * CELL, TOP - 10, f"e{e}", 13, fill=MUTED))
    for t, row in enumerate(scores):
        y = TOP + t * CELL
        parts.append(text(left - 10, y + 22, TOKENS[t], text_anchor="end"))
        for e, score in enumerate(row):
            parts.append(cell(left + e * CELL, y, score, (t, e) in chosen))
        count = sum(token == t for token, _ in chosen)
        parts.append(text(end + 44, y + 22, str(count), 16, font_weight="bold"))
    total = text(end + 44, TOP + len(scores) * CELL + 24, f"= {len(chosen)}", 15)
    return [*parts, total]


def draw() -> str:
    """The picture as SVG."""
    scores = [softmax(row) for row in LOGITS]
    count = len(scores)
    token: Pairs = set().union(
        *(best(scores, range(t, t + 1), K) for t in range(count))
    )
    sequence = best(scores, range(count), K * count)
    panel_width = len(scores[0]) * CELL
    width = LEFT + 2 * panel_width + GAP + 90
    height = TOP + count * CELL + 44
    rules = (f"each token: its {K} best", f"the sequence: its {K * count} best")
    parts = [
        *panel(LEFT, "scope = token", rules[0], scores, token),
        *panel(
            LEFT + panel_width + GAP, "scope = sequence", rules[1], scores, sequence
        ),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" role="img">\n'
        "<title>The same scores and the same number of pairs, chosen per token and "
        "per sequence</title>\n"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
    )
    return head + "\n".join(parts) + "\n</svg>\n"


if __name__ == "__main__":
    sys.stdout.write(draw())
