"""Tensor copies of elements of 4 and 6 bits, by the manuals.

Elements are packed in global memory. A load of padded ones puts 8 (4 bits) or 4 bytes
(6 bits) behind 16 of them in shared memory, which then are undefined; a store of 6-bit
ones takes the low bits of bytes.
"""

import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.8\n.target {target}\n.address_size 64\n"
BITS = {"b4x16": 4, "b4x16_p64": 4, "b6x16_p32": 6}
ROWS, COLUMNS, BYTES = 12, 384, 2048
SIGNAL = "mbarrier::complete_tx::bytes"

KERNEL = """
.visible .entry k(.param .align 64 .b8 map[128], .param .u64 image, .param .b32 x,
                  .param .b32 y) {{
  .shared .align 1024 .b8 box[2048]; .shared .align 8 .b64 bar;
  .reg .pred p, first; .reg .b32 t, i, w, s, x0, y0, r<4>; .reg .b64 a, o, m;
  ld.param.u64 o, [image]; ld.param.b32 x0, [x]; ld.param.b32 y0, [y];
  mov.u32 t, %tid.x; setp.eq.u32 first, t, 0;
  mov.u64 m, map; cvta.param.u64 m, m;
  mov.u32 s, box; shl.b32 i, t, 2; add.u32 s, s, i;
  mul.wide.u32 a, t, 4; add.u64 o, o, a; mov.u32 i, 0;
in: ld.global.b32 w, [o]; st.shared.b32 [s], w;
  add.u32 s, s, 128; add.u64 o, o, 128; add.u32 i, i, 1;
  setp.lt.u32 p, i, 16; @p bra in;
  sub.u32 s, s, 2048; sub.u64 o, o, 2048; mov.u32 i, 0;
  {body}
  ret;
}}
"""
LOAD = """
  @first mbarrier.init.shared::cta.b64 [bar], 1;
  fence.proxy.async.shared::cta; bar.sync 0;
  @first mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], {bytes};
  @first {copy};
wait: mbarrier.try_wait.parity.shared::cta.b64 p, [bar], 0; @!p bra wait;
"""
OUT = """
out: ld.shared.b32 w, [s]; st.global.b32 [o], w;
  add.u32 s, s, 128; add.u64 o, o, 128; add.u32 i, i, 1;
  setp.lt.u32 p, i, 16; @p bra out;
"""
TO_OWN = f"cp.async.bulk.tensor.2d.shared::cta.global.tile.{SIGNAL}"
TO_CLUSTER = f"cp.async.bulk.tensor.2d.shared::cluster.global.tile.{SIGNAL}"
STORE = """
  fence.proxy.async.shared::cta; bar.sync 0;
  @first cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group
    [m, {x0, y0}], [box];
  @first cp.async.bulk.commit_group; @first cp.async.bulk.wait_group 0;
"""


def packed(elements: np.ndarray, bits: int) -> np.ndarray:
    """Rows of elements as bytes, the first element in the lowest bits."""
    each = elements[..., None] >> np.arange(bits) & 1
    rows = each.reshape(*elements.shape[:-1], -1).astype(np.uint8)
    return np.packbits(rows, axis=-1, bitorder="little")


def tensor(kind: str, seed: int = 0) -> np.ndarray:
    """Elements, by rows."""
    random = np.random.default_rng(seed)
    return random.integers(0, 1 << BITS[kind], (ROWS, COLUMNS))


def aligned(data: np.ndarray) -> np.ndarray:
    """The same bytes where a tensor may begin."""
    place = np.zeros(data.nbytes + 256, np.uint8)
    start = -place.ctypes.data % 256
    found = place[start : start + data.nbytes].reshape(data.shape)
    found[:] = data
    return found


def map_of(kind: str, data: np.ndarray, box: tuple[int, int], **options):
    return ptx.TensorMap(aligned(data), box=box, type=kind, **options)


