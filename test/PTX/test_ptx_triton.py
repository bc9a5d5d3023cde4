"""Triton's kernels give the answers that NumPy gives, with all checks on."""

import functools
import importlib.util
import pathlib
from typing import Any

import numpy as np
import pytest
from foreign.launching import NO_CHECKS, launch, run_and_check
from moe_mlir import ptx

if not importlib.util.find_spec("triton"):
    pytest.skip("triton is not installed", allow_module_level=True)

from foreign import triton_cases  # noqa: E402 - needs triton
from foreign.case import Case  # noqa: E402
from foreign.triton_cases import KERNELS, Compiled  # noqa: E402

SCHEDULES = 20


@functools.cache
def module(name: str, sm: int) -> tuple[ptx.Module, Compiled]:
    compiled = triton_cases.compile_kernel(KERNELS[name], sm)
    return ptx.Module(compiled.ptx, f"{name} for sm_{sm}"), compiled


def prepare(case: Case, compiled: Compiled) -> Case:
    """Gives a case what the compiler decided: block, shared memory, scratch."""
    case.block = (compiled.threads, 1, 1)
    case.shared = compiled.shared
    if compiled.scratch:
        programs = int(np.prod(case.grid))
        case.args = [*case.args, np.zeros(compiled.scratch * programs, np.uint8)]
    return case


def variants() -> list[Any]:
    """(kernel, architecture); every other kernel for sm_80 first, the rest is long."""
    result = []
    for index, (name, kernel) in enumerate(KERNELS.items()):
        chosen = 90 if index % 2 or kernel.sm == 90 else 80
        for sm in (80, 90):
            if sm >= kernel.sm:
                marks = [] if sm == chosen else [pytest.mark.long]
                result.append(pytest.param(name, sm, marks=marks, id=f"{name}-{sm}"))
    return result


@pytest.mark.parametrize(("name", "sm"), variants())
def test_kernel_gives_the_answer(
    name: str, sm: int, triton_cache: pathlib.Path
) -> None:
    text, compiled = module(name, sm)
    case = prepare(KERNELS[name].case(), compiled)
    run_and_check(text, compiled.kernel, case)


@pytest.mark.long
@pytest.mark.parametrize(("name", "sm"), variants())
def test_order_does_not_matter(name: str, sm: int, triton_cache: pathlib.Path) -> None:
    text, compiled = module(name, sm)
    for seed in range(1, SCHEDULES + 1):
        case = prepare(KERNELS[name].case(), compiled)
        options = {"order": "random", "seed": seed}
        result = launch(text, compiled.kernel, case, NO_CHECKS, **options)
        assert not result.findings, f"seed {seed}: {result.findings[0]}"
        case.check(result.log)
