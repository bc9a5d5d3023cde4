"""Each seeded fault is reported at its line; its corrected twin is silent."""

import re
from typing import Any

import fault_files
import pytest
from fault_files import Fault
from moe_mlir import ptx

FAULTS = fault_files.read_all()


def launch(fault: Fault, text: str, **options: Any) -> ptx.Result:
    return ptx.Module(text, fault.name).launch(
        fault.name, args=fault.args(), counters=False, **fault.options, **options
    )


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 60


def lines(finding: ptx.Finding) -> set[int]:
    """Where it was found: either party of a race; all warps if none is to blame."""
    if finding.line == 0:
        return {int(line) for line in re.findall(r"line (\d+)", finding.message)}
    return {finding.line} | ({finding.other.line} if finding.other else set())


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_reported_at_its_line(name: str) -> None:
    fault = FAULTS[name]
    result = launch(fault, fault.faulty)
    right = [
        finding
        for finding in result.findings
        for line, kinds in fault.expected
        if line in lines(finding) and finding.kind in kinds
    ]
    text = "\n".join(map(str, result.findings)) or "no finding"
    assert right, f"expected {fault.expected}; {text}"


@pytest.mark.parametrize("name", FAULTS)
def test_twin_is_silent(name: str) -> None:
    fault = FAULTS[name]
    result = launch(fault, fault.twin)
    assert not result.findings, "\n".join(map(str, result.findings))
    assert result.completed


def test_destination_of_a_copy_is_undefined_until_it_is_done() -> None:
    """Without the check of asynchronous copies, `poison` alone finds the early read."""
    fault = FAULTS["missing_barrier_wait"]
    # The destination was written before, so that the copy undefines it.
    first = "ready:\n  shl.b32 r2, r0, 2;\n  add.u32 r2, r1, r2;\n"
    first += "  st.shared.u32 [r2], r0;\n  fence.proxy.async;\n"
    kinds = []
    for text in (fault.faulty, fault.twin):
        written = text.replace("ready:\n", first)
        assert written != text
        result = launch(fault, written, check={"poison"})
        kinds.append([finding.kind for finding in result.findings])
    assert kinds == [["uninitialised"], []]
