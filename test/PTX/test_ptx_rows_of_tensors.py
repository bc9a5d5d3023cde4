"""Tensor copies of four rows by number, and swizzles of larger atoms."""

import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.6\n.target sm_100a\n.address_size 64\n"
ROWS, COLUMNS = 24, 96
TENSOR = np.arange(ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS) + 1

#: What lies where in four or eight lines of 128 bytes, in pieces of 16 (as printed
#: in the manual), by the bytes that stay together.
LAYOUTS = {
    16: [[line ^ piece for piece in range(8)] for line in range(8)],
    32: [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [2, 3, 0, 1, 6, 7, 4, 5],
        [4, 5, 6, 7, 0, 1, 2, 3],
        [6, 7, 4, 5, 2, 3, 0, 1],
    ],
    64: [[0, 1, 2, 3, 4, 5, 6, 7], [4, 5, 6, 7, 0, 1, 2, 3]],
}

COPY = """
.visible .entry k(.param .align 64 .b8 map[128], .param .u64 at, .param .u64 out) {{
  .shared .align 1024 .b8 box[2048]; .shared .align 8 .b64 bar;
  .reg .pred p, first; .reg .b32 t, i, w, s, c<5>; .reg .b64 a, o, m;
  ld.param.u64 a, [at]; ld.param.u64 o, [out];
  mov.u32 t, %tid.x; setp.eq.u32 first, t, 0;
  ld.global.v4.b32 {{c0, c1, c2, c3}}, [a]; ld.global.b32 c4, [a+16];
  mov.u64 m, map; cvta.param.u64 m, m;
  {body}
  ret;
}}
"""
LOAD = """
  @first mbarrier.init.shared::cta.b64 [bar], 1;
  @first fence.proxy.async.shared::cta;
  bar.sync 0;
  @first mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], {bytes};
  @first {copy};
wait: mbarrier.try_wait.parity.shared::cta.b64 p, [bar], 0; @!p bra wait;
  mov.u32 s, box; shl.b32 i, t, 2; add.u32 s, s, i;
  mul.wide.u32 a, t, 4; add.u64 o, o, a;
  mov.u32 i, 0;
each: ld.shared.b32 w, [s]; st.global.b32 [o], w;
  add.u32 s, s, 128; add.u64 o, o, 128; add.u32 i, i, 1;
  setp.lt.u32 p, i, {lines}; @p bra each;
"""
STORE = """
  mov.u32 s, box; shl.b32 i, t, 2; add.u32 s, s, i;
  mul.wide.u32 a, t, 4; add.u64 o, o, a;
  mov.u32 i, 0;
each: ld.global.b32 w, [o]; st.shared.b32 [s], w;
  add.u32 s, s, 128; add.u64 o, o, 128; add.u32 i, i, 1;
  setp.lt.u32 p, i, 4; @p bra each;
  fence.proxy.async.shared::cta; bar.sync 0;
  @first {copy};
  @first cp.async.bulk.commit_group; @first cp.async.bulk.wait_group 0;
"""
NAME = "cp.async.bulk.tensor.2d"
SIGNAL = "mbarrier::complete_tx::bytes"
TWO = "[m, {c0, c1}]"
FIVE = "[m, {c0, c1, c2, c3, c4}]"
GATHERS = {
    "own": f"{NAME}.shared::cta.global.tile::gather4.{SIGNAL} [box], {FIVE}, [bar]",
    "cluster": f"{NAME}.shared::cluster.global.tile::gather4.{SIGNAL} [box], {FIVE}, "
    "[bar]",
    "multicast": f"{NAME}.shared::cluster.global.tile::gather4.{SIGNAL}"
    f".multicast::cluster [box], {FIVE}, [bar], 1",
}


def launch(body: str, map: ptx.TensorMap, at: list[int], out: np.ndarray, **options):
    head = HEAD
    if target := options.pop("target", None):
        head = HEAD.replace("8.6", "8.8").replace("sm_100a", str(target))
    text = head + COPY.format(body=body)
    places = np.array([*at, 0, 0, 0, 0][:5], np.int32)
    return ptx.Module(text).launch("k", 1, 32, [map, places, out], **options)


