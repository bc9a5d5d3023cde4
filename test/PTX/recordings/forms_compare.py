"""Forms of comparison: setp, set and testp."""

from recordings.form import FormTable

FLOAT_TESTS = ("eq", "ne", "lt", "le", "gt", "ge", "num", "nan")
UNORDERED_TESTS = ("equ", "neu", "ltu", "leu", "gtu", "geu")


def add_setp(table: FormTable) -> None:
    for t in ("s16", "u16", "s32", "u32", "s64", "u64"):
        unsigned = ("lo", "ls", "hi", "hs") if t == "u32" else ()
        for c in ("eq", "ne", "lt", "le", "gt", "ge", *unsigned):
            table.op(f"setp.{c}.{t}", f"{t} {t}", "pred")
    for t in ("b16", "b32", "b64"):
        for c in ("eq", "ne"):
            table.op(f"setp.{c}.{t}", f"{t} {t}", "pred")
    for t in ("f32", "ftz.f32", "f64", "f16", "ftz.f16", "bf16"):
        base = t.split(".")[-1]
        for c in FLOAT_TESTS + UNORDERED_TESTS:
            if t != "ftz.f16" or c in ("eq", "lt", "geu"):
                sm = 90 if base == "bf16" else 80
                table.op(f"setp.{c}.{t}", f"{base} {base}", "pred", sm=sm)
    for c in ("eq", "ltu", "ge", "nan"):
        for t in ("f16x2", "bf16x2"):
            body = f"setp.{c}.{t} x|y, a, b;"
            table.add(f"setp.{c}.{t}", f"{t} {t}", "pred pred", body, sm=90)
    for b in ("and", "or", "xor"):
        for t in ("s32", "f32"):
            body = f"setp.lt.{b}.{t} x|y, a, b, c;"
            table.add(f"setp.lt.{b}.{t} p|q", f"{t} {t} pred", "pred pred", body)
    body = "setp.ge.and.f32 x|y, a, b, !c;"
    table.add("setp.ge.and.f32 !c", "f32 f32 pred", "pred pred", body)


def add_set(table: FormTable) -> None:
    tests = ("eq.s32", "hi.u32", "lt.f32", "neu.f32", "le.f64", "gt.s64")
    for d in ("u32", "s32", "f32"):
        for test in tests:
            c, t = test.split(".")
            table.op(f"set.{c}.{d}.{t}", f"{t} {t}", d)
    table.op("set.lt.ftz.f32.f32", "f32 f32", "f32")
    body = "set.lt.and.u32.f32 x, a, b, c;"
    table.add("set.lt.and.u32.f32", "f32 f32 pred", "u32", body)
    for t in ("f16", "bf16", "f16x2", "bf16x2"):
        for c in ("lt", "neu", "nan", "geu"):
            table.op(f"set.{c}.{t}.{t}", f"{t} {t}", t, sm=90)
            if "x2" not in t:
                table.op(f"set.{c}.u16.{t}", f"{t} {t}", "u16", sm=90)
                table.op(f"set.{c}.u32.{t}", f"{t} {t}", "u32", sm=90)


def add_testp(table: FormTable) -> None:
    kinds = ("finite", "infinite", "number", "notanumber", "normal", "subnormal")
    for k in kinds:
        for t in ("f32", "f64"):
            table.op(f"testp.{k}.{t}", t, "pred")


def add_forms(table: FormTable) -> None:
    table.group = "cmp"
    add_setp(table)
    add_set(table)
    add_testp(table)
