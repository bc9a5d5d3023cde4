"""shfl.sync with any operands, after the pseudo-code of the PTX manual."""

import numpy as np
import numpy.typing as npt
from moe_mlir import ptx

Words = npt.NDArray[np.uint32]

LANES = 32
ROUNDS = 24
KERNEL = """.version 8.7
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 x, .param .u32 members)
{{
  .reg .pred p, q;
  .reg .b32 t, a, b, c, m, d, f;
  .reg .b64 o, at;
  mov.u32 t, %tid.x;
  mul.wide.u32 o, t, 4;
  ld.param.u64 at, [x];
  add.u64 at, at, o;
  ld.global.u32 a, [at];
  ld.global.u32 b, [at+128];
  ld.global.u32 c, [at+256];
  ld.param.u32 m, [members];
  mov.u32 d, 77;
  mov.u32 f, 2;
  shr.u32 t, m, t;
  and.b32 t, t, 1;
  setp.ne.u32 q, t, 0;
  @q shfl.sync.{mode}.b32 d|p, a, b, c, m;
  @q selp.u32 f, 1, 0, p;
  st.global.u32 [at+384], d;
  st.global.u32 [at+512], f;
  ret;
}}
"""


def _answer(mode: str, a: Words, b: Words, c: Words, mask: int) -> Words:
    """What each lane gets, and whether its source was inside."""
    result = np.empty((2, LANES), np.uint32)
    for lane in range(LANES):
        if not mask >> lane & 1:
            result[:, lane] = 77, 2
            continue
        shift, clamp, segment = int(b[lane]) & 31, int(c[lane]) & 31, int(c[lane]) >> 8
        segment &= 31
        most = (lane & segment) | (clamp & ~segment)
        least = lane & segment
        source = {
            "up": lane - shift,
            "down": lane + shift,
            "bfly": lane ^ shift,
            "idx": least | (shift & ~segment),
        }[mode]
        inside = source >= most if mode == "up" else source <= most
        result[:, lane] = a[source if inside else lane], inside
    return result


def check() -> list[str]:
    """The cases that went wrong."""
    wrong = []
    random = np.random.default_rng(5)
    for mode in ("up", "down", "bfly", "idx"):
        module = ptx.Module(KERNEL.format(mode=mode))
        for index in range(ROUNDS):
            x = random.integers(0, 2**32, (5, LANES), dtype=np.uint32)
            if index % 3 == 0:  # as __shfl_sync writes it
                x[1] = random.integers(0, LANES)
                x[2] = 0 if mode == "up" else 31
            mask = 0xFFFFFFFF if index % 4 else int(random.integers(1, 2**32))
            want = _answer(mode, x[0], x[1], x[2], mask)
            args = [x, np.uint32(mask)]
            module.launch("k", 1, 32, args, counters=False, check=set())
            # What an absent lane gives is not defined.
            shown = x[3:].copy()
            if mask != 0xFFFFFFFF:
                shown[0], want[0] = 0, 0
            if not np.array_equal(shown, want):
                wrong.append(f"shfl.{mode} round {index}")
    return wrong