def swizzled(at: int, swizzle: int, atom: int) -> int:
    """Where a byte of the box lies: pieces trade places by the line of 128 bytes."""
    line, rest = divmod(at, 128)
    if not swizzle:
        return at
    piece, byte = divmod(rest, atom)
    return 128 * line + (piece ^ line % (swizzle // atom)) * atom + byte


def loaded(
    kind: str, elements: np.ndarray, box: tuple[int, int], at: tuple[int, int], **how
) -> dict[int, int]:
    """The defined bytes of shared memory after a load, by address."""
    bits, (rows, columns) = BITS[kind], box
    part = np.zeros(box, int)
    for r in range(rows):
        for c in range(columns):
            y, x = at[0] + r, at[1] + c
            if 0 <= y < ROWS and 0 <= x < COLUMNS:
                part[r, c] = elements[y, x]
    swizzle, atom = how.get("swizzle", 0), how.get("atomicity", 16)
    unit = 8 if kind == "b4x16" else 16
    pitch = swizzle or columns // 16 * unit
    found = {}
    for r, row in enumerate(packed(part, bits)):
        for i, value in enumerate(row):
            group, byte = divmod(i, 2 * bits)
            place = r * pitch + group * unit + byte
            found[swizzled(place, swizzle, atom)] = int(value)
    return found


def launch(body: str, map, at: tuple[int, int], image: np.ndarray, **options):
    options = {"target": "sm_100a", **options}
    text = HEAD.format(target=options.pop("target")) + KERNEL.format(body=body)
    args = [map, image, np.int32(at[1]), np.int32(at[0])]
    return ptx.Module(text).launch("k", 1, 32, args, **options)


def transferred(kind: str, box: tuple[int, int]) -> int:
    return box[0] * box[1] * BITS[kind] // 8


def load(kind: str, box: tuple[int, int], name: str = TO_OWN, after: str = OUT) -> str:
    copy = f"{name} [box], [m, {{x0, y0}}], [bar]"
    return LOAD.format(bytes=transferred(kind, box), copy=copy) + after


PADDED = [
    (kind, (5, 128), how)
    for kind in ("b4x16_p64", "b6x16_p32")
    for how in ({}, {"swizzle": 128}, {"swizzle": 128, "atomicity": 32})
]
PLAIN: list[tuple[str, tuple[int, int], dict[str, int]]] = [
    ("b4x16", (5, 96), {}),
    ("b4x16", (8, 256), {"swizzle": 128}),
    ("b4x16", (9, 160), {"swizzle": 128, "atomicity": 64}),
    ("b4x16", (9, 64), {"swizzle": 32}),
    ("b4x16", (9, 96), {"swizzle": 64}),
]


@pytest.mark.parametrize("completion", ["latest", "earliest"])
@pytest.mark.parametrize(("kind", "box", "how"), [*PADDED, *PLAIN])
def test_loads(
    kind: str, box: tuple[int, int], how: dict[str, int], completion: str
) -> None:
    elements = tensor(kind)
    map = map_of(kind, packed(elements, BITS[kind]), box, **how)
    step = 32 if kind == "b4x16" else 128
    for at in ((0, 0), (3, step), (-2, 256), (9, COLUMNS - step), (1, -128), (0, 512)):
        for name in (TO_OWN, TO_CLUSTER):
            image = np.full(BYTES, 7, np.uint8)
            body = load(kind, box, name)
            options = {"completion": completion, "check": {"bounds", "race", "async"}}
            result = launch(body, map, at, image, **options)
            assert not result.findings
            want = loaded(kind, elements, box, at, **how)
            assert {k: int(image[k]) for k in want} == want
            # What lies behind the box stays as it was.
            behind = -(-max(want) // 16) * 16
            assert (image[behind:] == 7).all()


@pytest.mark.parametrize("kind", ["b4x16_p64", "b6x16_p32"])
@pytest.mark.parametrize("completion", ["latest", "earliest"])
def test_padding_is_undefined(kind: str, completion: str) -> None:
    map = map_of(kind, packed(tensor(kind), BITS[kind]), (16, 128))
    read = "ld.shared.b32 w, [box+{}]; @first st.global.b32 [o], w;"
    for byte in range(0, 16, 4):
        body = load(kind, (16, 128), after=read.format(byte + 1024))
        result = launch(body, map, (0, 0), np.zeros(BYTES, np.uint8))
        kinds = [finding.kind for finding in result.findings]
        assert kinds == ([] if byte < 2 * BITS[kind] else ["uninitialised"])


@pytest.mark.parametrize(("kind", "box", "how"), PLAIN)
def test_stores_of_packed_bytes(
    kind: str, box: tuple[int, int], how: dict[str, int]
) -> None:
    """What a load would have brought goes back to where it came from."""
    elements = tensor(kind)
    image = np.zeros(BYTES, np.uint8)
    for place, value in loaded(kind, elements, box, (1, 32), **how).items():
        image[place] = value
    map = map_of(kind, np.full((ROWS, COLUMNS // 2), 255, np.uint8), box, **how)
    assert not launch(STORE, map, (1, 32), image).findings
    want = np.full((ROWS, COLUMNS), 15)
    rows, columns = slice(1, 1 + box[0]), slice(32, 32 + box[1])
    want[rows, columns] = elements[rows, columns]
    np.testing.assert_array_equal(map.array, packed(want, 4))


@pytest.mark.parametrize("atomicity", [0, 16, 32, 64])
def test_stores_of_six_bits(atomicity: int) -> None:
    how = {"swizzle": 128, "atomicity": atomicity} if atomicity else {}
    map = map_of("b6x16_p32", np.full((ROWS, 288), 255, np.uint8), (6, 128), **how)
    # Two bits above each element do not count.
    bytes = np.random.default_rng(1).integers(0, 256, (6, 128), np.uint8)
    image = np.zeros(BYTES, np.uint8)
    for at, value in enumerate(bytes.reshape(-1)):
        image[swizzled(at, how.get("swizzle", 0), how.get("atomicity", 16))] = value
    assert not launch(STORE, map, (8, 128), image).findings
    want = np.full((ROWS, COLUMNS), 63)
    want[8:12, 128:256] = bytes[:4] & 63
    np.testing.assert_array_equal(map.array, packed(want, 6))


@pytest.mark.parametrize("target", ["sm_100a", "sm_120a"])
def test_padded_elements_become_bytes_of_registers(target: str) -> None:
    """A load, and ldmatrix of what it brought: padding does no harm."""
    for kind in ("b4x16_p64", "b6x16_p32"):
        elements = tensor(kind)
        map = map_of(kind, packed(elements, BITS[kind]), (2, 128))
        body = load(
            kind,
            (2, 128),
            after=f"""mov.u32 s, box; and.b32 i, t, 7; shl.b32 i, i, 4; add.u32 s, s, i;
            ldmatrix.sync.aligned.m8n16.x1.shared.b8x16.{kind} {{r0}}, [s];
            st.global.b32 [o], r0;""",
        )
        image = np.zeros(BYTES, np.uint8)
        result = launch(body, map, (4, 128), image, target=target)
        assert not result.findings
        # ldmatrix puts 4 bits at the bottom of a byte.
        np.testing.assert_array_equal(image[:128], elements[4, 128:256])


def refused(body: str, map, at: tuple[int, int] = (0, 0), **options) -> str:
    (finding,) = launch(body, map, at, np.zeros(BYTES, np.uint8), **options).findings
    assert finding.kind == "illegal-instruction"
    return finding.message


def test_refusals() -> None:
    data = {kind: packed(tensor(kind), bits) for kind, bits in BITS.items()}
    small = {k: map_of(k, d, (4, 128)) for k, d in data.items()}
    four, eight, six = small.values()
    assert "only be loaded" in refused(STORE, eight)
    assert "no multiple of 16" in refused(load("b4x16", (4, 128)), four, (0, 16))
    for kind in ("b4x16_p64", "b6x16_p32"):
        assert "of 128" in refused(load(kind, (4, 128)), small[kind], (0, 64))
    assert "of 128" in refused(STORE, six, (0, 64))
    wide = map_of("b6x16_p32", data["b6x16_p32"], (4, 128), swizzle=128, atomicity=64)
    assert "only be stored" in refused(load("b6x16_p32", (4, 128)), wide)
    reduce = STORE.replace("cp.async.bulk.tensor", "cp.reduce.async.bulk.tensor")
    for map in small.values():
        how = "reduction" if map is not eight else "loaded"
        assert how in refused(reduce.replace(".tile", ".add.tile"), map)
    older = load("b4x16", (4, 128), TO_CLUSTER)
    assert "on sm_90" in refused(older, four, target="sm_90a")
    for map in small.values():
        body = load(str(map.type), (4, 128), TO_CLUSTER)
        assert ".shared::cta do" in refused(body, map, target="sm_120a")
    with pytest.raises(ptx.PtxError, match="whole elements of 6 bits"):
        six_bytes = ptx.TensorMap(
            np.zeros((4, 97), np.uint8), (4, 128), type="b6x16_p32"
        )
        six_bytes.encode(4096)


def test_the_barrier_counts_packed_bytes() -> None:
    """Waiting for the bytes of shared memory would take for ever."""
    map = map_of("b4x16_p64", packed(tensor("b4x16_p64"), 4), (4, 128))
    body = load("b4x16_p64", (4, 128)).replace("[bar], 256;", "[bar], 512;")
    assert "[bar], 512;" in body
    findings = launch(body, map, (0, 0), np.zeros(BYTES, np.uint8)).findings
    assert "256 bytes missing" in findings[0].message
