"""The recordings themselves: complete, and reproduced by their models."""

import numpy as np
import pytest
from recordings import forms, tensor_model, tensor_recordings, transfers
from recordings.form import SIZE
from recordings.tensor_layouts import fragment_a, fragment_b, fragment_c, pack, unpack


def test_forms_are_recorded_whole() -> None:
    recordings = list(forms.recordings())
    assert len(recordings) == 1211 and len(forms.FORMS) == 1425
    for recording in recordings:
        form = recording.form
        types = form.inputs + form.outputs
        arrays = recording.inputs + recording.outputs
        for name, array in zip(types, arrays, strict=True):
            assert array.shape == (form.count,), form.name
            assert array.dtype.itemsize == SIZE[name], form.name


def test_tables_hold_every_half() -> None:
    tables = forms.whole_tables()
    assert len(tables) == 4
    assert all(len(table) == 65536 for table in tables.values())


# The chain of f64 is exact arithmetic of Python; one tile of each tells enough.
SLOW = "f64"


@pytest.mark.parametrize("sample", [6, pytest.param(1, marks=pytest.mark.long)])
def test_model_gives_the_recorded_tiles(sample: int) -> None:
    checked = 0
    for recording in list(tensor_recordings.recordings())[::sample]:
        shape = recording.variant.shape
        tiles = recording.tiles()
        if shape.a == SLOW:
            if recording.first is not None:
                one = tuple(x[:1] for x in tiles)
                d = pack(recording.model(one), recording.layout(), shape.d)
                assert (d == recording.first[:1]).all(), recording.key
        else:
            d = pack(recording.model(tiles), recording.layout(), shape.d)
            assert recording.agrees(d), recording.key
        checked += 1
    assert checked > 500 / sample


@pytest.mark.parametrize("selector", [0, 1])
def test_model_gives_the_recorded_sparse_tiles(selector: int) -> None:
    registers = tensor_recordings.sparse_recording(selector)
    a = unpack(registers["A"], fragment_a(16, 16, "bf16"), "bf16", (16, 16))
    b = unpack(registers["B"], fragment_b(32, 8, "bf16"), "bf16", (32, 8))
    layout = fragment_c(16, 8, "f32")
    c, d = (unpack(registers[x], layout, "f32", (16, 8)) for x in "CD")
    dense = tensor_model.sparse_operand(a, registers["E"], selector)
    types = ("bf16", "bf16", "f32")
    assert (tensor_model.fused_sum(types, dense, b, c) == d).all()


def test_model_gives_the_recorded_transfers() -> None:
    for transfer, shared in transfers.loads():
        model = transfer.load_model(transfers.source_bytes(transfer))
        assert transfer.legal() and (model == shared).all(), transfer
    for transfer, memory in transfers.stores():
        model = transfer.store_model(transfers.source_bytes(transfer))
        assert transfer.legal() and (model == memory).all(), transfer
    assert not any(transfer.legal() for transfer in transfers.illegal())


def test_reductions_are_recorded() -> None:
    reductions = transfers.reductions()
    assert len(reductions) == 44
    for reduction in reductions:
        assert reduction.after.shape == (256,)
        assert not np.array_equal(reduction.before, reduction.after)
