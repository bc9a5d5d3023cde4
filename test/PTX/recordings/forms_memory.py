"""Forms of loads, stores, asynchronous copies and packing moves."""

from recordings.form import FormTable


def add_widths(table: FormTable, space: str, address: str) -> None:
    """Loads and stores of parts of registers."""
    for t in ("s8", "u8", "b8", "s16", "u16", "b16"):
        byte = "8" in t
        for r, offset in (("b32", 1 if byte else 2), ("b64", 3 if byte else 6)):
            load = f"ld.{space}.{t} x, [{address}+{offset}];"
            body = f"st.{space}.b64 [{address}], a; {load}"
            table.add(f"ld.{space}.{t} -> {r}", "b64", r, body, n=512)
    body = (
        f"st.{space}.b64 [{address}], a; ld.{space}.s32 x, [{address}]; "
        f"ld.{space}.u32 y, [{address}+4];"
    )
    table.add(f"ld.{space}.s32 -> b64", "b64", "b64 b64", body, n=512)
    body = (
        f"st.{space}.b64 [{address}], a; st.{space}.b8 [{address}+1], b; "
        f"st.{space}.b16 [{address}+4], c; ld.{space}.b64 x, [{address}];"
    )
    name = f"st.{space}.b8/b16 from b32"
    table.add(name, "b64 b32 b32", "b64", body, n=512)
    body = (
        f"st.{space}.b64 [{address}], a; st.{space}.u8 [{address}+7], b; "
        f"ld.{space}.b64 x, [{address}];"
    )
    table.add(f"st.{space}.u8 from b64", "b64 b64", "b64", body, n=512)


def add_vectors(table: FormTable, space: str, address: str) -> None:
    """Loads and stores of vectors."""
    body = (
        f"st.{space}.v2.b16 [{address}], {{a, b}}; "
        f"st.{space}.v4.b8 [{address}+4], {{c, d, c, d}}; "
        f"ld.{space}.v2.b16 {{y, x}}, [{address}]; ld.{space}.b32 z, [{address}+4];"
    )
    name = f"st/ld.{space}.v2.b16 v4.b8"
    table.add(name, "b16 b16 b32 b32", "b16 b16 b32", body, n=512)
    body = (
        f"st.{space}.v4.b32 [{address}], {{a, b, c, d}}; "
        f"ld.{space}.v2.b64 {{x, y}}, [{address}];"
    )
    name = f"st/ld.{space}.v4.b32 v2.b64"
    table.add(name, "b32 b32 b32 b32", "b64 b64", body, n=512)
    quad = "b32 b32 b32 b32"
    body = (
        f"st.{space}.b32 [{address}+8], a; "
        f"ld.{space}.v4.u8 {{x, y, z, w}}, [{address}+8];"
    )
    table.add(f"ld.{space}.v4.u8", "b32", quad, body, n=512)
    body = (
        f"st.{space}.b32 [{address}+8], a; ld.{space}.v2.s8 {{x, y}}, [{address}+10];"
    )
    table.add(f"ld.{space}.v2.s8", "b32", "b32 b32", body, n=512)
    body = (
        f"st.{space}.b64 [{address}+16], a; "
        f"ld.{space}.v4.s16 {{x, y, z, w}}, [{address}+16];"
    )
    table.add(f"ld.{space}.v4.s16", "b64", quad, body, n=512)


def add_qualified(table: FormTable) -> None:
    """Loads with a cache operator, a state space window or a memory order."""
    body = (
        "mov.u32 t0, %laneid; shl.b32 t0, t0, 2; cvt.u64.u32 l0, t0; "
        "sub.u64 l0, in0, l0; mov.u32 t1, %laneid; and.b32 t1, t1, 7; "
        "shl.b32 t1, t1, 4; cvt.u64.u32 l1, t1; add.u64 l0, l0, l1; "
        "ld.global.nc.v4.b32 {x, y, z, w}, [l0];"
    )
    table.add("ld.global.nc.v4.b32", "b32", "b32 b32 b32 b32", body, n=512)
    body = "ld.global.nc.s8 x, [in0+3];"
    table.add("ld.global.nc.s8", "b32", "b32", body, n=512)
    body = (
        "st.shared::cta.b32 [sa], a; cvt.u64.u32 l0, sa; cvta.shared.u64 l0, l0; "
        "ld.b32 x, [l0];"
    )
    table.add("ld.shared::cta / generic", "b32", "b32", body, n=512)
    body = (
        "st.release.gpu.global.b32 [gm], a; ld.acquire.gpu.global.b32 x, [gm]; "
        "ld.volatile.global.b32 y, [gm]; ld.relaxed.sys.global.b32 z, [gm];"
    )
    table.add("ld.volatile/relaxed/acquire", "b32", "b32 b32 b32", body, n=512)


def add_moves(table: FormTable) -> None:
    body = (
        "mov.b64 x, {b, a}; mov.b32 {h0, h1}, a; mov.b32 y, {h1, h0}; "
        "mov.b64 {t0, z}, c;"
    )
    table.add("mov pack/unpack", "b32 b32 b64", "b64 b32 b32", body, n=512)
    body = "mov.b64 {h0, h1, h2, h3}, a; mov.b64 x, {h3, h2, h1, h0};"
    table.add("mov.b64 {4 x b16}", "b64", "b64", body, n=512)


def add_copies(table: FormTable) -> None:
    """cp.async with a source size and with an ignored source."""
    fill = "st.global.v2.b64 [gm], {a, b}; st.shared.v2.b64 [sa], {c, c}; "
    for operator, sizes in (("ca", (4, 8, 16)), ("cg", (16,))):
        for size in sizes:
            body = (
                f"{fill}min.u32 t0, d, {size}; "
                f"cp.async.{operator}.shared.global [sa], [gm], {size}, t0; "
                "cp.async.wait_all; ld.shared.v2.b64 {x, y}, [sa];"
            )
            name = f"cp.async.{operator} {size} src-size"
            table.add(name, "b64 b64 b64 srcsz", "b64 b64", body, n=512)
    body = (
        f"{fill}cp.async.ca.shared.global [sa], [gm], 16, d; cp.async.commit_group; "
        "cp.async.wait_group 0; ld.shared.v2.b64 {x, y}, [sa];"
    )
    name = "cp.async.ca 16 ignore-src"
    table.add(name, "b64 b64 b64 pred", "b64 b64", body, n=512)


def add_forms(table: FormTable) -> None:
    table.group = "ldst"
    for space, address in (("global", "gm"), ("shared", "sa")):
        add_widths(table, space, address)
        add_vectors(table, space, address)
    add_qualified(table)
    add_moves(table)
    add_copies(table)
