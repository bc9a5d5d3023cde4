"""How a kit's kernels are timed: the whole way on the emulator, parts by themselves."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from device.peers import aligned_blocks
from device.table import Table
from device.timing import Graph, Times
from moe_mlir import ptx

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BENCHMARKS = SOURCE / "benchmarks"
needs_triton = pytest.mark.skipif(
    not importlib.util.find_spec("triton"), reason="the peer needs Triton"
)


@pytest.fixture(scope="module")
def kit(
    build_root: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
    triton_cache: pathlib.Path,
) -> pathlib.Path:
    """A kit of a small layer and its peer."""
    folder = tmp_path_factory.mktemp("device") / "kit"
    made = subprocess.run(
        [sys.executable, "-m", "device_kit", "--output", folder, "--timed", "small",
         "--only", "^dispatch-f32-7$"],
        env=os.environ | {"PYTHONPATH": f"{build_root / 'python'}:{BENCHMARKS}"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def run(
    kit: pathlib.Path, driver: pathlib.Path, *options: str, arch: str = "sm_90"
) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, kit, "--driver", driver, *options],
        env=environment | {"PTX_ARCH": arch},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def emulator(build_root: pathlib.Path) -> pathlib.Path:
    return build_root / "lib" / "libptx_cuda.so"


@needs_triton
def test_driver_without_graphs(kit: pathlib.Path, emulator: pathlib.Path) -> None:
    done = run(kit, emulator)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "timing: skipped, the driver has no cuStreamBeginCapture_v2" in done.stdout


@needs_triton
def test_older_device(kit: pathlib.Path, emulator: pathlib.Path) -> None:
    done = run(kit, emulator, "--without-graphs", arch="sm_80")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped: needs sm_90, and the device is sm_80" in done.stdout


@needs_triton
def test_every_contestant_is_right(kit: pathlib.Path, emulator: pathlib.Path) -> None:
    """Ours and the peer's, by mma and wgmma, compute the layer that NumPy computes."""
    done = run(kit, emulator, "--without-graphs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows: 0 bars met, 0 missed or wrong" in done.stdout
    for tokens in (16, 32):
        for contestant in ("ours", "mma", "wgmma"):
            for part in ("", ", matmul 1", ", matmul 2"):
                assert f"T{tokens}, {contestant}{part} " in done.stdout
    assert "T16, matmul 2, of the rate of reading" in done.stdout
    assert "bars: not judged" in done.stdout
    assert "left out" not in done.stdout


@needs_triton
def test_wrong_contestants_are_found(
    kit: pathlib.Path, emulator: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Ours without its second matmul, the peer by half of its columns."""
    copy = pathlib.Path(shutil.copytree(kit, tmp_path / "kit"))
    manifest = json.loads((copy / "manifest.json").read_text())
    layer = manifest["timed"]["layers"][0]
    launches = layer["programs"]["32"]["launches"]
    launches.remove([x for x in launches if x["part"] == "matmul"][1])
    for matmul in layer["peer"]["matmuls"]:
        if matmul["kind"] == "wgmma":
            matmul["columns"] *= 2
    (copy / "manifest.json").write_text(json.dumps(manifest))
    done = run(copy, emulator, "--without-graphs")
    assert done.returncode == 1
    assert "T32, ours: token 0 is off by" in done.stdout
    assert "T16, peer by wgmma: token " in done.stdout
    assert "T16, ours: " not in done.stdout
    assert "T16, peer by mma: " not in done.stdout


@needs_triton
def test_graphs(
    kit: pathlib.Path, build_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """All calls that graphs need, checked by a driver that has them; bars count."""
    driver = tmp_path / "libgraphs.so"
    folder = build_root / "lib"
    source = pathlib.Path(__file__).with_name("graph_driver.c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", source, "-o", driver, "-Wl,--no-as-needed",
         f"-L{folder}", "-l:libptx_cuda.so", f"-Wl,-rpath,{folder}", "-ldl"],
        check=True,
    )  # fmt: skip
    done = run(kit, driver)
    assert "grouped_mm left out: " in done.stdout
    assert "failed" not in done.stdout + done.stderr
    assert re.search(r"(pass|FAIL) E4 .* T16, layer over best peer ", done.stdout)
    assert re.search(r"(pass|FAIL) E4 .* T16, layer over mma peer ", done.stdout)
    rows = re.search(r"rows: (\d+) bars met, (\d+) missed or wrong", done.stdout)
    assert rows, done.stdout + done.stderr
    # Two ratios and two rates at T = 16; a bar that is missed is a failure.
    assert int(rows[1]) + int(rows[2]) == 4
    assert done.returncode == (1 if int(rows[2]) else 0)


class Recorder:
    """A driver that notes what is called."""

    stream = 7

    def __init__(self) -> None:
        self.calls: list[str] = []

    def call(self, name: str, *arguments: Any) -> None:
        self.calls.append(name)


def test_graph_holds_every_repeat() -> None:
    driver: Any = Recorder()
    graph = Graph(driver, lambda stream: driver.call(f"kernel on {stream}"), 3)
    assert driver.calls == [
        "cuStreamBeginCapture_v2",
        *["kernel on 7"] * 3,
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags",
        "cuGraphDestroy",
    ]
    driver.calls.clear()
    graph.launch()
    graph.close()
    assert driver.calls == ["cuGraphLaunch", "cuGraphExecDestroy"]


def test_capture_ends_after_a_failure() -> None:
    """Else the stream could not be used any more."""
    driver: Any = Recorder()

    def fail(_: int) -> None:
        raise ctypes.ArgumentError("no")

    with pytest.raises(ctypes.ArgumentError):
        Graph(driver, fail, 1)
    assert driver.calls == ["cuStreamBeginCapture_v2", "cuStreamEndCapture"]


def test_ratios_are_of_one_round() -> None:
    """What changes from round to round for both changes no ratio."""
    ours, theirs = Times((10.0, 40.0, 30.0)), Times((20.0, 40.0, 90.0))
    assert (ours.median, theirs.median) == (30, 40)
    assert ours.over(theirs) == 0.5


@pytest.mark.parametrize(
    ("value", "bar", "passes"),
    [(1.06, 1.06, True), (1.0601, 1.06, False), (math.nan, 1.06, False)],
)
def test_bars(value: float, bar: float, passes: bool) -> None:
    table = Table(judged=True)
    table.at_most("row", value, bar, "")
    assert table.close() == passes
    table = Table(judged=True)
    table.at_least("row", -value, -bar, "")
    assert table.close() == passes
    unjudged = Table(judged=False)
    unjudged.at_most("row", value, bar, "")
    assert unjudged.close()
    unjudged.wrong("row", "is wrong")
    assert not unjudged.close()


@pytest.mark.parametrize("rows", [16, 64])
def test_blocks_of_the_peer(rows: int) -> None:
    """Every pair lies once, in a block of its expert."""
    random = np.random.default_rng(rows)
    choices = np.argsort(random.random((33, 5)), axis=1)[:, :2]
    order, block_expert, used = aligned_blocks(choices, 5, rows)
    assert order.size == block_expert.size * rows
    assert sorted(order[order < 66]) == list(range(66))
    assert (order[used:] == 66).all()
    for place in np.flatnonzero(order < 66):
        assert choices.ravel()[order[place]] == block_expert[place // rows]


def test_reading_kernel_reads_everything_once() -> None:
    text = (BENCHMARKS / "device_kit" / "read_memory.ptx").read_text()
    steps, blocks = 3, 2
    memory = np.arange(steps * blocks * 8192, dtype=np.uint32)
    sink = np.zeros(4, np.uint32)
    result = ptx.Module(text).launch(
        "read_memory", grid=blocks, block=256, args=[memory, sink, np.uint32(steps)]
    )
    assert not result.findings
    assert result.counters["ld_sectors"] * 32 == memory.nbytes
    assert not sink.any()
