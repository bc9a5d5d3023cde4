"""Kernels in C by Clang's NVPTX target: the PTX of LLVM, not of NVVM."""

import functools
import pathlib

import numpy as np
import pytest
from foreign import clang
from foreign.clang_cases import KERNELS
from foreign.launching import run_and_check
from moe_mlir import ptx

pytestmark = pytest.mark.skipif(
    not clang.compiler(), reason="no Clang that knows NVPTX is installed"
)


@functools.cache
def module(target: str, level: str, cache: pathlib.Path) -> ptx.Module:
    return ptx.Module(clang.compile_kernels(target, level, cache))


def test_every_kernel_has_an_answer(compiled_cache: pathlib.Path) -> None:
    assert set(module("sm_80", "-O3", compiled_cache).kernels) == set(KERNELS)


@pytest.mark.parametrize("level", clang.LEVELS)
@pytest.mark.parametrize("target", clang.TARGETS)
@pytest.mark.parametrize("name", KERNELS)
def test_kernel_gives_the_answer(
    name: str, target: str, level: str, compiled_cache: pathlib.Path
) -> None:
    case = KERNELS[name](np.random.default_rng(1))
    run_and_check(module(target, level, compiled_cache), name, case)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", KERNELS)
def test_order_does_not_matter(
    name: str, seed: int, compiled_cache: pathlib.Path
) -> None:
    case = KERNELS[name](np.random.default_rng(seed))
    compiled = module("sm_90", "-O1", compiled_cache)
    run_and_check(compiled, name, case, order="random", seed=seed)
