"""Generated grouped matmuls against sums in float64, on every level of x86-64.

Operands, and what compiled code allocates, end before inaccessible pages, so that an
access out of bounds faults.
"""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cpu_levels import host_flags
from guarded import guarded
from matmul_programs import (
    DTYPES,
    Operands,
    Program,
    expected,
    operands_of,
    random_program,
)
from moe_mlir import _moe

PROGRAMS = 15
MANY_PROGRAMS = 200


def compile_program(program: Program, cpu: str) -> bytes:
    module = _moe.Module.parse(program.text(), "program.mlir")
    module.run(f"moe-cpu-pipeline{{cpu={cpu}}}")
    code = module.object(cpu)
    _moe.check_symbols(code)
    return code


def execute(
    program: Program, operands: Operands, code: bytes, cpu: str, threads: int = 1
) -> npt.NDArray[Any]:
    """The result in [R, N]."""
    executable = _moe.Executable(code, cpu, threads, guard="end")
    arguments = [operands.x, operands.expert_offsets]
    arguments += [operands.row_token] * program.gather
    if program.packed:
        # A packed weight comes after all other arguments.
        results = [(DTYPES[program.dtype], 4)]
        packed = executable.call("main.pack.0", operands.weights, results)
        arguments += [*operands.extras, operands.init, guarded(packed[0])]
    else:
        arguments += [*operands.weights, *operands.extras, operands.init]
    return executable.call("main", arguments, [(DTYPES[program.out], 2)])[0]


def check(program: Program, cpu: str) -> None:
    operands = operands_of(program)
    got = execute(program, operands, compile_program(program, cpu), cpu)
    live = program.sizes["L"]
    values, errors = expected(program, operands)
    if program.whole:
        np.testing.assert_array_equal(
            got[:live], values.astype(DTYPES[program.out]), str(program)
        )
    wrong = abs(got[:live].astype(np.float64) - values) > errors
    assert not wrong.any(), f"{program} at {np.argwhere(wrong)[0]}"


def test_random_programs(level: str) -> None:
    for seed in range(PROGRAMS):
        check(random_program(seed), level)


@pytest.mark.long
def test_many_random_programs(level: str) -> None:
    for seed in range(MANY_PROGRAMS):
        check(random_program(seed), level)


def random_schedule(seed: int, level: str, dtype: str) -> str:
    """A schedule that a level can run: tiles of other sizes than the chosen ones."""
    draw = random.Random(seed)
    products = {"x86-64": ["mul_add"], "x86-64-v2": ["mul_add"]}
    product = draw.choice(products.get(level, ["mul_add", "fma"]))
    vector, rows = draw.choice([4, 8, 16]), draw.choice([1, 2, 3, 5, 7, 8])
    if level == "host" and dtype == "bf16" and "avx512_bf16" in host_flags():
        product, vector = "bf16_dot", 16
    return (
        f"#moe.schedule<target = cpu, vector = {vector}, rows = {rows}, "
        f"vectors = {draw.choice([2, 4, 6])}, row_block = {rows * draw.randint(1, 4)}, "
        f"product = {product}, prefetch = {draw.choice(['true', 'false'])}>"
    )


def check_schedules(level: str, count: int) -> None:
    for seed in range(1000, 1000 + count):
        program = random_program(seed)
        schedule = random_schedule(seed, level, program.dtype)
        check(dataclasses.replace(program, schedule=schedule), level)


def test_random_schedules(level: str) -> None:
    check_schedules(level, PROGRAMS)


@pytest.mark.long
def test_many_random_schedules(level: str) -> None:
    check_schedules(level, MANY_PROGRAMS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_errors_do_not_add_up(level: str, dtype: str) -> None:
    """The errors of zero-mean sums cancel: far below the bound of each sum."""
    sizes = {"S": 1, "T": 40, "N": 70, "E": 3, "R": 40, "L": 40}
    for depth in (17, 256, 1500):
        program = Program(
            sizes={**sizes, "K": depth},
            dtype=dtype,
            out="f32",
            weights="one",
            layout="nk",
            gather=False,
            packed=True,
            dynamic=False,
            silu=False,
            extras=(),
            whole=False,
            seed=depth,
        )
        operands = operands_of(program)
        got = execute(program, operands, compile_program(program, level), level)
        values, _ = expected(program, operands)
        error, size = (np.sqrt(np.mean(v**2)) for v in (got - values, values))
        assert error <= 2 * depth**0.5 * 2.0**-24 * size, depth


def test_threads_do_not_change_a_bit() -> None:
    for seed in range(4):
        program = random_program(seed)
        operands = operands_of(program)
        code = compile_program(program, "host")
        live = program.sizes["L"]
        one, two = (
            execute(program, operands, code, "host", threads)[:live].tobytes()
            for threads in (1, 2)
        )
        assert one == two, program


@pytest.mark.parametrize(("cpu", "fused"), [("x86-64", False), ("x86-64-v3", True)])
def test_products_are_fused_where_the_cpu_can(cpu: str, fused: bool) -> None:
    # Neither left to the code generator (fmuladd) nor a call of fmaf.
    program = dataclasses.replace(random_program(0), dtype="f32", out="f32")
    module = _moe.Module.parse(program.text(), "program.mlir")
    module.run(f"moe-cpu-pipeline{{cpu={cpu}}}")
    text = module.llvm_ir(cpu)
    assert ("llvm.fma." in text) == fused
    assert "fmuladd" not in text
