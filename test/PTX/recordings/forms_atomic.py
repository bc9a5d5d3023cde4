"""Forms of atomics: x is the value returned, y the memory afterwards."""

from recordings.form import SIZE, FormTable

SPACES = (("global", "gm"), ("shared", "sa"))
INTEGERS = ("s32", "u32", "s64", "u64")
REDUCTIONS = ("add.u32", "add.f32", "add.f64", "min.s32", "max.u64", "xor.b32")
REDUCTIONS += ("inc.u32", "add.noftz.f16x2", "add.noftz.bf16x2")
QUAD = "f32 f32 f32 f32"


class Place:
    """A space and the name of an address in it."""

    def __init__(self, table: FormTable, space: str, address: str) -> None:
        self.table, self.space, self.address = table, space, address

    def atom(self, operation: str, t: str, sm: int = 80) -> None:
        """Adds an atom form: the memory starts as a, the operands are b (and c)."""
        compare = operation == "cas"
        word, place = f"b{8 * SIZE[t]}", f"[{self.address}]"
        operands, inputs = ("b, c", f"{t} {t} {t}") if compare else ("b", f"{t} {t}")
        name = f"atom.{self.space}.{operation}.{t}"
        body = (
            f"st.{self.space}.{word} {place}, a; {name} x, {place}, {operands}; "
            f"ld.{self.space}.{word} y, {place};"
        )
        self.table.add(name, inputs, f"{t} {t}", body, sm=sm)

    def red(self, operation: str, t: str) -> None:
        """Adds a red form."""
        word, place = f"b{8 * SIZE[t]}", f"[{self.address}]"
        name = f"red.{self.space}.{operation}.{t}"
        body = (
            f"st.{self.space}.{word} {place}, a; {name} {place}, b; "
            f"ld.{self.space}.{word} x, {place};"
        )
        self.table.add(name, f"{t} {t}", t, body, sm=90 if "bf16" in t else 80)


def add_scalars(table: FormTable, space: str, address: str) -> None:
    place = Place(table, space, address)
    for t in ("u32", "s32", "u64", "f32", "f64"):
        place.atom("add", t)
    for t in ("f16", "f16x2", "bf16", "bf16x2"):
        place.atom("add.noftz", t, sm=90)
    for t in INTEGERS:
        place.atom("min", t)
        place.atom("max", t)
    for t in ("b32", "b64"):
        for o in ("and", "or", "xor", "exch"):
            place.atom(o, t)
    for t in ("b16", "b32", "b64"):
        place.atom("cas", t)
    place.atom("inc", "u32")
    place.atom("dec", "u32")
    body = (
        f"st.{space}.b32 [{address}], a; atom.{space}.cas.b32 x, [{address}], a, b; "
        f"ld.{space}.b32 y, [{address}];"
    )
    table.add(f"atom.{space}.cas.b32 hit", "b32 b32", "b32 b32", body)
    for reduction in REDUCTIONS:
        operation, _, t = reduction.rpartition(".")
        place.red(operation, t)


def add_vectors(table: FormTable) -> None:
    body = (
        "st.global.v2.b32 [gm], {a, b}; atom.global.v2.f32.add {x, y}, [gm], {c, d}; "
        "ld.global.v2.b32 {z, w}, [gm];"
    )
    table.add("atom.global.v2.f32.add", QUAD, QUAD, body, sm=90)
    body = (
        "st.global.v4.b32 [gm], {a, b, c, d}; "
        "atom.global.v4.f32.add {t0, t1, t2, t3}, [gm], {d, c, b, a}; "
        "ld.global.v4.b32 {x, y, z, w}, [gm];"
    )
    table.add("atom.global.v4.f32.add", QUAD, QUAD, body, sm=90)
    halves = "{h0, h1, h2, h3}"
    for t in ("f16x2", "bf16x2"):
        types = f"{t} {t} {t} {t}"
        for o in ("add", "min", "max"):
            name = f"atom.global.v2.{t}.{o}.noftz"
            body = (
                f"st.global.v2.b32 [gm], {{a, b}}; {name} {{x, y}}, [gm], {{c, d}}; "
                "ld.global.v2.b32 {z, w}, [gm];"
            )
            table.add(name, types, types, body, sm=90)
            name = f"atom.global.v4.{t[:-2]}.{o}.noftz"
            body = (
                "st.global.v2.b32 [gm], {a, b}; mov.b32 {h0, h1}, c; "
                f"mov.b32 {{h2, h3}}, d; {name} {halves}, [gm], {halves}; "
                "ld.global.v2.b32 {z, w}, [gm]; mov.b32 x, {h0, h1}; "
                "mov.b32 y, {h2, h3};"
            )
            table.add(name, types, types, body, sm=90)
    body = (
        "st.global.v4.b32 [gm], {a, b, c, d}; "
        "red.global.v4.f32.add [gm], {d, c, b, a}; "
        "ld.global.v4.b32 {x, y, z, w}, [gm];"
    )
    table.add("red.global.v4.f32.add", QUAD, QUAD, body, sm=90)


def add_wide(table: FormTable) -> None:
    body = (
        ".reg .b128 Q, R, S; st.global.v2.b64 [gm], {a, b}; mov.b128 Q, {c, d}; "
        "mov.b128 R, {a, b}; atom.global.cas.b128 S, [gm], R, Q; "
        "ld.global.v2.b64 {x, y}, [gm];"
    )
    table.add("atom.global.cas.b128", "b64 b64 b64 b64", "b64 b64", body, sm=90)
    body = (
        ".reg .b128 Q, S; st.global.v2.b64 [gm], {a, b}; mov.b128 Q, {c, d}; "
        "atom.global.exch.b128 S, [gm], Q; mov.b128 {x, y}, S; "
        "ld.global.v2.b64 {z, w}, [gm];"
    )
    types = "b64 b64 b64 b64"
    table.add("atom.global.exch.b128", types, types, body, sm=90)


def add_forms(table: FormTable) -> None:
    table.group = "atom"
    for space, address in SPACES:
        add_scalars(table, space, address)
    add_vectors(table)
    add_wide(table)
    body = (
        "mov.u32 t0, 0; st.shared.b32 [sm], t0; bar.warp.sync -1; "
        "atom.shared.add.u32 t1, [sm], a; bar.warp.sync -1; ld.shared.b32 x, [sm];"
    )
    table.add("32 lanes atom.shared.add.u32", "u32", "u32", body)
