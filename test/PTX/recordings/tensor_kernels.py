"""Kernels that run one mma.sync or wgmma per tile, and the memory they read."""

import dataclasses

import numpy as np

from recordings.tensor_layouts import (
    fragment_a,
    fragment_b,
    fragment_c,
    group_fragment_a,
    group_fragment_c,
    pack,
    shared_layout,
)
from recordings.tensor_tiles import Tiles
from recordings.tensor_variants import FORMATS, INTEGERS, Mma, Wgmma


def register_list(letter: str, count: int) -> str:
    return "{" + ", ".join(f"{letter}{j}" for j in range(count)) + "}"


def mma_registers(variant: Mma) -> tuple[int, int, int, int]:
    """Registers of A, B, C and D of one lane."""
    s = variant.shape
    a = fragment_a(s.m, s.k, s.a)[0].shape[0]
    b = fragment_b(s.k, s.n, s.b)[0].shape[0]
    d = fragment_c(s.m, s.n, s.d)[0].shape[0]
    return a, b, d, d


def mma_kernel(variant: Mma, entry: str = "form") -> str:
    """An entry with the addresses pa, pb, pc, pd of registers [tile, lane, register].

    One warp a block, one tile a warp.
    """
    width = 64 if variant.shape.a == "f64" else 32
    step = width // 8
    counts = mma_registers(variant)
    params = ", ".join(f".param .u64 p{name}" for name in "abcd")
    lines = [
        f".visible .entry {entry}({params}) {{",
        f".reg .b32 i, l; .reg .b64 o; .reg .b{width} a<8>, b<4>, c<4>, d<4>;",
        "mov.u32 i, %ctaid.x; mov.u32 l, %tid.x; mad.lo.u32 i, i, 32, l;",
    ]
    for name, count in zip("abcd", counts, strict=True):
        lines.append(
            f".reg .b64 q{name}; ld.param.u64 q{name}, [p{name}]; "
            f"mul.wide.u32 o, i, {count * step}; add.u64 q{name}, q{name}, o;"
        )
        if name != "d":
            lines += [
                f"ld.global.b{width} {name}{j}, [q{name}+{j * step}];"
                for j in range(count)
            ]
    a, b, c, d = map(register_list, "abcd", counts)
    lines.append(f"{variant.instruction} {d}, {a}, {b}, {c};")
    lines += [f"st.global.b{width} [qd+{j * step}], d{j};" for j in range(counts[3])]
    return "\n".join([*lines, "ret; }"])


def mma_inputs(variant: Mma, tiles: Tiles) -> tuple[np.ndarray, ...]:
    """The registers [tile, lane, register] of A, B and C."""
    s = variant.shape
    a, b, c = tiles
    return (
        pack(a, fragment_a(s.m, s.k, s.a), s.a),
        pack(b, fragment_b(s.k, s.n, s.b), s.b),
        pack(c, fragment_c(s.m, s.n, s.d), s.d),
    )


def sparse_kernel(selector: int, entry: str = "form") -> str:
    """mma.sp.m16n8k32 of bf16: addresses of A, B, C, metadata and D registers."""
    lines = [
        f".visible .entry {entry}(.param .u64 pa, .param .u64 pb, .param .u64 pc, "
        ".param .u64 pe, .param .u64 pd) {",
        ".reg .b32 i, l, e, a<4>, b<4>, c<4>, d<4>; .reg .b64 o, q;",
        "mov.u32 i, %ctaid.x; mov.u32 l, %tid.x; mad.lo.u32 i, i, 32, l;",
    ]
    for name in "abc":
        lines.append(
            f"ld.param.u64 q, [p{name}]; mul.wide.u32 o, i, 16; add.u64 q, q, o; "
            f"ld.global.v4.b32 {register_list(name, 4)}, [q];"
        )
    lines += [
        "ld.param.u64 q, [pe]; mul.wide.u32 o, i, 4; add.u64 q, q, o; "
        "ld.global.b32 e, [q];",
        "mma.sp::ordered_metadata.sync.aligned.m16n8k32.row.col.f32.bf16.bf16.f32 "
        f"{register_list('d', 4)}, {register_list('a', 4)}, {register_list('b', 4)}, "
        f"{register_list('c', 4)}, e, {selector};",
        "ld.param.u64 q, [pd]; mul.wide.u32 o, i, 16; add.u64 q, q, o; "
        f"st.global.v4.b32 [q], {register_list('d', 4)};",
    ]
    return "\n".join([*lines, "ret; }"])


@dataclasses.dataclass(frozen=True)
class GroupInputs:
    """The memory of a wgmma kernel: images of shared memory [tile, byte], registers
    [tile, thread, register], and the matrix descriptors without the base address."""

    image: np.ndarray
    a: np.ndarray | None
    c: np.ndarray
    descriptors: tuple[int, int]


