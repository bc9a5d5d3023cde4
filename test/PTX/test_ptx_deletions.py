"""Correct kernels with one barrier, wait, commit or fence taken away.

Each deletion must be reported, or stand below with the reason why it changes nothing.
"""

import pathlib

import pytest
import sync_sites
from foreign import nvcc
from foreign.kernels import KERNELS
from foreign.launching import launch
from moe_mlir import ptx

pytestmark = pytest.mark.skipif(not nvcc.compiler(), reason="nvcc is not installed")

SUBJECTS = (
    "reduce_tree",
    "reduce_last_block",
    "scan_block",
    "scan_look_back",
    "radix_select",
    "gemm_bf16",
    "attention",
    "window_sums",
    "ring",
    "producer_consumer",
    "cluster_ring",
    "bulk_pipeline",
    "bulk_reduce",
    "tensor_transpose",
    "multicast",
    "wgmma_gemm",
    "wgmma_pipeline",
)
INIT = "the barrier that follows orders the initialisation for all threads"
OWN = "the last step's only reader is the thread that wrote"
NAMED = "bar.arrive and bar.sync order what the threads wrote before"
FIRST = "an empty stage of a new ring passes at once"
LAST = "the last rows begin no copies, so nothing follows that overwrites a stage"
UNTOUCHED = "nothing but wgmma touched the accumulators since the last fence"
# (kernel, which of its sites): why the statement is redundant.
REDUNDANT = {
    ("reduce_last_block", 7): OWN,
    ("radix_select", 11): OWN,
    ("producer_consumer", 10): NAMED,
    ("producer_consumer", 12): NAMED,
    ("producer_consumer", 15): NAMED,
    ("bulk_pipeline", 0): INIT,
    ("tensor_transpose", 0): INIT,
    ("multicast", 0): INIT,
    ("wgmma_pipeline", 0): INIT,
    ("wgmma_pipeline", 2): FIRST,
    ("wgmma_pipeline", 3): FIRST,
    ("wgmma_pipeline", 4): FIRST,
    ("window_sums", 22): LAST,
    ("wgmma_pipeline", 12): UNTOUCHED,
    ("wgmma_pipeline", 16): UNTOUCHED,
}
BUDGET = 3_000_000  # a deletion may make a kernel spin for ever


@pytest.mark.parametrize("name", SUBJECTS)
def test_deletions_are_reported(name: str, compiled_cache: pathlib.Path) -> None:
    kernel = KERNELS[name]
    target = "sm_90a" if kernel.sm == 90 else "sm_80"
    text = nvcc.compile_source(kernel.source, target, "O3", compiled_cache)
    silent = {}
    sites = sync_sites.sites(text, name)
    assert sites
    for index, site in enumerate(sites):
        module = ptx.Module(sync_sites.without(text, site), name)
        result = launch(module, name, kernel.case(), budget=BUDGET)
        if not result.findings:
            silent[(name, index)] = f"line {site.line}: {site.statement}"
    unexplained = {key: text for key, text in silent.items() if key not in REDUNDANT}
    assert not unexplained
    listed = {key for key in REDUNDANT if key[0] == name}
    assert not listed - set(silent), f"reported: {listed - set(silent)}"
