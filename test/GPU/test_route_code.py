"""What ptxas makes of routings: nothing spills, on any chip."""

from __future__ import annotations

import pathlib
import re
import shutil
from typing import Any

import numpy as np
import pytest
from emulated import CHIPS, compile_kernels
from machine_code import check_route
from route_programs import program


@pytest.mark.skipif(not shutil.which("ptxas"), reason="ptxas is not installed")
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(
    ("t", "e", "options"),
    [
        (4096, 256, {"score": "softmax", "normalize": "sum"}),
        (512, 384, {"score": "sigmoid", "groups": (8, 4, "top2_sum")}),
    ],
    ids=["softmax", "groups"],
)
def test_registers(
    moe_opt: pathlib.Path,
    tmp_path: pathlib.Path,
    chip: str,
    t: int,
    e: int,
    options: dict[str, Any],
) -> None:
    arguments = {"normalize": "none", "gate_type": "f32"} | options
    logits = np.zeros((1, t, e), np.float32)
    text = program(logits, 8, "sequence", choice_bias=e == 384 or None, **arguments)
    kernels = compile_kernels(moe_opt, text, chip)
    check_route(kernels.text, chip, tmp_path)
    threads = re.search(r"\.(?:max|req)ntid (\d+)", kernels.text)
    assert threads is not None
    assert int(threads[1]) == (512 if t > 1024 else 256)
    # The arithmetic of scores is rounded as written: no flushing, no contraction.
    floats = set(re.findall(r"\b(?:add|sub|mul|div|sqrt|fma)\.\w+[.\w]*", kernels.text))
    floats = {name for name in floats if ".f32" in name}
    assert floats <= {f"{op}.rn.f32" for op in ("add", "sub", "mul", "div", "fma")}
