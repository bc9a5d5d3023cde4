"""Loads of tensors of which a block of a pair hears (.cta_group), by the manual."""

import numpy as np
import pytest
from moe_mlir import ptx

SIGNAL = "mbarrier::complete_tx::bytes"
ROWS = 8
TENSOR = np.arange(ROWS * 32, dtype=np.uint32).reshape(ROWS, 32) + 1
#: Blocks that are `told` wait, then store the row they see.
KERNEL = """.version 8.8
.target {target}
.address_size 64
.visible .entry k(.param .align 64 .b8 map[128], .param .u64 out) {{
  .shared .align 128 .b8 box[512]; .shared .align 8 .b64 bar;
  .reg .pred p, first, told, sends; .reg .b16 mask; .reg .b64 m, o, a;
  .reg .b32 t, rank, to, at, place, w, v, other, bytes;
  mov.u64 m, map; cvta.param.u64 m, m; ld.param.u64 o, [out];
  mov.u32 t, %tid.x; setp.eq.u32 first, t, 0; mov.u32 rank, %cluster_ctarank;
  mov.u32 at, bar; mov.u32 place, box; mov.b16 mask, {mask};
  mov.u32 bytes, {bytes};
  {setting}
  @first mbarrier.init.shared::cta.b64 [bar], 1;
  @first fence.mbarrier_init.release.cluster;
  barrier.cluster.arrive; barrier.cluster.wait;
  @!first bra sent;
  @told mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], bytes;
  @sends {load};
sent: @!told bra end;
wait: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [bar], 0;
  @!p bra wait;
  shl.b32 v, t, 2; mov.u32 w, box; add.u32 v, v, w;
  mapa.shared::cluster.u32 v, v, {seen};
  ld.shared::cluster.b32 w, [v];
  mad.lo.u32 v, rank, 32, t; mul.wide.u32 a, v, 4; add.u64 o, o, a;
  st.global.b32 [o], w;
end: barrier.cluster.arrive; barrier.cluster.wait;
  ret;
}}
"""


def launch(blocks: int, target: str = "sm_100a", **parts: str):
    defaults = {"mask": "0", "bytes": "128", "seen": "rank"}
    text = KERNEL.format(target=target, **(defaults | parts))
    out = np.zeros((blocks, 32), np.uint32)
    map = ptx.TensorMap(TENSOR, (1, 32))
    options = {"grid": blocks, "cluster": blocks, "block": 32}
    return ptx.Module(text).launch("k", args=[map, out], **options), out


def load(pair: int, form: str = "", coordinates: str = "0, rank") -> str:
    """A load of row `rank`, or of four rows."""
    mode = ".tile::gather4" if "gather4" in form else ""
    multicast = ".multicast::cluster" if "multicast" in form else ""
    to = ".shared::cta" if "own" in form else ".shared::cluster"
    return (
        f"cp.async.bulk.tensor.2d{to}.global{mode}.{SIGNAL}.cta_group::{pair}"
        f"{multicast} [place], [m, {{{coordinates}}}], [at]"
        f"{', mask' if multicast else ''}"
    )


ALL = "setp.ge.u32 told, rank, 0; setp.ge.u32 sends, rank, 0;"
#: Odd blocks load into their own memory; the even block of the pair waits for it.
PEERS = """and.b32 w, rank, 1; setp.eq.u32 told, w, 0; setp.ne.u32 sends, w, 0;
  and.b32 other, rank, 0xfffffffe; mapa.shared::cluster.u32 at, at, other;
  mapa.shared::cluster.u32 place, place, rank; xor.b32 other, rank, 1;"""


@pytest.mark.parametrize("form", ["", "own"])
@pytest.mark.parametrize("pair", [1, 2])
def test_a_block_hears_of_its_own_copies(pair: int, form: str) -> None:
    result, out = launch(4, setting=ALL, load=load(pair, form))
    assert not result.findings
    np.testing.assert_array_equal(out, TENSOR[:4])


@pytest.mark.parametrize("target", ["sm_100a", "sm_103a", "sm_110a"])
def test_the_other_block_of_a_pair_hears(target: str) -> None:
    result, out = launch(4, target, setting=PEERS, load=load(2), seen="other")
    assert not result.findings
    np.testing.assert_array_equal(out[::2], TENSOR[1:4:2])


def test_blocks_too_far_apart() -> None:
    result, _ = launch(4, setting=PEERS, load=load(1), seen="other")
    assert "wants both in one block" in result.findings[0].message
    across = PEERS.replace("0xfffffffe", "2").replace("at, at, other", "at, at, 2")
    result, _ = launch(4, setting=across, load=load(2), seen="other")
    assert "wants them in one pair" in result.findings[0].message


@pytest.mark.parametrize("form", ["multicast", "multicast gather4"])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("pair", [1, 2])
def test_a_multicast_tells_the_even_or_the_odd_blocks(
    pair: int, which: int, form: str
) -> None:
    """Block 0 loads row 5 for all; it names a barrier of block `which`."""
    gathers = "gather4" in form
    told = "setp.ge.u32 told, rank, 0;"
    if pair == 2:
        told = f"and.b32 w, rank, 1; setp.eq.u32 told, w, {which};"
    setting = f"""{told} setp.eq.u32 sends, rank, 0; mov.u32 other, {which};
      mapa.shared::cluster.u32 at, at, other; mapa.shared::cluster.u32 place, place, 0;
      """
    coordinates = "0, 5, 5, 5, 5" if gathers else "0, 5"
    size = 128 * (4 if gathers else 1) * pair
    parts = {"mask": "0xf", "bytes": str(size), "seen": "rank"}
    text = load(pair, form, coordinates)
    kernel_parts = {"setting": setting, "load": text, **parts}
    result, out = launch(4, **kernel_parts)
    assert not result.findings
    blocks = range(4) if pair == 1 else range(which, 4, 2)
    for block in blocks:
        np.testing.assert_array_equal(out[block], TENSOR[5])


def test_other_targets_have_no_pairs() -> None:
    for target in ("sm_90a", "sm_100", "sm_120a"):
        with pytest.raises(ptx.PtxError, match="sm_1"):
            launch(2, target, setting=ALL, load=load(2))
