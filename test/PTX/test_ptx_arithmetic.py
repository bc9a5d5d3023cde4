"""Each lane-wise form of the table against its definition in exact arithmetic."""

import functools
import itertools
import zlib

import numpy as np
import pytest
from arithmetic import conversions, inputs, meaning
from arithmetic.kernels import (
    Batch,
    memory_bytes,
    result_types,
    source_types,
    targets_of,
    to_integers,
)
from arithmetic.rows import WIDTHS, Row, lane_wise

COUNT = 32
#: The tables of lop3 that a form is run with.
TABLE = 0x96


def opcodes() -> list[str]:
    return sorted({row.opcode for row in lane_wise()})


def array_of(values: list[int], type_name: str) -> np.ndarray:
    size = memory_bytes(type_name)
    text = b"".join(value.to_bytes(size, "little") for value in values)
    return np.frombuffer(text, np.uint8).reshape(-1, size).copy()


def masked(values: list[int], types: list[str]) -> list[int]:
    return [v & ((1 << WIDTHS[t]) - 1) for v, t in zip(values, types, strict=True)]


def expected(row: Row, values: list[int]) -> list[int]:
    """The exact results, as wide as their types."""
    args = list(values)
    if meaning.uses_carry(row):
        *args, flag = args
        got = meaning.results(row, args, int(flag != 0))
        # The flag is read by an addc afterwards.
        return masked(got, result_types(row))
    if any(o.kind == "imm" for o in row.sources):
        args.insert(3, TABLE)
    got = [int(x) for x in meaning.results(row, args)]
    return masked(got, result_types(row))


def check(batch: Batch, index: int, row: Row, count: int) -> str | None:
    """Runs a form; None, or what is wrong with it."""
    types = source_types(row)
    rows = inputs.samples(types, count, row.name)
    columns = [
        array_of([r[k] for r in rows], type_name) for k, type_name in enumerate(types)
    ]
    outputs = [to_integers(x) for x in batch.run(index, columns)]
    widths = [WIDTHS[t] for t in result_types(row)]
    for at, values in enumerate(rows):
        got = [x[at] & ((1 << w) - 1) for x, w in zip(outputs, widths, strict=True)]
        if meaning.is_approximate(row):
            good = is_good(row, values, got[0])
            want = None
        else:
            want = expected(row, values)
            good = got == want
        if not good:
            shown = ", ".join(f"{v:x}" for v in values)
            return f"{row.name}({shown}) = {got}, not {want}"
    return None


def is_good(row: Row, values: list[int], got: int) -> bool:
    kind = row.types[0]
    if kind not in ("f32", "f64"):
        return True  # all inputs are compared with the recorded ones
    return meaning.is_near(row, values, got) is not False


def batches(rows: list[Row], size: int = 200) -> list[list[Row]]:
    """Forms of one target together."""
    ordered = sorted(rows, key=targets_of)
    groups = [list(g) for _, g in itertools.groupby(ordered, key=targets_of)]
    return [g[k : k + size] for g in groups for k in range(0, len(g), size)]


@functools.cache
def rows_of(opcode: str) -> list[Row]:
    return [row for row in lane_wise() if row.opcode == opcode]


def failures(rows: list[Row], count: int) -> list[str]:
    found = []
    for part in batches(rows):
        batch = Batch(part, TABLE)
        for index, row in enumerate(part):
            if wrong := check(batch, index, row, count):
                found.append(wrong)
    return found


def in_sample(row: Row) -> bool:
    return zlib.crc32(row.name.encode()) % 6 == 0


@pytest.mark.parametrize("opcode", opcodes())
def test_sampled_forms_mean_what_is_defined(opcode: str) -> None:
    wrong = failures([row for row in rows_of(opcode) if in_sample(row)], COUNT)
    assert not wrong, f"{len(wrong)} forms:\n" + "\n".join(wrong[:20])


@pytest.mark.long
@pytest.mark.parametrize("opcode", opcodes())
def test_forms_mean_what_is_defined(opcode: str) -> None:
    wrong = failures(rows_of(opcode), 4 * COUNT)
    assert not wrong, f"{len(wrong)} forms:\n" + "\n".join(wrong[:20])


def narrow_forms() -> list[Row]:
    """Forms with one source of 8 or 16 bits."""
    return [
        row
        for row in lane_wise()
        if len(row.sources) == 1
        and len(result_types(row)) == 1
        and row.sources[0].kind == "src"
        and WIDTHS[row.sources[0].type] in (8, 16)
        and not meaning.is_approximate(row)
    ]


@pytest.mark.parametrize(
    "step", [251, pytest.param(1, marks=pytest.mark.long, id="all")]
)
def test_all_narrow_numbers(step: int) -> None:
    """Every form of one 16-bit source, for all of its 65,536 inputs."""
    wrong = []
    for part in batches(narrow_forms()):
        batch = Batch(part, TABLE)
        for index, row in enumerate(part):
            kind = row.sources[0].type
            width = WIDTHS[kind]
            values = list(range(0, 1 << width, step if width == 16 else 1))
            values += values[-1:] * (-len(values) % 32)
            (output,) = batch.run(index, [array_of(values, kind)])
            mask = (1 << WIDTHS[result_types(row)[0]]) - 1
            for value, got in zip(values, to_integers(output), strict=True):
                want = expected(row, [value])[0]
                if got & mask != want:
                    wrong.append(f"{row.name}({value:x}) = {got:x}, not {want:x}")
                    break
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("width", [32, 64])
def test_wider_registers_are_cut_and_extended(width: int) -> None:
    """The registers of a cvt may be wider than its types."""
    rows = [
        row
        for row in rows_of("cvt")
        if len(row.sources) == 1
        and max(WIDTHS.get(m, 0) for m in row.modifiers[-2:]) < width
        and all(m in WIDTHS and m[0] in "us" for m in row.modifiers[-2:])
    ]
    wrong = []
    for part in batches(rows):
        batch = Batch(part, TABLE, widen=width)
        for index, row in enumerate(part):
            kind = row.sources[0].type
            values = [v for (v,) in inputs.samples([kind], COUNT, row.name)]
            (output,) = batch.run(index, [array_of(values, kind)])
            for value, got in zip(values, to_integers(output), strict=True):
                want = conversions.convert(row, [value]) & ((1 << width) - 1)
                if got != want:
                    wrong.append(f"{row.name}({value:x}) = {got:x}, not {want:x}")
    assert not wrong, "\n".join(wrong[:20])
