"""docs/families.md says what the importer does now."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import family_blocks
import family_table
import pytest
import torch
from moe_mlir.torch.adapters import Adapter, find_adapter
from moe_mlir.torch.blocks import find_blocks

torch.set_num_threads(1)


def written() -> dict[str, family_table.Row]:
    """The rows of the page, by family."""
    found = {}
    for line in family_table.PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[2] in ("raised", "plain", "refused"):
            row = family_table.Row(cells[0], cells[1].strip("`"), *cells[2:])
            found[row.family] = row
    return found


def test_the_table_is_about_the_families_that_are_installed() -> None:
    rows = written()
    assert list(rows) == [family.name for family in family_blocks.families()]
    assert family_table.counts(list(rows.values())) in family_table.PAGE.read_text()
    assert len(rows) > 60


def test_the_recipes_are_those_that_are_found_now() -> None:
    """All families, without an export; what an export refuses is for the long test."""
    rows = written()
    for family in family_blocks.families():
        row, now = rows[family.name], family_table.adapted_row(family)
        assert row.block == now.block
        if row.status == "refused" and now.status != "refused":
            assert not row.words.startswith(now.words)
            continue
        assert row.status == now.status, (row, now)
        assert row.words.startswith(str(now).split("|")[4].strip()), (row, now)


@pytest.mark.long
def test_every_family_is_executed_and_the_page_is_what_that_gives(
    build_root: pathlib.Path,
) -> None:
    done = subprocess.run(
        [sys.executable, family_table.__file__, "--check"],
        env={"PYTHONPATH": str(build_root / "python"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_capacity_is_noticed_although_few_tokens_reach_it() -> None:
    """The library's default has room for 64 tokens of an expert."""
    by_name = {family.name: family for family in family_blocks.families()}
    block = family_blocks.small_block(by_name["switch_transformers"])
    block.router.expert_capacity = 64
    (found,) = map(find_adapter, find_blocks(block))
    assert isinstance(found, Adapter) and not found.raised


def test_an_unknown_score_function_is_named() -> None:
    by_name = {family.name: family for family in family_blocks.families()}
    block = family_blocks.small_block(by_name["olmoe"])
    block.gate.scoring_func = "entmax"
    (found,) = map(find_adapter, find_blocks(block))
    assert isinstance(found, Adapter)
    assert "its score function 'entmax' is none of softmax, sigm" in found.match.reason
