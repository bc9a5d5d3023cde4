"""The driver interface: a program built with the CUDA headers runs unchanged."""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ENTRIES = re.findall(
    r"^PTX_DRIVER_FUNCTION\((\w+), (\w+), \d+\)$",
    (HERE.parents[1] / "lib/PTX/Driver/DriverFunctions.inc").read_text(),
    re.MULTILINE,
)
#: Older symbols of a name, which programs built with these headers do not call.
OLDER = {"cuCtxCreate_v2", "cuEventElapsedTime"}


def headers() -> pathlib.Path | None:
    """The folder of cuda.h, which comes with nvcc."""
    nvcc = shutil.which("nvcc")
    candidates = [pathlib.Path("/usr/local/cuda/include")]
    if nvcc:
        candidates.insert(0, pathlib.Path(nvcc).resolve().parents[1] / "include")
    return next((path for path in candidates if (path / "cuda.h").exists()), None)


pytestmark = pytest.mark.skipif(headers() is None, reason="cuda.h is not installed")


@pytest.fixture(scope="module")
def program(
    build_root: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The program, linked with the emulator's driver in place of libcuda."""
    path = tmp_path_factory.mktemp("driver") / "program"
    library = build_root / "lib"
    command = [shutil.which("clang++-22") or "c++", "-std=c++20", "-Wall"]
    command += [f"-I{headers()}", str(HERE / "driver/program.cpp"), "-o", str(path)]
    command += [f"-L{library}", "-lptx_cuda", f"-Wl,-rpath,{library}"]
    subprocess.run(command, check=True)
    return path


def run(
    program: pathlib.Path, *args: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in environment.items()}
    return subprocess.run(
        [str(program), *args], env=variables, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program's kernels as a file."""
    text = (HERE / "driver/Kernels.h").read_text()
    path = tmp_path_factory.mktemp("kernels") / "kernels.ptx"
    path.write_text(text.split('R"(')[1].split(')"')[0])
    return str(path)


@pytest.mark.parametrize("check", ["", "all"])
def test_program(program: pathlib.Path, kernels: str, check: str) -> None:
    result = run(program, kernels, PTX_CHECK=check or "none")
    assert (result.returncode, result.stdout, result.stderr) == (
        0,
        "all calls succeeded\n",
        "",
    )


@pytest.mark.parametrize("name", sorted({name for name, _ in ENTRIES}))
def test_failure_of_each_call(program: pathlib.Path, kernels: str, name: str) -> None:
    result = run(program, kernels, PTX_FAIL=f"{name}:1:2")
    if name == "cuGetErrorName":  # the name is what could not be had
        assert (result.returncode, result.stdout) == (3, f"{name}: ?\n") or (
            result.stdout == f"{name}: CUDA_ERROR_OUT_OF_MEMORY\n"
        )
        return
    if result.returncode == 4:  # the program checks this call's own failures first
        result = run(program, kernels, PTX_FAIL=f"{name}:2:2")
    assert result.returncode == 3, (result.stdout, result.stderr)
    assert result.stdout == f"{name}: CUDA_ERROR_OUT_OF_MEMORY\n"


def test_program_calls_everything() -> None:
    text = (HERE / "driver/program.cpp").read_text()
    for name, symbol in ENTRIES:
        if symbol not in OLDER:
            assert re.search(rf"\bCALL\(\s*{name},", text), name


def test_errors_of_kernels_stay(program: pathlib.Path) -> None:
    result = run(program, "fail", "outside")
    assert result.stdout == "cuCtxSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS\n"
    assert "out-of-bounds" in result.stderr


def test_checks_by_environment(program: pathlib.Path) -> None:
    assert run(program, "fail", "racy").returncode == 0
    found = run(program, "fail", "racy", PTX_CHECK="race")
    assert found.returncode == 0
    assert "race" in found.stderr
    failed = run(program, "fail", "racy", PTX_CHECK="race", PTX_FINDINGS="error")
    assert failed.stdout == "cuCtxSynchronize: CUDA_ERROR_LAUNCH_FAILED\n"


def test_counters_of_every_launch(
    program: pathlib.Path, kernels: str, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "launches.jsonl"
    result = run(program, kernels, PTX_COUNTERS=str(path))
    assert (result.returncode, result.stderr) == (0, "")
    launches = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(launches) > 1
    for launch in launches:
        assert launch["launch"]["counters"]["warp_inst"] > 0
        assert launch["launch"]["cache_model"]
        for chip in ("h100", "a100"):
            time = launch[chip]
            assert 0 < time["lower"] <= time["point"] <= time["upper"]
            assert time["limit"] in (*time["terms"], "latency", "launch")
    refused = run(program, kernels, PTX_COUNTERS=str(tmp_path))
    assert refused.returncode == 0
    assert "cannot be written" in refused.stderr


def test_machine_code_is_refused(program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "kernels.cubin"
    path.write_bytes(b"\x7fELF\x02\x01\x01")
    result = run(program, str(path))
    assert result.stdout == "cuModuleLoad: CUDA_ERROR_NO_BINARY_FOR_GPU\n"


def test_newer_code_than_the_device(program: pathlib.Path) -> None:
    result = run(program, PTX_ARCH="sm_75")
    assert result.returncode == 3
    assert "CUDA_ERROR_NO_BINARY_FOR_GPU" in result.stdout
