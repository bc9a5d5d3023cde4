"""moe.idx.grouped_matmul as kernels: against sums in float64, under all checks."""

from __future__ import annotations

import dataclasses
import pathlib
import random

import numpy as np
import pytest
from matmul_kernels import (
    FORMS,
    Form,
    compile_program,
    launches,
    multiply,
    rounded,
)
from matmul_programs import (
    DTYPES,
    Operands,
    Program,
    expected,
    logical_weights,
    operands_of,
    random_program,
)

#: Forms with few or many stages, and with the fewest rows and columns of a warp.
ODD_FORMS = (
    Form(64, 64, 32, 16, 2, 4),
    Form(32, 64, 64, 32, 5, 4),
    Form(128, 64, 128, 32, 2, 8),
    Form(16, 128, 64, 16, 8, 8),
    Form(32, 256, 64, 32, 3, 4),
)
RANDOM_PROGRAMS = 16
MANY_RANDOM_PROGRAMS = 400


def program_of(**changes: object) -> Program:
    """A program of whole numbers, so that its result is exact."""
    sizes = {"S": 2, "T": 30, "K": 128, "N": 128, "E": 5, "R": 150, "L": 140}
    sizes |= {name: changes.pop(name) for name in list(changes) if name in sizes}
    program = Program(
        sizes=sizes,
        dtype="bf16",
        out="bf16",
        weights="one",
        layout="nk",
        gather=True,
        packed=False,
        dynamic=False,
        silu=False,
        extras=(),
        whole=True,
        seed=1,
    )
    return dataclasses.replace(program, **changes)


def silu_error(program: Program, operands: Operands) -> np.ndarray:
    """What ex2.approx and rcp.approx may add, relative to the value."""
    live, k, n = (program.sizes[letter] for letter in "LKN")
    x = operands.x.astype(np.float64).reshape(-1, k)
    rows = x[operands.row_token[:live]] if program.gather else x[:live]
    weight = logical_weights(program, operands.weights, n)[0][operands.experts]
    sums = np.einsum("rk,rnk->rn", rows, weight)
    return (6 + 1.2 * abs(sums)) * 2.0**-23


def check(
    moe_opt: pathlib.Path,
    program: Program,
    form: Form,
    operands: Operands | None = None,
    **options: object,
) -> None:
    """Compiles, executes and compares; rows that are not live stay as they were."""
    operands = operands or operands_of(program)
    kernels = compile_program(moe_opt, program, [form])
    got, _ = multiply(kernels, program, form, operands, **options)
    compare(program, form, operands, got)


def compare(program: Program, form: Form, operands: Operands, got: np.ndarray) -> None:
    """A result is the expected one, and rows that are not live are as before."""
    live = program.sizes["L"]
    values, errors = expected(program, operands)
    if program.silu:
        errors = errors + silu_error(program, operands) * abs(values)
    case = f"{program} by {form}"
    if program.whole:
        np.testing.assert_array_equal(got[:live], rounded(program, values), case)
    wrong = abs(got[:live].astype(np.float64) - values) > errors
    assert not wrong.any(), f"{case} at {np.argwhere(wrong)[0]}"
    assert got[live:].tobytes() == operands.init[live:].tobytes()


@pytest.mark.parametrize("layout", ["nk", "kn"])
@pytest.mark.parametrize("name", FORMS)
def test_forms(moe_opt: pathlib.Path, name: str, layout: str) -> None:
    """Every form, with a loop over whole steps and a rest of K."""
    form = FORMS[name]
    k = form.depth * 2 * form.stages + 24
    program = program_of(K=k, N=72, layout=layout, L=90, R=100)
    operands = operands_of(program)
    kernels = compile_program(moe_opt, program, [form])
    for seed in range(5):
        got, _ = multiply(kernels, program, form, operands, order="random", seed=seed)
        compare(program, form, operands, got)


@pytest.mark.parametrize("dtype", ["bf16", "f16"])
@pytest.mark.parametrize("layout", ["nk", "kn"])
@pytest.mark.parametrize("weights", ["concat", "interleaved", "two"])
@pytest.mark.parametrize(
    ("columns", "warp_rows"), [(64, 32), (128, 16), (256, 32)], ids=str
)
def test_outputs(
    moe_opt: pathlib.Path,
    weights: str,
    layout: str,
    dtype: str,
    columns: int,
    warp_rows: int,
) -> None:
    """Gate and up in every way that weights hold them, copied by one warp or two."""
    form = Form(32, columns, 64, warp_rows, 3, 4)
    program = program_of(K=96, N=104, R=60, L=50, weights=weights, layout=layout)
    program = dataclasses.replace(
        program, dtype=dtype, out=dtype, silu=True, whole=False
    )
    check(moe_opt, program, form)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7, 8, 63, 64, 100, 130])
@pytest.mark.parametrize("layout", ["nk", "kn"])
def test_depths(moe_opt: pathlib.Path, k: int, layout: str) -> None:
    """Any K: chunks of 16, 8 and 4 bytes, and single elements."""
    check(
        moe_opt,
        program_of(K=k, N=40, R=40, L=40, layout=layout, gather=False),
        FORMS["64x128x64"],
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 12, 33, 72, 200])
@pytest.mark.parametrize("weights", ["one", "interleaved"])
@pytest.mark.parametrize("layout", ["nk", "kn"])
def test_columns(moe_opt: pathlib.Path, n: int, weights: str, layout: str) -> None:
    """Any N, with extras of all kinds, which are read by the same columns."""
    check(
        moe_opt,
        program_of(
            K=64,
            N=n,
            R=40,
            L=37,
            layout=layout,
            weights=weights,
            extras=("row", "column", "element"),
            out="f32",
        ),
        FORMS["32x128x64"],
    )


