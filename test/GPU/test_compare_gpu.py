"""The comparison of GPU kernels with the peer's: its rows, and what it rests on."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
if not importlib.util.find_spec("triton"):
    pytest.skip("triton is not installed", allow_module_level=True)

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import sweep_gpu  # noqa: E402 - found by the line above
from gpu import layer_rows, peer_sample  # noqa: E402
from gpu.cases import Case, all_cases  # noqa: E402
from gpu.peer import Shape, Tile  # noqa: E402
from gpu.peer_table import Table  # noqa: E402


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """A Python program: the driver that counts would slow other tests down."""
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=BENCHMARKS
    )


def test_rows_of_a_small_layer() -> None:
    made = run("compare_gpu.py", "--quick", "--jobs", "1")
    rows = {
        found[1].strip(): (float(found[2]), found[3])
        for found in re.finditer(
            r"^(\S.*?) +[<>]=? \S+(?: x)? +(\S+)(?: x)?  (pass|fail)$",
            made.stdout,
            re.M,
        )
    }
    assert rows, made.stderr
    missed = sum(result == "fail" for _, result in rows.values())
    assert made.returncode == (1 if missed else 0)
    layer = "E8 T40 zipf"
    for name in (
        "launches",
        "mma issued",
        "warps at barriers",
        "DRAM bytes (modelled)",
    ):
        assert 0 < rows[f"{layer}: {name}"][0] < 10
    for number in (1, 2):
        matmul = f"{layer} matmul {number}"
        assert rows[f"{matmul}: copies, ideal / sectors"] == (1, "pass")
        assert rows[f"{matmul}: sectors, of weights once"] == (1, "pass")
        assert rows[f"{matmul}: useful / issued mma, of ideal"] == (1, "pass")
        assert rows[f"{matmul}: ldmatrix conflicts"] == (0, "pass")
        assert 2 < rows[f"{matmul}: 128-byte lines of a copy"][0] <= 4
    loops = [value for name, value in rows.items() if "barriers a step" in name]
    assert loops == [(1, "pass")] * 2


#: Prints the counters that differ between zeros and random data.
ZEROS = """
import numpy as np
from gpu.cases import Case, zeros
from gpu.our_layer import compile_text, layer_text
from gpu.peer import BF16, Layer, Shape, Tile

shape = Shape(40, 8, 2, 256, 128)
logits = Case(shape, "zipf").logits()
random = np.random.default_rng(0)
sizes = {"x": (40, 256), "gate_up": (8, 256, 256), "down": (8, 256, 128)}

def ours(data):
    weights = {name: data[name] for name in ("gate_up", "down")}
    layer = compile_text(layer_text(shape), "sm_80", weights)
    layer.run(data["x"][None], logits[None])  # makes the memory that calls keep
    _, launches = layer.run(data["x"][None], logits[None])
    return [one.facts["counters"] for one in launches]

def theirs(data):
    tile = Tile(32, 64, 64)
    layer = Layer(shape, data["x"], logits, data["gate_up"], data["down"], (tile, tile))
    return [one.counters for one in layer.run(check=set(), counters=True)]

for run in (ours, theirs):
    made = [
        run({name: fill(size) for name, size in sizes.items()})
        for fill in (
            lambda size: zeros(size, BF16),
            lambda size: random.standard_normal(size).astype(BF16),
        )
    ]
    assert len(made[0]) == len(made[1]) >= 4
    for left, right in zip(*made):
        assert left.keys() == right.keys() and left["warp_inst"] > 0
        print(*(name for name in left if left[name] != right[name]))
"""


def test_zeros_count_as_other_data() -> None:
    made = run("-c", ZEROS)
    assert made.returncode == 0, made.stderr
    # The half of L2 and the DRAM page of a line depend on where memory lies.
    by_place = {"l2_fabric", "dram_scattered_rd"}
    assert set(made.stdout.split()) - by_place == {"mma_useful_flop"}


def test_ratio_and_bars() -> None:
    assert layer_rows.ratio(0, 0) == 1
    assert layer_rows.ratio(1, 0) == float("inf")
    case = Case(Shape(16, 64, 8, 2048, 1024), "uniform")
    weights = case.weight_bytes()
    bytes_name = "DRAM bytes (modelled)"
    assert layer_rows._bar(bytes_name, case, weights, 1.005 * weights) == 1.001
    assert layer_rows._bar(bytes_name, case, weights, 1.02 * weights) == 1
    assert layer_rows._bar("mma issued", case, 1, 1) == 1
    assert layer_rows._bar("machine instructions outside mma", case, 1, 1) == 0.4


def test_routings() -> None:
    cases = all_cases()
    assert len(cases) == 18
    for case in cases:
        rows = case.expert_rows()
        assert rows.sum() == case.shape.pairs
    uniform, zipf = (case.expert_rows().max() for case in cases[-2:])
    assert zipf > 5 * uniform


def test_sample_of_experts() -> None:
    random = np.random.default_rng(0)
    ids = random.integers(0, 40, 1000).astype(np.int32)
    whole = peer_sample.sample(ids, 64, 16, 10**6)
    assert whole.share == 1
    assert np.array_equal(np.sort(whole.pairs[whole.pairs < 1000]), np.arange(1000))
    part = peer_sample.sample(ids, 64, 16, 20)
    assert 20 <= len(part.experts) < len(whole.experts)
    assert part.share == len(part.experts) / len(whole.experts)
    assert part.pairs.size == 16 * len(part.experts)
    for block, expert in enumerate(part.experts):
        pairs = part.pairs[16 * block : 16 * block + 16]
        assert (ids[pairs[pairs < 1000]] == expert).all()
        assert (pairs < 1000).any()


def test_choice_of_tiles(tmp_path: pathlib.Path) -> None:
    a, b = Tile(32, 64, 64), Tile(32, 128, 64)
    other, large = Tile(64, 64, 64), Tile(64, 256, 128)
    found: dict[Tile, sweep_gpu.Times] = {
        a: (10.0, 9.0, 5.0),
        b: (12.0, 6.0, 5.0),
        other: (9.0, 9.5, 4.0),
        large: None,
    }
    best = sweep_gpu.choose(found)
    assert [choice.tiles for choice in best[:2]] == [(a, b), (other, other)]
    assert [choice.microseconds for choice in best] == [21, 22.5, 23, 24]
    table = Table("command", {"case": best})
    table.write(tmp_path / "table.json")
    assert Table.read(tmp_path / "table.json") == table
