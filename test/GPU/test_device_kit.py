"""A kit of kernels, run by ctypes and NumPy on the emulator's driver."""

from __future__ import annotations

import ctypes
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BENCHMARKS = SOURCE / "benchmarks"
#: One of each kind.
CASES = (
    "route-token-short-normal",
    "route-token-padded-quantised",
    "route-sequence-long-special",
    "route-sequence-groups-normal",
    "route-sequence-cluster-16-quantised",
    "matmul-32x128x64-s4-l8-nk",
    "matmul-128x256x64-s4-l8-kn",
    "matmul-32x128x64-s4-l8-silu",
    "matmul-f16-random",
    "combine-bf16-96-gates",
    "dispatch-f16-100",
    "elementwise-f32-7",
    "layer-bf16-sequence-T60-E6-K2-H72-I40",
)


@pytest.fixture(scope="module")
def kit(
    build_root: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """A small kit."""
    folder = tmp_path_factory.mktemp("device") / "kit"
    pattern = f"^({'|'.join(CASES)})$"
    made = subprocess.run(
        [sys.executable, "-m", "device_kit", "--output", folder, "--only", pattern,
         "--timed", "none"],
        env=os.environ | {"PYTHONPATH": f"{build_root / 'python'}:{BENCHMARKS}"},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    assert f"{len(CASES)} programs" in made.stdout
    return folder


@pytest.fixture
def copied(kit: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A kit that may be changed."""
    return pathlib.Path(shutil.copytree(kit, tmp_path / "kit"))


def run(
    kit: pathlib.Path, *options: object, driver: object = None, arch: str = "sm_90"
) -> subprocess.CompletedProcess[str]:
    """Runs a kit as on a device: nothing but the kit and NumPy is there."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    words = ["--driver", driver] if driver else []
    return subprocess.run(
        [sys.executable, kit, *words, *options],
        env=environment | {"PTX_ARCH": arch},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def emulator(build_root: pathlib.Path) -> pathlib.Path:
    return build_root / "lib" / "libptx_cuda.so"


def change(kit: pathlib.Path, case: str, number: int, at: int, value: bytes) -> None:
    """Overwrites bytes of a wanted result."""
    path = kit / "expected" / f"{case}.{number}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    assert content[at : at + len(value)] != value
    content[at : at + len(value)] = value
    path.write_bytes(gzip.compress(bytes(content)))


def wanted(kit: pathlib.Path, case: str, number: int) -> bytes:
    path = kit / "expected" / f"{case}.{number}.gz"
    return gzip.decompress(path.read_bytes())


def test_every_program_is_right(kit: pathlib.Path, emulator: pathlib.Path) -> None:
    done = run(kit, driver=emulator)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CASES)} programs right, 0 wrong, 0 skipped" in done.stdout
    for case in CASES:
        assert f"pass {case}: " in done.stdout
    assert "timing: skipped, the kit has nothing to time" in done.stdout


def test_kit_is_small_and_needs_numpy_alone(kit: pathlib.Path) -> None:
    size = sum(path.stat().st_size for path in kit.rglob("*") if path.is_file())
    assert size < 2**20
    script = (
        f"import sys; sys.path.insert(0, {str(kit)!r}); import device.__main__; "
        "print([m for m in ('moe_mlir', 'torch', 'triton', 'ml_dtypes') "
        "if m in sys.modules])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    "case", ["route-token-short-normal", "matmul-32x128x64-s4-l8-nk"]
)
def test_one_wrong_bit_is_found(
    copied: pathlib.Path, emulator: pathlib.Path, case: str
) -> None:
    last = len(wanted(copied, case, 0)) - 1
    bit = bytes([wanted(copied, case, 0)[last] ^ 1])
    change(copied, case, 0, last, bit)
    done = run(copied, "--only", case, driver=emulator)
    assert done.returncode == 1
    assert f"FAIL {case}: run 0, result 0: element" in done.stdout
    assert f"FAIL {case}: run 1, result 0: element" in done.stdout
    assert "0 programs right, 1 wrong" in done.stdout


def test_bounds(copied: pathlib.Path, emulator: pathlib.Path) -> None:
    """One step beside the value is within the bound, and counted; four are not."""
    case = "matmul-32x128x64-s4-l8-silu"
    elements = np.frombuffer(wanted(copied, case, 0), np.uint16)
    at = int(np.argmax(elements & 0x7F80 > 0x3F80))
    for steps, passes in ((1, True), (4, False)):
        moved = (elements[at] + np.uint16(steps)).tobytes()
        change(copied, case, 0, 2 * at, moved)
        done = run(copied, "--only", case, driver=emulator)
        assert done.returncode == (0 if passes else 1), done.stdout
        if passes:
            assert "bits of 1 elements differ" in done.stdout
        else:
            assert f"element {at} is " in done.stdout
            assert "one step of the type" in done.stdout


def test_older_device(kit: pathlib.Path, emulator: pathlib.Path) -> None:
    done = run(kit, driver=emulator, arch="sm_80")
    assert done.returncode == 0
    name = "matmul-128x256x64-s4-l8-kn"
    assert f"skip {name}: needs sm_90, and the device is sm_80" in done.stdout
    assert f"{len(CASES) - 2} programs right, 0 wrong, 2 skipped" in done.stdout


def test_hanging_kernel(kit: pathlib.Path, emulator: pathlib.Path) -> None:
    done = run(kit, "--minutes", "0.0001", driver=emulator)
    assert done.returncode == 1
    assert done.stdout.endswith("what hangs comes after the last line above\n")


def test_smaller_device(copied: pathlib.Path, emulator: pathlib.Path) -> None:
    """Blocks that wait for each other must all run at once."""
    manifest = json.loads((copied / "manifest.json").read_text())
    case = "route-sequence-long-special"
    program = next(p for p in manifest["checks"] if p["name"] == case)
    program["launches"][0]["grid"][0] = 133
    (copied / "manifest.json").write_text(json.dumps(manifest))
    done = run(copied, "--only", "route-sequence", driver=emulator)
    assert (
        f"skip {case}: needs 133 blocks at once, and the device has 132" in done.stdout
    )
    assert "2 programs right, 0 wrong, 1 skipped" in done.stdout


def test_only_kits_are_overwritten(
    build_root: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "mine").write_text("kept")
    made = subprocess.run(
        [sys.executable, "-m", "device_kit", "--output", tmp_path, "--timed", "none"],
        env=os.environ | {"PYTHONPATH": f"{build_root / 'python'}:{BENCHMARKS}"},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 2
    assert "is no kit" in made.stderr
    assert (tmp_path / "mine").exists()


def test_nothing_executed_is_a_failure(
    kit: pathlib.Path, emulator: pathlib.Path
) -> None:
    done = run(kit, "--only", "no-such-case", driver=emulator)
    assert done.returncode == 1
    assert "no program was executed" in done.stdout


def test_without_a_device(kit: pathlib.Path, tmp_path: pathlib.Path) -> None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        done = run(kit)
        assert done.returncode == 0
        assert done.stdout.startswith("no device: the driver cannot be loaded: ")
        assert done.stdout.endswith("nothing was tested\n")
    # A driver that is asked for must be there.
    done = run(kit, driver=tmp_path / "none.so")
    assert done.returncode == 2
    assert done.stdout.startswith("no device: ")


def test_kernel_that_fails(copied: pathlib.Path, emulator: pathlib.Path) -> None:
    """A launch with a wrong address ends the run with the driver's words."""
    manifest = json.loads((copied / "manifest.json").read_text())
    program = next(p for p in manifest["checks"] if p["name"].startswith("combine"))
    program["launches"][0]["arguments"][3][1] = 1 << 40
    (copied / "manifest.json").write_text(json.dumps(manifest))
    done = run(copied, "--only", program["name"], driver=emulator)
    assert done.returncode == 2
    assert f"FAIL {program['name']}: the driver failed" in done.stdout
    assert "failed: CUDA_ERROR_ILLEGAL_ADDRESS" in done.stderr


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("manifest.json", b"{}", "the kit is of version None"),
        ("manifest.json", b"[", "no kit: "),
        ("expected/elementwise-f32-7.0.gz", None, "No such file"),
    ],
    ids=["version", "json", "file"],
)
def test_broken_kits(
    copied: pathlib.Path,
    emulator: pathlib.Path,
    file: str,
    content: bytes | None,
    message: str,
) -> None:
    if content is None:
        (copied / file).unlink()
    else:
        (copied / file).write_bytes(content)
    done = run(copied, driver=emulator)
    assert done.returncode == 2
    assert message in done.stderr
    assert "make device-kit" in done.stderr