def arranged(lines: np.ndarray, swizzle: int, atomicity: int) -> np.ndarray:
    """Rows of 32 words as they lie in shared memory."""
    if not swizzle:
        return lines
    layout = LAYOUTS[atomicity]
    pieces = lines.reshape(len(lines), 8, 4)
    return np.stack(
        [row[layout[i % len(layout)]] for i, row in enumerate(pieces)]
    ).reshape(lines.shape)


def four_rows(column: int, numbers: list[int]) -> np.ndarray:
    """The rows by number; zero outside the tensor."""
    found = np.zeros((4, 32), np.float32)
    for line, number in enumerate(numbers):
        for k in range(32):
            inside = 0 <= number < ROWS and 0 <= column + k < COLUMNS
            found[line, k] = TENSOR[number, column + k] if inside else 0
    return found


@pytest.mark.parametrize("completion", ["latest", "earliest"])
@pytest.mark.parametrize("swizzle, atomicity", [(0, 16), (128, 16), (128, 32)])
@pytest.mark.parametrize("form", GATHERS)
def test_gathers_four_rows(
    form: str, swizzle: int, atomicity: int, completion: str
) -> None:
    map = ptx.TensorMap(TENSOR, (1, 32), swizzle=swizzle, atomicity=atomicity)
    body = LOAD.format(bytes=512, copy=GATHERS[form], lines=4)
    for at in (
        [0, 3, 1, 4, 1],
        [64, 23, 24, -1, 0],
        [80, 5, 9, 2, 6],
        [-16, 7, 0, 7, 8],
    ):
        out = np.full((4, 32), -1, np.float32)
        result = launch(body, map, at, out, completion=completion)
        assert not result.findings
        want = arranged(four_rows(at[0], at[1:]), swizzle, atomicity)
        np.testing.assert_array_equal(out, want)


def test_a_gather_needs_boxes_of_one_row() -> None:
    map = ptx.TensorMap(TENSOR, (2, 32))
    body = LOAD.format(bytes=512, copy=GATHERS["own"], lines=4)
    findings = launch(body, map, [0, 0, 1, 2, 3], np.zeros(128, np.float32)).findings
    assert [f.kind for f in findings] == ["illegal-instruction"]
    assert "boxes of one" in findings[0].message


def test_a_gather_that_is_not_waited_for() -> None:
    map = ptx.TensorMap(TENSOR, (1, 32))
    body = LOAD.format(bytes=512, copy=GATHERS["own"], lines=4)
    body = body.replace(body[body.index("wait:") : body.index("mov.u32 s")], "")
    findings = launch(body, map, [0, 0, 1, 2, 3], np.zeros(128, np.float32)).findings
    assert "missing-wait" in {f.kind for f in findings}


@pytest.mark.parametrize("combine", ["", "add", "min", "max"])
def test_scatters_four_rows(combine: str) -> None:
    reduce = f"cp.reduce{NAME[2:]}.global.shared::cta.{combine}"
    name = reduce if combine else f"{NAME}.global.shared::cta"
    copy = f"{name}.tile::scatter4.bulk_group {FIVE}, [box]"
    new = np.arange(128, dtype=np.float32).reshape(4, 32) * 20
    for at in ([0, 3, 1, 4, 20], [64, 23, 24, 2, 0], [80, 5, 9, 2, 6]):
        tensor = TENSOR.copy()
        if combine in ("min", "max"):
            tensor = tensor.astype(np.int32)
        data = new.astype(tensor.dtype)
        want = tensor.copy()
        for line, number in enumerate(at[1:]):
            for k in range(32):
                if number < ROWS and at[0] + k < COLUMNS:
                    old = want[number, at[0] + k]
                    value = data[line, k]
                    chosen = {"add": old + value, "min": min(old, value)}
                    chosen["max"] = max(old, value)
                    want[number, at[0] + k] = chosen.get(combine, value)
        map = ptx.TensorMap(tensor, (1, 32))
        assert not launch(STORE.format(copy=copy), map, at, data).findings
        np.testing.assert_array_equal(tensor, want)


def test_a_scatter_takes_no_negative_rows() -> None:
    copy = f"{NAME}.global.shared::cta.tile::scatter4.bulk_group {FIVE}, [box]"
    map = ptx.TensorMap(TENSOR.copy(), (1, 32))
    data = np.zeros(128, np.float32)
    findings = launch(STORE.format(copy=copy), map, [0, 1, 2, 3, -1], data).findings
    assert [f.kind for f in findings] == ["illegal-instruction"]


