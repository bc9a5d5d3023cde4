"""tensormap.replace gives the descriptor that the host would have encoded."""

import pathlib

import isa_forms
import numpy as np
import pytest
from moe_mlir import ptx

HEAD = ".version 8.7\n.target sm_100a\n.address_size 64\n"
#: Of the new map: rows by sizes from the contiguous dimension on.
NEW = np.zeros((4, 6, 40), np.float32)
BOX, STEPS = (2, 3, 8), (1, 2, 1)
FIELDS = {
    "rank": ["2"],
    "global_address": ["base"],
    "global_dim": ["0, 40", "1, 6", "2, 4"],
    "global_stride": ["0, 160", "1, 960"],
    "box_dim": ["0, 8", "1, 3", "2, 2"],
    "element_stride": ["0, 1", "1, 2", "2, 1"],
    "elemtype": ["7"],
    "interleave_layout": ["0"],
    "swizzle_mode": ["3"],
    "swizzle_atomicity": ["3"],
    "fill_mode": ["1"],
}


def rows(build_root: pathlib.Path) -> list[isa_forms.Form]:
    table = isa_forms.read_table(str(build_root / "bin" / "ptx-run"))
    return [form for form in table if form.name.startswith("tensormap.replace")]


def statement(name: str, value: str) -> str:
    """The replacement of a field; values wider than an immediate go by register."""
    *ordinal, number = value.split(", ")
    before = "".join(f"{o}, " for o in ordinal)
    if name.endswith("b64"):
        setting = "" if number == "base" else f"mov.u64 wide, {number}; "
        return f"{setting}{name} [map], {before}{'base' if not setting else 'wide'};"
    return f"{name} [map], {before}{number};"


def kernel(statements: list[str], space: str, publish: str) -> str:
    """One lane edits a copy of `old`, which the warp stores to `out`."""
    words = range(0, 128, 4)
    shared = space == "shared::cta"
    copy = "".join(
        f"ld.param.b32 v, [old+{w}]; st.{space}.b32 [map+{w}], v;" for w in words
    )
    if space == "generic":
        copy = copy.replace(".generic", "")
    load = "".join(
        f"ld.param.b32 v, [new+{w}]; st.global.b32 [out+{128 + w}], v;" for w in words
    )
    back = "".join(
        f"ld.{'global' if publish or not shared else 'shared'}.b32 v, "
        f"[{'place' if publish else 'map'}+{w}]; st.global.b32 [out+{w}], v;"
        for w in words
    )
    return f"""{HEAD}
    .visible .entry k(.param .align 64 .b8 old[128], .param .align 64 .b8 new[128],
                      .param .u64 address, .param .u64 scratch, .param .u64 to) {{
      .shared .align 128 .b8 bytes[128];
      .reg .pred p; .reg .b32 t, v; .reg .b64 map, base, wide, out, place;
      ld.param.u64 base, [address]; ld.param.u64 out, [to];
      ld.param.u64 place, [scratch];
      {"mov.u64 map, bytes;" if shared else "mov.u64 map, place;"}
      mov.u32 t, %tid.x; setp.ne.u32 p, t, 0; @p bra edited;
      {copy}
      {" ".join(statements)}
    edited:
      bar.warp.sync -1;
      {publish}
      @p bra done;
      {back} {load}
    done: ret;
    }}"""


def run(text: str, new: ptx.TensorMap | None = None) -> tuple[bytes, bytes]:
    """The edited map and the one the host encoded."""
    old = ptx.TensorMap(np.zeros((16, 32), np.uint8), box=(4, 16))
    new = new or ptx.TensorMap(
        NEW,
        box=BOX,
        element_strides=STEPS,
        swizzle=128,
        atomicity=64,
        fill_nan=True,
        type="f32",
    )
    out, scratch = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
    result = ptx.Module(text).launch("k", 1, 32, [old, new, new.array, scratch, out])
    assert not result.findings, "\n".join(map(str, result.findings))
    return out[:128].tobytes(), out[128:].tobytes()


@pytest.mark.parametrize("space", ["global", "shared::cta", "generic"])
def test_every_field(space: str, build_root: pathlib.Path) -> None:
    modifier = "" if space == "generic" else f".{space}"
    statements = []
    # Element types of two targets have a row each.
    for form in {form.name: form for form in rows(build_root)}.values():
        field = form.name.split(".")[3]
        if form.name.split(field)[1].rpartition(".b1024")[0] == modifier:
            statements += [statement(form.name, value) for value in FIELDS[field]]
    assert len(statements) == sum(map(len, FIELDS.values()))
    got, want = run(kernel(statements, space, ""))
    assert got == want


@pytest.mark.parametrize(
    ("number", "kind", "columns"),
    [(13, "b4x16", 384), (14, "b4x16_p64", 384), (15, "b6x16_p32", 256)],
)
def test_packed_elements(number: int, kind: str, columns: int) -> None:
    array = np.zeros((4, 6, 192), np.uint8)
    fields = FIELDS | {
        "global_dim": [f"0, {columns}", "1, 6", "2, 4"],
        "global_stride": ["0, 192", "1, 1152"],
        "box_dim": ["0, 128", "1, 3", "2, 2"],
        "elemtype": [str(number)],
        "swizzle_atomicity": ["1"],
        "fill_mode": ["0"],
    }
    new = ptx.TensorMap(
        array, (2, 3, 128), 128, element_strides=STEPS, type=kind, atomicity=32
    )
    statements = [
        statement(
            f"tensormap.replace.tile.{field}.global.b1024."
            + ("b64" if field in ("global_address", "global_stride") else "b32"),
            value,
        )
        for field, values in fields.items()
        for value in values
    ]
    got, want = run(kernel(statements, "global", ""), new)
    assert got == want
    older = kernel(statements, "global", "").replace("sm_100a", "sm_90a")
    with pytest.raises(ptx.PtxError, match="needs sm_100a|from 0 to 12"):
        ptx.Module(older.replace("swizzle_atomicity", "swizzle_mode"))


@pytest.mark.parametrize("scope", ["cta", "cluster", "gpu", "sys"])
def test_copies_to_global_memory(scope: str) -> None:
    names = {
        f"tensormap.replace.tile.{field}.shared::cta.b1024."
        + ("b64" if field in ("global_address", "global_stride") else "b32"): values
        for field, values in FIELDS.items()
    }
    statements = [
        statement(n, value) for n, values in names.items() for value in values
    ]
    publish = (
        "tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release."
        f"{scope}.sync.aligned [place], [map], 128;"
        f"fence.proxy.tensormap::generic.acquire.{scope} [place], 128;"
    )
    got, want = run(kernel(statements, "shared::cta", publish))
    assert got == want


def test_values_a_field_has_not() -> None:
    wrong = "tensormap.replace.tile.{}.global.b1024.b32 [map], {};"
    with pytest.raises(AssertionError, match="has no value"):
        run(kernel([wrong.format("rank", 5)], "global", ""))
    with pytest.raises(ptx.PtxError, match="must be from 0 to 3"):
        run(kernel([wrong.format("swizzle_mode", 4)], "global", ""))
