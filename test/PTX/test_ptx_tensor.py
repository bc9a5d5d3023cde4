"""Every recorded tile of mma.sync, mma.sp and wgmma has the hardware's bits."""

import numpy as np
import pytest
from moe_mlir import ptx
from recordings import tensor_recordings
from recordings.form import HEADER
from recordings.tensor_kernels import (
    group_inputs,
    mma_inputs,
    mma_kernel,
    sparse_kernel,
    wgmma_kernel,
)
from recordings.tensor_recordings import TensorRecording
from recordings.tensor_variants import MMA, WGMMA, Wgmma

VARIANTS = [*MMA, *WGMMA]


def run_mma(recording: TensorRecording) -> np.ndarray:
    """The D registers [tile, lane, register] of mma.sync."""
    variant = recording.variant
    assert not isinstance(variant, Wgmma)
    a, b, c = mma_inputs(variant, recording.tiles())
    d = np.zeros_like(c)
    module = ptx.Module(HEADER + mma_kernel(variant), recording.key)
    launch(module, recording.count, 32, [a, b, c, d])
    return d


def run_wgmma(recording: TensorRecording) -> np.ndarray:
    """The D registers [tile, thread, register] of wgmma."""
    variant = recording.variant
    assert isinstance(variant, Wgmma)
    inputs = group_inputs(variant, recording.tiles())
    d = np.zeros_like(inputs.c)
    module = ptx.Module(HEADER + wgmma_kernel(variant, inputs), recording.key)
    args = [np.ascontiguousarray(inputs.image), inputs.a, inputs.c, d]
    launch(module, recording.count, 128, args)
    return d


def launch(module: ptx.Module, grid: int, block: int, args: list[object]) -> None:
    result = module.launch("form", grid, block, args, counters=False)
    assert not result.findings, "\n".join(map(str, result.findings))


def check(recording: TensorRecording) -> None:
    """Raises AssertionError if a bit differs; says which, by the model."""
    group = isinstance(recording.variant, Wgmma)
    registers = run_wgmma(recording) if group else run_mma(recording)
    if recording.agrees(registers):
        return
    where = "the CRC differs"
    if recording.first is not None:
        wrong = np.argwhere(registers[: len(recording.first)] != recording.first)
        if len(wrong):
            tile, lane, register = wrong[0]
            where = (
                f"{len(wrong)} registers of the first tiles differ; tile {tile} lane "
                f"{lane} register {register}: {registers[tuple(wrong[0])]:x}, the "
                f"hardware {recording.first[tuple(wrong[0])]:x}"
            )
    raise AssertionError(f"{recording.key}: {where}")


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(
    "part", ["sample", pytest.param("rest", marks=pytest.mark.long)]
)
def test_tiles_have_the_recorded_bits(name: str, part: str) -> None:
    mine = [r for r in tensor_recordings.recordings() if r.name == name]
    assert mine
    sample = {"special", "align", "full"}
    failures = []
    for recording in mine:
        if (recording.distribution in sample) == (part == "sample"):
            try:
                check(recording)
            except (AssertionError, ptx.PtxError) as error:
                failures.append(str(error))
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("selector", [0, 1])
def test_sparse_tiles_have_the_recorded_bits(selector: int) -> None:
    registers = tensor_recordings.sparse_recording(selector)
    module = ptx.Module(HEADER + sparse_kernel(selector), "mma.sp")
    d = np.zeros_like(registers["D"])
    args = [registers[name].copy() for name in "ABCE"]
    launch(module, len(d), 32, [*args, d])
    np.testing.assert_array_equal(d, registers["D"])