def test_a_prefetch_of_four_rows_changes_nothing() -> None:
    tensor, out = TENSOR.copy(), np.zeros(1, np.float32)
    copy = f"cp.async.bulk.prefetch.tensor.2d.L2.global.tile::gather4 {FIVE};"
    map = ptx.TensorMap(tensor, (1, 32))
    assert not launch(copy, map, [0, 1, 2, 3, 4], out).findings
    np.testing.assert_array_equal(tensor, TENSOR)


@pytest.mark.parametrize("atomicity", [16, 32, 64])
def test_swizzles_keep_their_atoms_together(atomicity: int) -> None:
    map = ptx.TensorMap(TENSOR, (8, 32), swizzle=128, atomicity=atomicity)
    copy = f"{NAME}.shared::cta.global.tile.{SIGNAL} [box], [m, {{c0, c1}}], [bar]"
    out = np.zeros((8, 32), np.float32)
    body = LOAD.format(bytes=1024, copy=copy, lines=8)
    assert not launch(body, map, [32, 5], out).findings
    want = arranged(TENSOR[5:13, 32:64], 128, atomicity)
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("completion", ["latest", "earliest"])
def test_odd_lines_flip(completion: str) -> None:
    """Atoms of 32 bytes trade places; the halves of 16 bytes do in odd lines."""
    map = ptx.TensorMap(TENSOR, (8, 32), swizzle=128, atomicity=32, flips=True)
    copy = f"{NAME}.shared::cta.global.tile.{SIGNAL} [box], [m, {{c0, c1}}], [bar]"
    body = LOAD.format(bytes=1024, copy=copy, lines=8)
    for at in ([32, 5], [72, 20]):
        out = np.zeros((8, 32), np.float32)
        assert not launch(body, map, at, out, completion=completion).findings
        part = np.zeros((8, 32), np.float32)
        inside = TENSOR[at[1] : at[1] + 8, at[0] : at[0] + 32]
        part[: inside.shape[0], : inside.shape[1]] = inside
        want = arranged(part, 128, 32).reshape(8, 8, 2, 2)
        want[1::2] = want[1::2, :, ::-1]
        np.testing.assert_array_equal(out, want.reshape(8, 32))
    store = STORE.format(copy=f"{NAME}.global.shared::cta.bulk_group {TWO}, [box]")
    (finding,) = launch(store, map, [0, 0], np.zeros((8, 32), np.float32)).findings
    assert "for loads only" in finding.message
    with pytest.raises(ptx.PtxError, match="keep 32 bytes"):
        ptx.TensorMap(TENSOR, (8, 32), swizzle=128, flips=True).encode(4096)


@pytest.mark.parametrize("columns", [24, 16])
def test_swizzles_of_96_bytes(columns: int) -> None:
    """Rows follow each other at 96 bytes; neighbours trade places in odd lines."""
    map = ptx.TensorMap(TENSOR, (8, columns), swizzle=96)
    copy = f"{NAME}.shared::cta.global.tile.{SIGNAL} [box], [m, {{c0, c1}}], [bar]"
    body = LOAD.format(bytes=32 * columns, copy=copy, lines=6)
    out = np.zeros((6, 32), np.float32)
    options = {"target": "sm_103a", "check": ("bounds", "race", "async")}
    assert not launch(body, map, [24, 5], out, **options).findings
    pieces = np.full((48, 4), np.nan, np.float32)
    for row in range(8):
        for piece in range(columns // 4):
            line, place = divmod(6 * row + piece, 8)
            at = 8 * line + (place ^ line % 2)
            first = 24 + 4 * piece
            pieces[at] = TENSOR[5 + row, first : first + 4]
    given = ~np.isnan(pieces)
    np.testing.assert_array_equal(out.reshape(48, 4)[given], pieces[given])
    (finding,) = launch(body, map, [24, 5], out).findings
    assert "no swizzles of 96 bytes on sm_100" in finding.message


@pytest.mark.parametrize("swizzle, atomicity", [(64, 32), (0, 64), (128, 8), (96, 32)])
def test_atomicities_that_do_not_exist(swizzle: int, atomicity: int) -> None:
    map = ptx.TensorMap(TENSOR, (1, 16), swizzle=swizzle, atomicity=atomicity)
    with pytest.raises(ptx.PtxError, match="atomicity"):
        map.encode(4096)
