"""Lanes that make one call at different times meet inside the function.

The code at `late` lies behind the call, as compilers put it: half of each warp reaches
the call first, and waits inside for lanes that have not called yet.
"""

import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.7\n.target sm_90a\n.address_size 64\n"
BODY = """
.visible .entry k(.param .u64 to) {
  .reg .pred p; .reg .b32 t, v, x; .reg .b64 d, o, target;
  ld.param.u64 d, [to];
  mov.u32 t, %tid.x; mul.wide.u32 o, t, 4; add.u64 d, d, o;
  and.b32 x, t, 1; setp.eq.u32 p, x, 0; mul.lo.u32 x, t, 10;
  @p bra late;
head:
  { .param .b32 a; .param .b32 r; st.param.b32 [a], x; CALL ld.param.b32 v, [r]; }
  st.global.b32 [d], v;
  ret;
late:
  add.u32 x, x, 1;
  bra.uni head;
}
"""
DIRECT = "call (r), f, (a);"
FUNCTION = """
.func (.param .b32 r) NAME(.param .b32 a) {
  .reg .pred p, q; .reg .b32 v, w, s; .reg .b64 d;
  .shared .align 4 .b8 words[512];
  ld.param.b32 v, [a];
  INSIDE
  st.param.b32 [r], v;
  ret;
}
"""


def arguments(threads: int) -> list[int]:
    return [10 * t + (t % 2 == 0) for t in range(threads)]


def run(functions: str, call: str = DIRECT, threads: int = 64, **options: object):
    out = np.zeros(threads, np.uint32)
    module = ptx.Module(HEAD + functions + BODY.replace("CALL", call))
    result = module.launch("k", 1, threads, [out], **options)  # type: ignore[arg-type]
    assert not result.findings, "\n".join(map(str, result.findings))
    return out.tolist()


def function(inside: str, name: str = "f") -> str:
    return FUNCTION.replace("NAME", name).replace("INSIDE", inside)


#: Exchanges with the neighbour: the other lane came at another time.
EXCHANGE = """
  mov.u32 s, %tid.x; shl.b32 w, s, 2; mov.u32 s, words; add.u32 s, s, w;
  st.shared.b32 [s], v; bar.sync 0; xor.b32 w, w, 4; mov.u32 s, words;
  add.u32 s, s, w; ld.shared.b32 w, [s]; sub.u32 v, w, v; add.u32 v, v, 100;
"""


def exchanged(threads: int = 64) -> list[int]:
    x = arguments(threads)
    return [x[t ^ 1] - x[t] + 100 for t in range(threads)]


@pytest.mark.parametrize("seed", [None, 1, 2, 3, 4])
def test_at_an_aligned_barrier(seed: int | None) -> None:
    options = {} if seed is None else {"order": "random", "seed": seed}
    assert run(function(EXCHANGE), **options) == exchanged()


def test_through_a_register() -> None:
    prototype = "proto: .callprototype (.param .b32 _) _ (.param .b32 _);"
    call = f"{prototype} mov.u64 target, f; call (r), target, (a), proto;"
    assert run(function(EXCHANGE), call) == exchanged()


def test_two_calls_deep() -> None:
    inner = function(EXCHANGE, "g")
    outer = """
    { .param .b32 x; .param .b32 y; st.param.b32 [x], v;
      call (y), g, (x); ld.param.b32 w, [y]; }
    add.u32 v, v, w;
    """
    want = [x + e for x, e in zip(arguments(64), exchanged(), strict=True)]
    assert run(inner + function(outer)) == want


@pytest.mark.parametrize(
    ("instruction", "value"),
    [
        ("shfl.sync.bfly.b32 w, v, 1, 31, -1;", lambda x, t: x[t ^ 1]),
        ("redux.sync.add.s32 w, v, -1;", lambda x, t: sum(x[t // 32 * 32 :][:32])),
        ("setp.ge.u32 p, v, 300; vote.sync.ballot.b32 w, p, -1;", None),
        ("activemask.b32 w; bar.warp.sync -1; activemask.b32 w;", None),
    ],
)
def test_warp_wide(instruction: str, value: object) -> None:
    got = run(function(instruction + "mov.b32 v, w;"))
    x = arguments(64)
    if callable(value):
        assert got == [value(x, t) for t in range(64)]
    elif "vote" in instruction:
        mask = [sum((x[w + k] >= 300) << k for k in range(32)) for w in (0, 32)]
        assert got == [mask[t // 32] for t in range(64)]
    else:
        assert got == [2**32 - 1] * 64  # they go on together


def test_lanes_that_return_early_and_call_again() -> None:
    """A lane comes back while others wait in the first of its calls."""
    inside = """
    mov.u32 s, %tid.x; and.b32 w, s, 3; setp.ne.u32 p, w, 3; @p bra rest;
    st.param.b32 [r], 0; ret;
  rest: bar.warp.sync 0x77777777; add.u32 v, v, s;
    """
    again = """
    mov.u32 w, %tid.x; and.b32 s, w, 3; mov.u32 w, 0;
  once:
    { .param .b32 x; .param .b32 y; st.param.b32 [x], v;
      call (y), g, (x); ld.param.b32 v, [y]; }
    add.u32 w, w, 1; setp.eq.u32 p, s, 3; setp.lt.u32 q, w, 5;
    and.pred p, p, q; @p bra once;
    add.u32 v, v, w;
    """
    got = run(function(inside, "g") + function(again))
    x = arguments(64)
    assert got == [5 if t % 4 == 3 else x[t] + t + 1 for t in range(64)]


def test_undefined_registers_stay_undefined() -> None:
    """What an earlier call of a lane left in a register is not its own."""
    inside = """
    setp.gt.u32 p, v, 1000; @!p mov.u32 w, v; mov.u32 s, %tid.x;
    bar.warp.sync -1; setp.eq.u32 q, w, 7; @q bra same; add.u32 v, v, 1; same:
    """
    twice = """
    { .param .b32 x; .param .b32 y; st.param.b32 [x], v;
      call (y), g, (x); ld.param.b32 w, [y]; st.param.b32 [x], 2000;
      call (y), g, (x); ld.param.b32 w, [y]; }
    mov.u32 v, w;
    """
    out = np.zeros(64, np.uint32)
    text = HEAD + function(inside, "g") + function(twice) + BODY
    module = ptx.Module(text.replace("CALL", DIRECT))
    result = module.launch("k", 1, 64, [out], check={"poison"})
    assert {f.kind for f in result.findings} == {"uninitialised"}
