"""Runs compiled kernels in the emulator."""

from typing import Any

import numpy as np
from moe_mlir import ptx

from foreign.case import Case

ALL_CHECKS = frozenset({"bounds", "race", "poison", "async"})
NO_CHECKS: frozenset[str] = frozenset()


def launch(
    module: ptx.Module,
    kernel: str,
    case: Case,
    check: frozenset[str] = ALL_CHECKS,
    **options: Any,
) -> ptx.Result:
    """Launches a case; parameters that the compiler added are null."""
    options.setdefault("counters", False)
    missing = len(module.kernels[kernel].params) - len(case.args)
    return module.launch(
        kernel,
        grid=case.grid,
        block=case.block,
        args=[*case.args, *[None] * missing],
        shared=case.shared,
        cluster=case.cluster,
        cooperative=case.cooperative,
        check=check,
        **options,
    )


def run_and_check(
    module: ptx.Module, kernel: str, case: Case, **options: Any
) -> ptx.Result:
    """Launches a case; the answer must be right and nothing be found."""
    result = launch(module, kernel, case, **options)
    assert not result.findings, "\n".join(map(str, result.findings))
    assert result.completed
    case.check(result.log)
    return result


def same_arrays(left: list[np.ndarray], right: list[np.ndarray]) -> bool:
    pairs = zip(left, right, strict=True)
    return all(x.tobytes() == y.tobytes() for x, y in pairs)
