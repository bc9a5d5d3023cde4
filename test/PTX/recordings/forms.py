"""All instruction forms, and what the hardware gave for those that were recorded."""

import collections.abc
import dataclasses

import numpy as np

from recordings import (
    archive,
    forms_atomic,
    forms_compare,
    forms_convert,
    forms_float,
    forms_integer,
    forms_memory,
    forms_warp,
)
from recordings.form import Form, FormTable

GROUPS = (
    forms_integer,
    forms_compare,
    forms_float,
    forms_convert,
    forms_warp,
    forms_atomic,
    forms_memory,
)


def all_forms() -> FormTable:
    """Every form by name, recorded or not."""
    table = FormTable()
    for group in GROUPS:
        group.add_forms(table)
    return table


FORMS = all_forms()


@dataclasses.dataclass(frozen=True)
class Recording:
    """The inputs of a form and what the hardware gave: unsigned bit patterns.

    A predicate is 0 or 1. Every array has `form.count` elements.
    """

    form: Form
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]


def recordings() -> collections.abc.Iterator[Recording]:
    """The recordings of all forms that have one."""
    data = archive.read("elementwise.xz")
    for name, form in FORMS.items():
        if f"out|{name}|0" not in data:
            continue
        key = " ".join(form.inputs)
        inputs = [data[f"in|{key}|{i}"][: form.count] for i in range(len(form.inputs))]
        outputs = [data[f"out|{name}|{i}"] for i in range(len(form.outputs))]
        yield Recording(form, inputs, outputs)


def whole_tables() -> dict[str, np.ndarray]:
    """ex2 and tanh of f16 and bf16: the results of all 65,536 inputs, by opcode."""
    data = archive.read("elementwise.xz")
    return {k.removeprefix("all|"): v for k, v in data.items() if k.startswith("all|")}
