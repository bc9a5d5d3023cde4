"""Loads and stores of one warp in many patterns, with NumPy's answer.

A warp's addresses often lie in a simple order, for which the emulator has short
ways: side by side, or all at one place, in each half of the warp. The patterns here
are those, what almost is one of them, and others.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Offsets = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]

LANES = 32
#: Of the source and of the destination.
SIZE = 4096


@dataclasses.dataclass(frozen=True)
class Form:
    """A load into registers and the store of what they then hold."""

    load: str
    store: str
    register: str
    count: int
    loaded: int  # bytes of an element
    stored: int
    signed: bool = False

    @property
    def vector(self) -> str:
        return f".v{self.count}" if self.count > 1 else ""


FORMS = (
    Form("u8", "u32", "b32", 1, 1, 4),
    Form("s8", "u32", "b32", 1, 1, 4, signed=True),
    Form("u16", "u16", "b16", 1, 2, 2),
    Form("s8", "u16", "b16", 1, 1, 2, signed=True),
    Form("s16", "u32", "b32", 1, 2, 4, signed=True),
    Form("u32", "u8", "b32", 1, 4, 1),
    Form("u32", "u16", "b32", 1, 4, 2),
    Form("b32", "b32", "b32", 1, 4, 4),
    Form("f32", "f32", "f32", 2, 4, 4),
    Form("b32", "b32", "b32", 4, 4, 4),
    Form("s32", "u64", "b64", 1, 4, 8, signed=True),
    Form("b64", "b64", "b64", 1, 8, 8),
    Form("b64", "b64", "b64", 2, 8, 8),
    Form("u16", "u16", "b16", 4, 2, 2),
)

KERNEL = """.version 8.7
.target sm_90a
.address_size 64
.visible .entry move(.param .u64 source, .param .u64 destination,
                     .param .u64 from, .param .u64 to, .param .u32 lanes)
{{
  .reg .pred p;
  .reg .b32 t, mask, in, out, i, word, base;
  .reg .b64 d, at, a, b;
  .reg .{register} v<4>;
  .shared .align 16 .b8 window[{twice}];
  mov.u32 t, %tid.x;
  mul.wide.u32 d, t, 4;
  ld.param.u64 at, [from];
  add.u64 at, at, d;
  ld.global.u32 in, [at];
  ld.param.u64 at, [to];
  add.u64 at, at, d;
  ld.global.u32 out, [at];
  ld.param.u32 mask, [lanes];
  shr.u32 mask, mask, t;
  and.b32 mask, mask, 1;
  {places}
  setp.ne.u32 p, mask, 0;
  @p ld{space}{vector}.{load} {registers}, [{first}];
  @p st{space}{vector}.{store} [{second}], {registers};
  {finish}
  ret;
}}
"""

GLOBAL = """
  ld.param.u64 a, [source];
  cvt.u64.u32 at, in;
  add.u64 a, a, at;
  ld.param.u64 b, [destination];
  cvt.u64.u32 at, out;
  add.u64 b, b, at;"""

#: Each lane moves every 32nd word from or to the window.
COPY = """
  mov.u32 i, t;
{name}:
  mul.wide.u32 d, i, 4;
  ld.param.u64 at, [{parameter}];
  add.u64 at, at, d;
  shl.b32 word, i, 2;
  add.u32 word, word, base;
  {move}
  add.u32 i, i, 32;
  setp.lt.u32 p, i, {words};
  @p bra {name};"""


def _copies(half: int, inwards: bool) -> str:
    parameter = ("source", "destination")[half]
    there = "ld.global.u32 in0, [at];\n  st.shared.u32 [word], in0;"
    back = "ld.shared.u32 in0, [word];\n  st.global.u32 [at], in0;"
    loop = COPY.format(
        name=f"copy{half}{int(inwards)}",
        parameter=parameter,
        move=there if inwards else back,
        words=SIZE // 4,
    )
    return f"  mov.u32 base, window;\n  add.u32 base, base, {half * SIZE};{loop}"


def kernel(form: Form, space: str) -> str:
    """The text of a kernel that moves one element form in a state space."""
    registers = ", ".join(f"v{i}" for i in range(form.count))
    text = {
        "space": "" if space.startswith("generic") else f".{space}",
        "first": "a",
        "second": "b",
        "places": GLOBAL,
        "finish": "",
    }
    if space != "global" and space != "generic":
        places = _copies(0, True) + _copies(1, True) + "\n  bar.warp.sync -1;"
        places += "\n  mov.u32 base, window;\n  add.u32 in, in, base;\n  add.u32 "
        places += f"out, out, base;\n  add.u32 out, out, {SIZE};"
        if space == "generic shared":
            places += "\n  cvt.u64.u32 a, in;\n  cvta.shared.u64 a, a;"
            places += "\n  cvt.u64.u32 b, out;\n  cvta.shared.u64 b, b;"
        else:
            text |= {"first": "in", "second": "out"}
        text["places"] = places.replace("in0", "mask0")
        text["finish"] = "bar.warp.sync -1;\n" + _copies(1, False)
        text["finish"] = text["finish"].replace("in0", "mask0")
    result = KERNEL.format(
        **text,
        register=form.register,
        vector=form.vector,
        load=form.load,
        store=form.store,
        registers=f"{{{registers}}}" if form.count > 1 else registers,
        twice=2 * SIZE,
    )
    return result.replace(".reg .b32 t,", ".reg .b32 mask0, t,")


def patterns(bytes_: int, seed: int) -> Iterator[tuple[str, Offsets]]:
    """Offsets of the lanes, multiples of the bytes that each accesses."""
    random = np.random.default_rng(seed)
    lane = np.arange(LANES)
    half, inside = lane // 16, lane % 16
    most = SIZE // bytes_ - 1
    some = int(random.integers(0, most - 2 * LANES))
    cases = {
        "run": some + lane,
        "one": np.full(LANES, some),
        "run to the end": most - 31 + lane,
        "one at the end": np.full(LANES, most),
        "two runs": np.where(half, 3, some) + inside,
        "equal runs": some + inside,
        "runs that overlap": some + inside + 5 * half,
        "run and one": np.where(half, most, some + lane),
        "one and run": np.where(half, some + lane, 7),
        "two places": np.where(half, some, most - 1),
        "reversed": some + 31 - lane,
        "every other": some + 2 * lane,
        "but the last": some + lane + (lane == 31),
        "but the first": some + lane + 2 * (lane == 0),
        "anywhere": random.permutation(most + 1)[:LANES],
        "eights": some + lane % 8,
    }
    for name, elements in cases.items():
        yield name, (elements * bytes_).astype(np.uint32)


def answer(
    form: Form,
    source: Bytes,
    destination: Bytes,
    from_: Offsets,
    to: Offsets,
    mask: int,
) -> Bytes:
    """The destination afterwards; of lanes that write one place the last wins."""
    result = destination.copy()
    for lane in range(LANES):
        if not mask >> lane & 1:
            continue
        for element in range(form.count):
            at = int(from_[lane]) + element * form.loaded
            value = int.from_bytes(
                source[at : at + form.loaded].tobytes(), "little", signed=form.signed
            )
            to_ = int(to[lane]) + element * form.stored
            stored = (value % 2 ** (8 * form.stored)).to_bytes(form.stored, "little")
            result[to_ : to_ + form.stored] = np.frombuffer(stored, np.uint8)
    return result
