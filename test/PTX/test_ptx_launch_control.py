"""clusterlaunchcontrol: every block's work is done once, whoever does it."""

import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.6\n.target {target}\n.address_size 64\n"

#: One thread a block, which takes over blocks until there are no more.
ALONE = """
.visible .entry k(.param .u64 done, .param .u64 by) {
  .shared .align 16 .b8 response[16]; .shared .align 8 .b64 bar;
  .reg .pred p; .reg .b32 x, y, z, nx, ny, me, at, phase; .reg .b64 a, b, o;
  .reg .b128 q;
  mov.u32 x, %ctaid.x; mov.u32 y, %ctaid.y; mov.u32 z, %ctaid.z;
  mov.u32 nx, %nctaid.x; mov.u32 ny, %nctaid.y;
  mad.lo.u32 me, z, ny, y; mad.lo.u32 me, me, nx, x;
  mov.u32 phase, 0; mbarrier.init.shared::cta.b64 [bar], 1;
next:
  mad.lo.u32 at, z, ny, y; mad.lo.u32 at, at, nx, x;
  mul.wide.u32 o, at, 4;
  ld.param.u64 a, [done]; add.u64 a, a, o; red.global.add.u32 [a], 1;
  ld.param.u64 b, [by]; add.u64 b, b, o; st.global.u32 [b], me;
  mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 16;
  fence.proxy.async.shared::cta;
  REQUEST
wait:
  mbarrier.try_wait.parity.shared::cta.b64 p, [bar], phase;
  @!p bra wait;
  xor.b32 phase, phase, 1;
  ld.shared.b128 q, [response];
  clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 p, q;
  @!p bra end;
  FIRST
  bra next;
end:
  ret;
}
"""
NAME = "clusterlaunchcontrol.try_cancel.async"
SIGNAL = "mbarrier::complete_tx::bytes"
REQUEST = f"{NAME}.shared::cta.{SIGNAL}.b128 [response], [bar];"
GENERIC = f"""cvta.shared.u64 a, response; cvta.shared.u64 b, bar;
  {NAME}.{SIGNAL}.b128 [a], [b];"""
QUERY = "clusterlaunchcontrol.query_cancel.get_first_ctaid"
FIRST = f"{QUERY}.v4.b32.b128 {{x, y, z, _}}, q;"
SINGLY = "".join(f"{QUERY}::{c}.b32.b128 {c}, q; " for c in "xyz")

#: Clusters of two; the first block asks for both.
TOGETHER = """
.visible .entry k(.param .u64 done, .param .u64 by) .reqnctapercluster 2, 1, 1 {
  .shared .align 16 .b8 response[16]; .shared .align 8 .b64 bar;
  .reg .pred p, first; .reg .b32 x, me, rank, at, phase; .reg .b64 a, o;
  .reg .b128 q;
  mov.u32 x, %ctaid.x; mov.u32 me, x; mov.u32 rank, %cluster_ctarank;
  sub.u32 x, x, rank; setp.eq.u32 first, rank, 0;
  mov.u32 phase, 0; mbarrier.init.shared::cta.b64 [bar], 1;
  fence.mbarrier_init.release.cluster;
next:
  barrier.cluster.arrive; barrier.cluster.wait;
  add.u32 at, x, rank; mul.wide.u32 o, at, 4;
  ld.param.u64 a, [done]; add.u64 a, a, o; red.global.add.u32 [a], 1;
  ld.param.u64 a, [by]; add.u64 a, a, o; st.global.u32 [a], me;
  fence.proxy.async;
  mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 16;
  barrier.cluster.arrive; barrier.cluster.wait;
  @first clusterlaunchcontrol.try_cancel.async.shared::cta\
.mbarrier::complete_tx::bytes.multicast::cluster::all.b128 [response], [bar];
wait:
  mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [bar], phase;
  @!p bra wait;
  xor.b32 phase, phase, 1;
  ld.shared.b128 q, [response];
  clusterlaunchcontrol.query_cancel.is_canceled.pred.b128 p, q;
  @!p bra end;
  clusterlaunchcontrol.query_cancel.get_first_ctaid::x.b32.b128 x, q;
  bra next;
end:
  ret;
}
"""


