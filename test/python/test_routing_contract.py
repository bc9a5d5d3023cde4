"""docs/routing.md names tests that exist, and counts that are true."""

import pathlib
import re

import routing_cases as cases

DOCUMENT = "docs/routing.md"
GTEST = re.compile(r"^TEST(?:_P)?\((\w+), (\w+)\)", re.MULTILINE)
PYTEST = re.compile(r"^def (test_\w+)", re.MULTILINE)


def test_named_tests_exist(source_root: pathlib.Path) -> None:
    text = (source_root / DOCUMENT).read_text()
    sources = [p.read_text() for p in (source_root / "test/unit/Routing").glob("*.cpp")]
    suites = {suite for s in sources for suite, _ in GTEST.findall(s)}
    known = {f"{suite}.{name}" for s in sources for suite, name in GTEST.findall(s)}
    here = pathlib.Path(__file__).parent
    for path in here.glob("test_*.py"):
        known.update(PYTEST.findall(path.read_text()))
    named = re.findall(r"`((?:[A-Z]\w+\.[A-Z*]|test_\w)\w*)`", text)
    assert len(named) > 100
    for name in named:
        if name.endswith(".*"):
            assert name[:-2] in suites, name
        else:
            assert name in known, name


def test_every_contract_line_names_a_test(source_root: pathlib.Path) -> None:
    """Rows that begin with a number such as 3.7."""
    lines = (source_root / DOCUMENT).read_text().splitlines()
    rows = [line for line in lines if re.match(r"\| \d+\.\d+ \|", line)]
    assert len(rows) > 60
    for row in rows:
        shown_by = row.rstrip(" |").rsplit(" | ", 1)[1]
        assert shown_by == "as above" or "`" in shown_by, row


def test_counts(source_root: pathlib.Path) -> None:
    text = (source_root / DOCUMENT).read_text()
    small = sum(len(cases.pairwise_variants(e)) for e in cases.SMALL_EXPERTS)
    large = sum(len(cases.pairwise_variants(e)) for e in cases.LARGE_EXPERTS)
    cores = sum(len(cases.legal_cores(e)) for e in cases.SMALL_EXPERTS)
    assert small <= 300
    assert large >= 200
    assert f"| {small} variants:" in text
    assert f"{cases.RANDOM_INPUTS * large:,} over {large} variants" in text
    assert f"all {cores:,} combinations" in text
