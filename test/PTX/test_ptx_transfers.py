"""Tensor copies and asynchronous reductions move the bytes that an H100 moved."""

import numpy as np
import pytest
from moe_mlir import ptx
from recordings import transfers
from recordings.form import HEADER
from recordings.transfers import Reduction, Transfer


def tensor_map(t: Transfer, memory: np.ndarray) -> ptx.TensorMap:
    """The map of a transfer's tensor in `memory`; axes outermost first."""
    dims = t.dim[: t.rank][::-1]
    pitches = (t.size, *t.pitch[: t.rank - 1])[::-1]
    dtype = f"u{t.size}"
    extent = sum((n - 1) * pitch for n, pitch in zip(dims, pitches, strict=True))
    assert extent + t.size <= memory.nbytes
    array = np.lib.stride_tricks.as_strided(memory.view(dtype), dims, pitches)
    return ptx.TensorMap(
        array,
        box=t.box[: t.rank][::-1],
        swizzle=t.swizzle,
        element_strides=t.estride[: t.rank][::-1],
        fill_nan=t.nan_fill,
        type=t.type,
    )


def coordinates(t: Transfer) -> str:
    return ", ".join(str(c) for c in t.coordinate[: t.rank])


def copy_words(direction: str) -> str:
    """Copies 4096 bytes between `image` and shared memory, 128 threads."""
    load, store = ("global", "shared") if direction == "in" else ("shared", "global")
    source, target = ("i", "s") if direction == "in" else ("s", "i")
    return "\n".join(
        f"ld.{load}.b32 v, [{source}+{at}]; st.{store}.b32 [{target}+{at}], v;"
        for at in range(0, transfers.SHARED_BYTES, 512)
    )


def kernel(t: Transfer) -> str:
    """Fills shared memory from `image`, makes the transfer, reads it back."""
    place = f"[map, {{{coordinates(t)}}}]"
    if t.store:
        body = f"""
        fence.proxy.async.shared::cta; bar.sync 0;
        @q bra done;
        cp.async.bulk.tensor.{t.rank}d.global.shared::cta.tile.bulk_group
            {place}, [base];
        cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;
        done:"""
    else:
        completes = ".mbarrier::complete_tx::bytes"
        body = f"""
        @q bra made;
        mbarrier.init.shared::cta.b64 [bar], 1;
        fence.mbarrier_init.release.cluster;
        made: fence.proxy.async.shared::cta; bar.sync 0;
        @q bra issued;
        mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], {t.complete_bytes()};
        cp.async.bulk.tensor.{t.rank}d.shared::cluster.global.tile{completes}
            [base], {place}, [bar];
        issued: poll:
        mbarrier.try_wait.parity.shared::cta.b64 p, [bar], 0; @!p bra poll;
        {copy_words("out")}"""
    return f"""{HEADER}
    .visible .entry form(.param .align 64 .b8 pm[128], .param .u64 pi,
                         .param .u64 whole) {{
        .shared .align 1024 .b8 sm[4096]; .shared .align 8 .b64 barrier;
        .reg .pred p, q; .reg .b32 t, s, v, base, bar; .reg .b64 i, o, map;
        mov.b64 map, pm; cvta.param.u64 map, map; ld.param.u64 i, [pi];
        mov.u32 t, %tid.x; mov.u32 base, sm; mov.u32 bar, barrier;
        setp.ne.u32 q, t, 0;
        shl.b32 v, t, 2; add.u32 s, base, v; mul.wide.u32 o, t, 4; add.u64 i, i, o;
        {copy_words("in")}
        {body}
        ret;
    }}"""


def run(t: Transfer, memory: np.ndarray, image: np.ndarray) -> ptx.Result:
    """Transfers between a tensor in `memory` and shared memory, held in `image`."""
    module = ptx.Module(kernel(t), "transfer")
    # The map knows the tensor; stores may write into the padding behind its rows.
    args = [tensor_map(t, memory), image, memory]
    return module.launch("form", 1, 128, args, counters=False)


LOADS, STORES = transfers.loads(), transfers.stores()


