"""The table of docs/families.md: what becomes of every family that has experts.

usage: python test/python/family_table.py [--check] [FAMILY...]

Imports, compiles and runs a small block of each family (minutes). Without --check
the page is written; with it, the exit status is 1 where it would change.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import re
import sys
import warnings
from typing import Any, NamedTuple

import family_blocks
import moe_mlir
import numpy as np
import oracle
import torch
import transformers
from family_blocks import Family
from moe_mlir.errors import MoEError
from moe_mlir.torch.adapters import Adapter, find_adapter
from moe_mlir.torch.blocks import evaluation_mode, find_blocks
from torch import Tensor, nn

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "families.md"
HEAD = (
    "| family | block | status | router, or what is in the way |\n|---|---|---|---|\n"
)
_TOLERANCE = 5e-5
_SIZES = ((3, 7), (1, 33))
_STATIC = "static sizes only, torch.export cannot prove its reshapes otherwise"


class Row(NamedTuple):
    """One line of the table."""

    family: str
    block: str
    status: str
    words: str

    def __str__(self) -> str:
        words = re.sub(r"\s+", " ", self.words).replace("|", "/")
        block = f"`{self.block}`" if self.block else ""
        return f"| {self.family} | {block} | {self.status} | {words} |\n"


def adapted_row(family: Family) -> Row:
    """What the search for a recipe says, without an export."""
    try:
        block = family_blocks.small_block(family)
    except LookupError:
        words = "no class of it makes a module of experts that could be found"
        return Row(family.name, "", "refused", words)
    name = type(block).__name__
    with evaluation_mode(block):
        found = [(one, find_adapter(one)) for one in find_blocks(block)]
    adapters = [adapter for _, adapter in found if isinstance(adapter, Adapter)]
    if not adapters:
        reasons = (f"{type(one.experts).__name__} {why}" for one, why in found)
        words = "; ".join(dict.fromkeys(reasons))
        return Row(family.name, name, "refused", _tidy(words))
    match = adapters[0].match
    if match.recipe is None:
        return Row(family.name, name, "plain", _tidy(match.reason))
    return Row(family.name, name, "raised", str(match.recipe))


def _tidy(words: str) -> str:
    """No paths of this machine, not more than a line or two."""
    words = re.sub(r"\(its modules: .*?\)", "", words)
    words = re.sub(r"/\S+/", "", words).split("\n")[0].strip()
    return words if len(words) < 260 else words[:260].rsplit(" ", 1)[0] + " ..."


def first(result: Any) -> Tensor:
    return result[0] if isinstance(result, tuple) else result


def executed_row(family: Family) -> Row:
    """The row of a family whose block was imported, compiled and compared.

    Raises:
        AssertionError: A compiled block differs from what it should compute.
    """
    row = adapted_row(family)
    if not row.block or (row.status == "plain" and "by itself" in row.words):
        return row
    block = family_blocks.small_block(family)
    x = torch.randn(3, 7, family_blocks.H)
    sizes_run = _SIZES
    try:
        model = moe_mlir.from_torch(block, (x,))
    except MoEError as error:
        if row.status == "refused":
            assert row.words.split(";")[0].split(" ")[0] in str(error)
            return row
        message = str(error).removeprefix("from_torch: ").removeprefix("layer 'moe': ")
        if "Constraints violated" not in message:
            return row._replace(status="refused", words=_tidy(message.split(";")[0]))
        model = moe_mlir.from_torch(block, (x,), dynamic_shapes={})
        sizes_run = _SIZES[:1]
        row = row._replace(words=f"{row.words}; {_STATIC}")
    assert row.status != "refused", f"{row.family} is refused and yet imported"
    assert {layer["status"] for layer in model.report["layers"]} == {row.status}, row
    token = model.compile()
    raised = row.status == "raised"
    sequence = model.with_scope("sequence").compile() if raised else None
    for sizes in sizes_run:
        x = torch.randn(*sizes, family_blocks.H)
        with torch.no_grad():
            _compare(row, "token", first(token(x)), first(block(x)))
            if sequence is not None:
                want = in_sequence_scope(block, x)
                _compare(row, "sequence", first(sequence(x)), want)
    return row


def _compare(row: Row, scope: str, have: Tensor, want: Tensor) -> None:
    difference = (have - want).abs().max() / want.abs().max()
    assert difference <= _TOLERANCE, f"{row.family} in {scope} scope: {difference:.2g}"


@torch.no_grad()
def in_sequence_scope(block: Any, x: Tensor) -> Tensor:
    """The block's own code, its experts weighted by the NumPy oracle's gates.

    Every expert is called for every token, with weights most of which are zero.
    """
    (adapter,) = (
        found
        for found in map(find_adapter, find_blocks(block))
        if isinstance(found, Adapter)
    )
    recipe, scores = adapter.match.recipe, adapter.match.dense_scores
    assert recipe is not None
    values = {**dict(block.named_parameters()), **dict(block.named_buffers())}
    bias = values[recipe.bias].float().reshape(-1).numpy() if recipe.bias else None
    gates: list[Tensor] = []
    count = adapter.experts.count

    def note(module: Any, args: Any, result: Any) -> Any:
        logits = recipe.source.read(result).float().reshape(*x.shape[:2], -1).numpy()
        plan = oracle.route(
            logits, scope="sequence", choice_bias=bias, **recipe.options
        )
        dense = np.zeros((x.shape[0] * x.shape[1], count), np.float32)
        for e in range(count):
            rows = slice(plan.expert_offsets[e], plan.expert_offsets[e + 1])
            dense[plan.row_token[rows], e] = plan.gates[rows]
        gates[:] = [torch.from_numpy(dense)]
        if scores is None:
            return None
        replaced = list(result)
        replaced[scores.position] = gates[0]
        return tuple(replaced)

    original = adapter.block.experts.forward

    def every(hidden: Tensor, *rest: Any) -> Tensor:
        index = torch.arange(count).expand(gates[0].shape[0], count)
        return original(hidden, index, gates[0])

    shown: nn.Module = block.get_submodule(recipe.source.module)
    with contextlib.ExitStack() as undo:
        undo.callback(shown.register_forward_hook(note).remove)
        if scores is None:
            adapter.block.experts.forward = every
            undo.callback(adapter.block.experts.__dict__.pop, "forward")
        return first(block(x))


def table(rows: list[Row]) -> str:
    return HEAD + "".join(map(str, rows))


def counts(rows: list[Row]) -> str:
    by = {kind: sum(r.status == kind for r in rows) for kind in ("raised", "plain")}
    return (
        f"{len(rows)} families of transformers {transformers.__version__}: "
        f"{by['raised']} raised, {by['plain']} plain, "
        f"{len(rows) - sum(by.values())} refused."
    )


def page(text: str, rows: list[Row]) -> str:
    """The page with the table between its markers replaced."""
    begin, end = "<!-- table -->\n", "<!-- end of table -->"
    head, rest = text.split(begin)
    body = f"{counts(rows)}\n\n{table(rows)}\n"
    return head + begin + body + end + rest.split(end)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("families", nargs="*")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = []
    for family in family_blocks.families():
        if options.families and family.name not in options.families:
            continue
        rows.append(executed_row(family))
        print(rows[-1], end="", flush=True)
    print(counts(rows))
    if options.families:
        return
    before = PAGE.read_text()
    after = page(before, rows)
    if options.check:
        sys.exit(before != after)
    PAGE.write_text(after)


if __name__ == "__main__":
    main()