def group_inputs(variant: Wgmma, tiles: Tiles) -> GroupInputs:
    """Places tiles in shared memory, between random bytes, and in registers."""
    s = variant.shape
    a, b, c = tiles
    random = np.random.RandomState(0)
    images, descriptors, position = [], [0, 0], 0
    operands = (
        (a, variant.layout_a, s.a),
        (b.transpose(0, 2, 1), variant.layout_b, s.b),
    )
    for index, (x, layout, t) in enumerate(operands):
        if layout is None:
            continue
        size = FORMATS[t].bytes if t in FORMATS else 1
        skipped = variant.start // size
        offset, descriptor = shared_layout(
            layout, x.shape[1], x.shape[2] + skipped, size
        )
        offset = offset[:, skipped:]
        end = -(-(int(offset.max()) + size) // 1024) * 1024
        image = random.randint(0, 256, (len(x), end)).astype(np.uint8)
        for byte in range(size):
            image[:, offset + byte] = (x >> np.uint64(8 * byte)).astype(np.uint8)
        images.append(image)
        descriptors[index] = descriptor + ((position + variant.start) >> 4)
        position += end
    registers = None
    if variant.layout_a is None:
        registers = pack(a, group_fragment_a(s.k, s.a), s.a)
    return GroupInputs(
        np.concatenate(images, 1),
        registers,
        pack(c, group_fragment_c(s.n, s.d), s.d),
        (descriptors[0], descriptors[1]),
    )


def wgmma_instruction(variant: Wgmma, registers: int) -> str:
    """The instruction on d0.., the descriptors x and y (or a0..a3) and p."""
    s = variant.shape
    opcode = f"wgmma.mma_async.sync.aligned.m64n{s.n}k{s.k}.{s.d}.{s.a}.{s.b}"
    flags = ""
    if s.a not in INTEGERS:
        flags = f", {-1 if variant.negate_a else 1}, {-1 if variant.negate_b else 1}"
    if s.a in ("f16", "bf16"):
        if variant.layout_a:
            flags += f", {int(variant.layout_a[0] == 'M')}"
        flags += f", {int(variant.layout_b[0] == 'M')}"
    a = "x" if variant.layout_a else register_list("a", 4)
    return f"{opcode} {register_list('d', registers)}, {a}, y, p{flags};"


def wgmma_kernel(variant: Wgmma, inputs: GroupInputs, entry: str = "form") -> str:
    """An entry with the addresses pm (images), pa, pc and pd (registers).

    One group of four warps a block, one tile a block.
    """
    size, registers = inputs.image.shape[1], inputs.c.shape[2]
    lines = [
        f".visible .entry {entry}(.param .u64 pm, .param .u64 pa, .param .u64 pc, "
        ".param .u64 pd) {",
        f".shared .align 1024 .b8 sm[{size}];",
        ".reg .b32 t, g, v, s; .reg .b64 m, e, f, x, y; "
        f".reg .b32 a<4>, d<{registers}>; .reg .pred p;",
        "mov.u32 t, %tid.x; mov.u32 g, %ctaid.x; ld.param.u64 m, [pm];",
        f"mul.wide.u32 e, g, {size}; add.u64 m, m, e; mul.wide.u32 e, t, 4; "
        "add.u64 m, m, e; mov.u32 s, sm; shl.b32 v, t, 2; add.u32 s, s, v;",
    ]
    lines += [
        f"ld.global.b32 v, [m+{at}]; st.shared.b32 [s+{at}], v;"
        for at in range(0, size, 512)
    ]
    lines.append("fence.proxy.async; bar.sync 0; mad.lo.u32 t, g, 128, t;")
    if variant.layout_a is None:
        lines.append(
            "ld.param.u64 m, [pa]; mul.wide.u32 e, t, 16; add.u64 m, m, e; "
            "ld.global.v4.b32 {a0, a1, a2, a3}, [m];"
        )
    lines.append(
        f"ld.param.u64 m, [pc]; mul.wide.u32 e, t, {4 * registers}; add.u64 m, m, e; "
        "ld.param.u64 f, [pd]; add.u64 f, f, e;"
    )
    lines += [f"ld.global.b32 d{j}, [m+{4 * j}];" for j in range(registers)]
    lines.append("mov.u32 s, sm; shr.u32 s, s, 4; cvt.u64.u32 e, s;")
    for name, descriptor in zip("xy", inputs.descriptors, strict=True):
        signed = descriptor - (1 << 64) if descriptor >> 63 else descriptor
        lines.append(f"add.u64 {name}, e, {signed};")
    lines += [
        f"setp.ne.u32 p, {int(variant.accumulate)}, 0;",
        "wgmma.fence.sync.aligned;",
        wgmma_instruction(variant, registers),
        "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0;",
    ]
    lines += [f"st.global.b32 [f+{4 * j}], d{j};" for j in range(registers)]
    return "\n".join([*lines, "ret; }"])