@pytest.mark.parametrize("index", range(len(LOADS)))
def test_loads(index: int) -> None:
    t, want = LOADS[index]
    memory = transfers.source_bytes(t).copy()
    image = np.full(transfers.SHARED_BYTES, transfers.SHARED_BEFORE, np.uint8)
    result = run(t, memory, image)
    assert not result.findings, "\n".join(map(str, result.findings))
    np.testing.assert_array_equal(image, want)


@pytest.mark.parametrize("index", range(len(STORES)))
def test_stores(index: int) -> None:
    t, want = STORES[index]
    memory = np.full(transfers.MEMORY_BYTES, transfers.MEMORY_BEFORE, np.uint8)
    image = transfers.source_bytes(t).copy()
    result = run(t, memory, image)
    assert not result.findings, "\n".join(map(str, result.findings))
    np.testing.assert_array_equal(memory, want)


@pytest.mark.parametrize("index", range(len(transfers.illegal())))
def test_illegal_transfers_are_reported(index: int) -> None:
    t = transfers.illegal()[index]
    memory = np.zeros(transfers.TENSOR_BYTES, np.uint8)
    image = np.zeros(transfers.SHARED_BYTES, np.uint8)
    kinds = {finding.kind for finding in run(t, memory, image).findings}
    assert "illegal-instruction" in kinds, kinds


# How a thread moves its element of the operand to shared memory, by size.
MOVES = {
    2: "ld.global.b16 h, [i]; st.shared.b16 [s], h;",
    4: "ld.global.b32 w, [i]; st.shared.b32 [s], w;",
    8: "ld.global.b64 x, [i]; st.shared.b64 [s], x;",
}


def element_size(r: Reduction) -> int:
    return 4 if r.type.startswith("f32") else int(r.type.lstrip("bfsu")) // 8


def reduction_instruction(r: Reduction) -> str:
    """The reduction of 256 elements of shared memory (base) onto global memory."""
    size = 256 * element_size(r)
    spaces = "global.shared::cta"
    if r.instruction.endswith("tensor"):
        suffix = f"1d.{spaces}.{r.operation}.tile.bulk_group"
        return f"{r.instruction}.{suffix} [map, {{0}}], [base];"
    if r.operation == "copy":
        return f"cp.async.bulk.{spaces}.bulk_group [memory], [base], {size};"
    return (
        f"{r.instruction}.{spaces}.bulk_group.{r.operation} [memory], [base], {size};"
    )


def reduction_kernel(r: Reduction) -> str:
    size = element_size(r)
    return f"""{HEADER}
    .visible .entry form(.param .align 64 .b8 pm[128], .param .u64 pd,
                         .param .u64 pi) {{
        .shared .align 1024 .b8 sm[2048];
        .reg .pred q; .reg .b16 h; .reg .b32 t, s, v, w, base;
        .reg .b64 i, o, map, memory, x;
        mov.b64 map, pm; cvta.param.u64 map, map;
        ld.param.u64 memory, [pd]; ld.param.u64 i, [pi];
        mov.u32 t, %tid.x; mov.u32 base, sm; setp.ne.u32 q, t, 0;
        mul.wide.u32 o, t, {size}; add.u64 i, i, o; mul.lo.u32 v, t, {size};
        add.u32 s, base, v;
        {MOVES[size]}
        fence.proxy.async.shared::cta; bar.sync 0;
        @q bra done;
        {reduction_instruction(r)}
        cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;
        done: ret;
    }}"""


@pytest.mark.parametrize("index", range(len(transfers.reductions())))
def test_reductions(index: int) -> None:
    r = transfers.reductions()[index]
    dtype = f"u{element_size(r)}"
    memory, operand = r.before.astype(dtype), r.operand.astype(dtype)
    # A plain copy has no tensor map; any type serves for the parameter.
    kind = "u32" if r.type.startswith("b") and r.type != "bf16" else r.type
    tensor = ptx.TensorMap(memory, box=(256,), type=kind)
    module = ptx.Module(reduction_kernel(r), "reduction")
    result = module.launch("form", 1, 256, [tensor, memory, operand], counters=False)
    assert not result.findings, "\n".join(map(str, result.findings))
    np.testing.assert_array_equal(memory, r.after.astype(dtype))
