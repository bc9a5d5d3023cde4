"""Every recorded instruction form gives the bits that an H100 gave."""

import functools

import numpy as np
import pytest
from moe_mlir import ptx
from recordings import approximate, forms
from recordings.form import HEADER, SIZE, Form, kernel
from recordings.forms import Recording


@functools.cache
def recordings() -> dict[str, Recording]:
    return {recording.form.name: recording for recording in forms.recordings()}


def run(form: Form, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a form."""
    count = len(inputs[0]) if inputs else form.count
    module = ptx.Module(HEADER + kernel(form), form.name)
    outputs = [np.zeros(count, f"u{SIZE[name]}") for name in form.outputs]
    scratch = np.zeros(64 * count, np.uint8)
    result = module.launch(
        "form",
        grid=count // 32,
        block=32,
        args=[*(x.copy() for x in inputs), *outputs, scratch],
        check=CHECKS,
        counters=False,
    )
    assert not result.findings, "\n".join(map(str, result.findings))
    return outputs


# The forms divide by zero on purpose, which is a finding of its own.
CHECKS: tuple[str, ...] = ()


# Recorded inputs whose result is one step of the 20-bit result beyond the bound.
BEYOND_BOUND = {"rsqrt.approx.ftz.f64": 1}


def compare(recording: Recording) -> None:
    """Raises AssertionError where an output differs from the recorded one."""
    form = recording.form
    outputs = run(form, recording.inputs)
    for index, (got, want) in enumerate(zip(outputs, recording.outputs, strict=True)):
        if form.approximate:
            wrong = approximate.differs(form, recording.inputs, got, want)
        else:
            wrong = got != want
        if wrong.sum() > BEYOND_BOUND.get(form.name, 0):
            at = int(np.flatnonzero(wrong)[0])
            inputs = ", ".join(f"{x[at]:x}" for x in recording.inputs)
            raise AssertionError(
                f"{form.name}: {int(wrong.sum())} of {len(got)} differ in output "
                f"{index}; of ({inputs}) it gives {got[at]:x}, hardware {want[at]:x}"
            )


def groups() -> list[str]:
    return sorted({form.group for form in forms.FORMS.values()})


@pytest.mark.parametrize("group", groups())
def test_forms_give_the_recorded_bits(group: str) -> None:
    failures = []
    for recording in recordings().values():
        if recording.form.group == group:
            try:
                compare(recording)
            except (AssertionError, ptx.PtxError) as error:
                failures.append(str(error))
    assert not failures, f"{len(failures)} forms:\n" + "\n".join(failures)


def test_forms_without_recording_run() -> None:
    """The forms that were kept back for no recording are executed, too."""
    known = {recording.form.inputs: recording for recording in recordings().values()}
    failures, run_count = [], 0
    for name, form in forms.FORMS.items():
        if name in recordings() or form.inputs not in known:
            continue
        try:
            run(form, [x[:64] for x in known[form.inputs].inputs])
            run_count += 1
        except (AssertionError, ptx.PtxError) as error:
            failures.append(f"{name}: {error}")
    assert not failures, "\n".join(failures)
    assert run_count > 150


@pytest.mark.parametrize("opcode", forms.whole_tables())
def test_all_halves_give_the_recorded_bits(opcode: str) -> None:
    """ex2 and tanh of every f16 and bf16."""
    form = forms.FORMS[opcode]
    (got,) = run(form, [np.arange(65536, dtype=np.uint16)])
    want = forms.whole_tables()[opcode]
    wrong = np.flatnonzero(got != want)
    assert not len(wrong), (
        f"{len(wrong)} differ, first {wrong[0]:x}: {got[wrong[0]]:x}, "
        f"not {want[wrong[0]]:x}"
    )