def test_random_programs(moe_opt: pathlib.Path) -> None:
    for seed in range(RANDOM_PROGRAMS):
        check_random(moe_opt, seed)


@pytest.mark.long
def test_many_random_programs(moe_opt: pathlib.Path) -> None:
    for seed in range(RANDOM_PROGRAMS, MANY_RANDOM_PROGRAMS):
        check_random(moe_opt, seed)


def check_random(moe_opt: pathlib.Path, seed: int) -> None:
    """A random program by a random form, at a random schedule of warps."""
    draw = random.Random(seed)
    form = draw.choice([*FORMS.values(), *ODD_FORMS])
    program = dataclasses.replace(random_program(seed), packed=False)
    if program.dtype == "f32":
        program = dataclasses.replace(program, dtype=draw.choice(["bf16", "f16"]))
    if program.layout == "kn" and form.depth < 4 * form.warps:
        program = dataclasses.replace(program, layout="nk")
    check(moe_opt, program, form, order="random", seed=seed)


@pytest.mark.parametrize(
    "counts",
    [[0, 0, 0, 150], [150, 0, 0, 0], [0, 1, 0, 149], [16, 17, 15, 33], [0, 0, 0, 0]],
    ids=str,
)
def test_plans(moe_opt: pathlib.Path, counts: list[int]) -> None:
    """Experts without rows, with one row, with all rows, and around 16."""
    program = program_of(E=4, R=150, L=sum(counts), N=64)
    operands = operands_of(program)
    operands.expert_offsets = np.append(0, np.cumsum(counts)).astype(np.int32)
    draw = np.random.default_rng(0)
    operands.row_token[:] = draw.integers(0, 60, 150)
    check(moe_opt, program, FORMS["64x128x64"], operands)


def test_wrong_plans_stay_in_bounds(moe_opt: pathlib.Path) -> None:
    """Tokens and offsets that no plan has: any values, but no access outside."""
    program = program_of(E=4, R=64, L=64, N=64)
    form = FORMS["32x128x64"]
    kernels = compile_program(moe_opt, program, [form])
    operands = operands_of(program)
    operands.row_token[:] = np.resize([-1, 2**31 - 1, 60, -(2**31)], 64)
    multiply(kernels, program, form, operands)
    for offsets in ([0, 40, 10, 500, 64], [0, 0, 0, 0, 2**31 - 1], [5, 4, 3, 2, 1]):
        operands.expert_offsets = np.array(offsets, np.int32)
        multiply(kernels, program, form, operands, check={"bounds"})


def test_error_of_sums(moe_opt: pathlib.Path) -> None:
    """On data of mean zero, before rounding: RMS within 2 · sqrt(K) · 2^-24."""
    k = 1024
    program = program_of(K=k, N=64, R=64, L=64, out="f32", whole=False)
    form = FORMS["64x128x64"]
    operands = operands_of(program)
    kernels = compile_program(moe_opt, program, [form])
    got, _ = multiply(kernels, program, form, operands)
    values, _ = expected(program, operands)
    error = np.sqrt(np.mean((got - values) ** 2))
    assert error <= 2 * np.sqrt(k) * 2.0**-24 * np.sqrt(np.mean(values**2))


@pytest.mark.parametrize("dynamic", [False, True])
def test_form_by_rows_per_expert(moe_opt: pathlib.Path, dynamic: bool) -> None:
    """Known rows need one kernel; else the host launches all forms."""
    small, middle, large = (
        dataclasses.replace(FORMS[name], least=least)
        for name, least in (("32x128x64", 0), ("64x128x64", 20), ("128x128x32", 64))
    )
    program = program_of(E=5, R=150, L=150, dynamic=dynamic)
    kernels = compile_program(moe_opt, program, [small, middle, large])
    made = [name for name in kernels.module.kernels if "matmul" in name]
    if not dynamic:
        assert made == [middle.kernel]
        return
    assert sorted(made) == sorted(form.kernel for form in (small, middle, large))
    operands = operands_of(program)
    values, _ = expected(program, operands)
    for form, tiles in ((small, "tiles"), (middle, "tiles_0"), (large, "tiles_1")):
        got, _ = multiply(kernels, program, form, operands, tiles_kernel=tiles)
        np.testing.assert_array_equal(got, rounded(program, values))
    # All are launched; those that R / E does not ask for have no blocks.
    made = [name for name in launches(kernels.host) if "matmul" in name]
    assert made == [form.kernel for form in (large, middle, small)]


def test_dtypes_of_results(moe_opt: pathlib.Path) -> None:
    for out in DTYPES:
        program = program_of(N=40, R=40, L=40, out=out, weights="interleaved")
        for layout in ("nk", "kn"):
            check(
                moe_opt,
                dataclasses.replace(program, layout=layout),
                FORMS["32x128x64"],
            )
