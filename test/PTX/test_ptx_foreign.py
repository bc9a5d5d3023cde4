"""Kernels compiled by nvcc give the answers that NumPy gives, with all checks on."""

import functools
import pathlib

import pytest
from foreign import nvcc
from foreign.kernels import KERNELS, Kernel
from foreign.launching import NO_CHECKS, launch, run_and_check, same_arrays
from moe_mlir import ptx

pytestmark = pytest.mark.skipif(not nvcc.compiler(), reason="nvcc is not installed")
SCHEDULES = 20


@functools.cache
def module(source: str, target: str, level: str, cache: pathlib.Path) -> ptx.Module:
    """The PTX of a source file; kept, since a file holds several kernels."""
    text = nvcc.compile_source(source, target, level, cache)
    return ptx.Module(text, f"{source} for {target} at {level}")


def targets(kernel: Kernel) -> list[str]:
    return ["sm_90a"] if kernel.sm == 90 else ["sm_80", "sm_90"]


def variants() -> list[object]:
    """(kernel, target, level); the others are long."""
    result = []
    for name, kernel in KERNELS.items():
        for target in targets(kernel):
            for level in nvcc.LEVELS if kernel.unoptimised else ["O3"]:
                sample = (target, level) in SAMPLE
                marks = [] if sample else [pytest.mark.long]
                names = name, target, level
                result.append(pytest.param(*names, marks=marks, id="-".join(names)))
    return result


SAMPLE = {("sm_80", "O3"), ("sm_90", "O0"), ("sm_90a", "O3"), ("sm_90a", "O0")}


@pytest.mark.parametrize(("name", "target", "level"), variants())
def test_kernel_gives_the_answer(
    name: str, target: str, level: str, compiled_cache: pathlib.Path
) -> None:
    kernel = KERNELS[name]
    text = module(kernel.source, target, level, compiled_cache)
    run_and_check(text, name, kernel.case())


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(
    "schedules", [2, pytest.param(SCHEDULES, marks=pytest.mark.long)]
)
def test_order_does_not_matter(
    name: str, schedules: int, compiled_cache: pathlib.Path
) -> None:
    """Random schedules: the answer is right; without tolerance it is the same."""
    kernel = KERNELS[name]
    text = module(kernel.source, targets(kernel)[-1], "O3", compiled_cache)
    first = None
    for seed in range(1, schedules + 1):
        case = kernel.case()
        result = launch(text, name, case, NO_CHECKS, order="random", seed=seed)
        assert not result.findings, f"seed {seed}: {result.findings[0]}"
        case.check(result.log)
        if case.tolerance == (0, 0):
            first = first or case.arrays()
            assert same_arrays(first, case.arrays()), f"seed {seed}"


def kernels_with_sample(sample: str) -> list[object]:
    """All kernels; those without `sample` in their name are long."""
    return [
        pytest.param(name, marks=() if sample in name else pytest.mark.long)
        for name in KERNELS
    ]


@pytest.mark.parametrize("name", kernels_with_sample("wgmma"))
def test_other_data_and_modes(name: str, compiled_cache: pathlib.Path) -> None:
    """Other data, early completion, two threads, counters on."""
    kernel = KERNELS[name]
    text = module(kernel.source, targets(kernel)[0], "O3", compiled_cache)
    run_and_check(text, name, kernel.case(seed=2), completion="earliest")
    run_and_check(text, name, kernel.case(seed=3), check=NO_CHECKS, threads=2)
    run_and_check(text, name, kernel.case(seed=4), check=NO_CHECKS, cache_model=True)


def lower_levels() -> list[object]:
    """(kernel, level of the CPU) below the best; most are long."""
    return [
        pytest.param(name, level, marks=marks, id=f"{name}-{level}")
        for index, name in enumerate(KERNELS)
        for level in ("avx2", "baseline")
        for marks in [() if index % 6 == 0 else pytest.mark.long]
    ]


@pytest.mark.parametrize(("name", "level"), lower_levels())
def test_lower_cpus_give_the_answer(
    name: str,
    level: str,
    compiled_cache: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a CPU without AVX-512, or without AVX2, executes gives the same."""
    monkeypatch.setenv("PTX_CPU", level)
    kernel = KERNELS[name]
    target = targets(kernel)[-1]
    # Handlers are chosen when a module is loaded: not one that is kept.
    text = nvcc.compile_source(kernel.source, target, "O3", compiled_cache)
    run_and_check(ptx.Module(text), name, kernel.case(), check=NO_CHECKS)