def module(body: str, target: str = "sm_100", **parts: str) -> ptx.Module:
    for name, text in {"REQUEST": REQUEST, "FIRST": FIRST, **parts}.items():
        body = body.replace(name, text)
    return ptx.Module(HEAD.format(target=target) + body)


@pytest.mark.parametrize("completion", ["latest", "earliest"])
@pytest.mark.parametrize("resident", [None, 1, 4])
@pytest.mark.parametrize(
    "parts", [{}, {"REQUEST": GENERIC}, {"FIRST": SINGLY}], ids=["v4", "generic", "xyz"]
)
def test_blocks_take_over_others(
    parts: dict[str, str], resident: int | None, completion: str
) -> None:
    done, by = np.zeros(24, np.uint32), np.full(24, 99, np.uint32)
    result = module(ALONE, **parts).launch(
        "k",
        grid=(4, 3, 2),
        block=1,
        args=[done, by],
        resident=resident,
        completion=completion,
        order="random",
        seed=resident or 0,
    )
    assert not result.findings
    assert (done == 1).all()
    # Whoever did another's work had been started itself.
    assert (by[by] == by).all()
    if resident == 1:
        assert (by == 0).all()


@pytest.mark.parametrize("resident", [2, 6])
def test_clusters_take_over_others(resident: int) -> None:
    done, by = np.zeros(16, np.uint32), np.full(16, 99, np.uint32)
    result = module(TOGETHER, "sm_100a").launch(
        "k", grid=16, block=1, args=[done, by], cluster=2, resident=resident
    )
    assert not result.findings
    assert (done == 1).all()
    assert (by % 2 == np.arange(16) % 2).all() and (by[by] == by).all()


def kinds(text: str, grid: int = 1) -> set[str]:
    done, by = np.zeros(24, np.uint32), np.zeros(24, np.uint32)
    launched = module(text).launch("k", grid=grid, block=1, args=[done, by])
    return {finding.kind for finding in launched.findings}


def test_a_refused_request_names_no_block() -> None:
    assert kinds(ALONE.replace("@!p bra end;", "")) == {"async-misuse"}


def test_nobody_asks_after_a_refusal() -> None:
    again = ALONE.replace("@!p bra end;", "@!p bra next;")
    assert kinds(again) == {"async-misuse"}


def test_other_bytes_are_no_response() -> None:
    other = ALONE.replace("ld.shared.b128 q", "mov.b128 q, {o, o}; //")
    assert kinds(other) == {"async-misuse"}


def test_the_response_must_be_waited_for() -> None:
    wait = ALONE[ALONE.index("wait:") : ALONE.index("xor.b32 phase")]
    assert "uninitialised" in kinds(ALONE.replace(wait, ""))


def test_older_targets_do_not_have_it() -> None:
    with pytest.raises(ptx.PtxError, match="needs sm_100"):
        module(ALONE, "sm_90")
    with pytest.raises(ptx.PtxError, match="needs sm_100a"):
        module(TOGETHER, "sm_100")


#: The grid counts clusters of two blocks.
CLUSTERED = """.version 9.0
.target sm_90
.address_size 64
.visible .entry k(.param .u64 done) .reqntid 1, 1, 1 .reqnctapercluster 2, 1, 1
  .blocksareclusters {
  .reg .b32 x, n; .reg .b64 a, o;
  mov.u32 x, %ctaid.x; mov.u32 n, %nctaid.x;
  mul.wide.u32 o, x, 4; ld.param.u64 a, [done]; add.u64 a, a, o;
  st.global.u32 [a], n; ret;
}
"""


def test_a_grid_of_clusters() -> None:
    done = np.zeros(8, np.uint32)
    assert not ptx.Module(CLUSTERED).launch("k", 3, 1, [done]).findings
    assert done.tolist() == [6] * 6 + [0] * 2


def test_a_grid_of_clusters_needs_their_shape() -> None:
    with pytest.raises(ptx.PtxError, match="blocksareclusters"):
        ptx.Module(CLUSTERED.replace(".reqnctapercluster 2, 1, 1", ""))
