"""Every call of the driver fails once: a clear error, nothing lost, alive after it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent

#: Of every function that the runtime calls, the error with which it fails. Those that
#: give something back are called where nobody can be told.
TOLD = {
    "cuInit": 100,
    "cuDriverGetVersion": 1,
    "cuDeviceGetCount": 3,
    "cuDeviceGet": 101,
    "cuDeviceGetName": 1,
    "cuDeviceGetAttribute": 1,
    "cuDevicePrimaryCtxRetain": 2,
    "cuCtxPushCurrent": 201,
    "cuModuleLoadDataEx": 218,
    "cuModuleGetFunction": 500,
    "cuFuncGetAttribute": 1,
    "cuFuncSetAttribute": 1,
    "cuMemAlloc": 2,
    "cuMemcpyHtoDAsync": 1,
    "cuMemcpyDtoHAsync": 719,
    "cuLaunchKernel": 701,
    "cuStreamSynchronize": 700,
}


def run(fail: str) -> dict:
    """What one process says that tries again until nothing fails."""
    made = subprocess.run(
        [sys.executable, str(HERE / "failing_calls.py")],
        env=os.environ | {"PTX_FAIL": fail},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert made.returncode == 0, made.stderr
    result: dict = json.loads(made.stdout)
    return result


@pytest.fixture(scope="module")
def outcome() -> dict:
    """Each function fails at several of its calls."""
    entries = [f"{name}:{n}:{code}" for name, code in TOLD.items() for n in (1, 2, 3)]
    # Asked for while a failure is explained.
    entries.append("cuMemGetInfo:1:1")
    return run(",".join(entries))


@pytest.mark.parametrize("name", sorted(TOLD))
def test_failure_is_told(outcome: dict, name: str) -> None:
    messages = [m for m in outcome["messages"] if m.startswith(f"{name} failed: ")]
    assert messages, f"no failure of {name} among {outcome['messages']}"
    assert all("CUDA_ERROR_" in message for message in messages), messages


def test_every_failure_is_one_of_the_driver(outcome: dict) -> None:
    names = {message.split(" failed: ")[0] for message in outcome["messages"]}
    assert names == set(TOLD)


def test_it_works_at_last(outcome: dict) -> None:
    assert outcome["right"]


def test_nothing_is_lost(outcome: dict) -> None:
    assert outcome["lost_bytes"] == 0
    assert outcome["lost_contexts"] == 0
    assert outcome["still_active"] == 0


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("cuMemAlloc", 2, ["bytes were asked for, and", "free", "pass fewer tokens"]),
        ("cuLaunchKernel", 719, ["kernel 'combine'", "PTX_CHECK=all"]),
        ("cuModuleLoadDataEx", 222, ["install a newer driver"]),
        ("cuInit", 100, ['use target="emulator" or target="cpu"']),
        ("cuModuleGetFunction", 500, ["kernel 'combine'"]),
    ],
)
def test_message_says_what_to_do(name: str, code: int, words: list[str]) -> None:
    (message,) = run(f"{name}:1:{code}")["messages"]
    for word in words:
        assert word in message


def test_errors_without_a_name() -> None:
    """The functions that would explain an error fail, too."""
    (message,) = run("cuMemAlloc:1:2,cuGetErrorName:1:1,cuGetErrorString:1:1")[
        "messages"
    ]
    assert message.startswith("cuMemAlloc failed: error 2; ")


def test_failures_of_giving_back() -> None:
    outcome = run("cuCtxPopCurrent:1:1,cuCtxPopCurrent:5:1,cuModuleUnload:9:1")
    assert outcome["messages"] == []
    assert outcome["right"]
    assert (outcome["lost_contexts"], outcome["lost_bytes"]) == (0, 0)
