"""Forms of integer arithmetic, logic, shifts, bit fields and selection."""

from recordings.form import FormTable

SHORTS, WORDS, LONGS = ("s16", "u16"), ("s32", "u32"), ("s64", "u64")


def add_arithmetic(table: FormTable) -> None:
    for t in SHORTS + WORDS + LONGS:
        for o in ("add", "sub", "mul.lo", "mul.hi", "div", "rem", "min", "max"):
            table.op(f"{o}.{t}", f"{t} {t}", t)
        for o in ("mad.lo", "mad.hi"):
            table.op(f"{o}.{t}", f"{t} {t} {t}", t)
        table.op(f"sad.{t}", f"{t} {t} {t}", t)
        table.op(f"shr.{t}", f"{t} sh", t)
        if t[0] == "s":
            table.op(f"abs.{t}", t, t)
            table.op(f"neg.{t}", t, t)
    for t, wide in (("s16", "s32"), ("u16", "u32"), ("s32", "s64"), ("u32", "u64")):
        table.op(f"mul.wide.{t}", f"{t} {t}", wide)
        table.op(f"mad.wide.{t}", f"{t} {t} {wide}", wide)
    for o in ("add.sat.s32", "sub.sat.s32", "min.relu.s32", "max.relu.s32"):
        table.op(o, "s32 s32", "s32", sm=90 if "relu" in o else 80)
    table.op("mad.hi.sat.s32", "s32 s32 s32", "s32")
    for t in ("u16x2", "s16x2"):
        relu = ("min.relu", "max.relu") if t[0] == "s" else ()
        for o in ("add", "min", "max", *relu):
            table.op(f"{o}.{t}", f"{t} {t}", t, sm=90)


def add_logic(table: FormTable) -> None:
    for o in ("and", "or", "xor"):
        for t in ("b16", "b32", "b64"):
            table.op(f"{o}.{t}", f"{t} {t}", t)
        table.op(f"{o}.pred", "pred pred", "pred")
    for o in ("not", "cnot"):
        for t in ("b16", "b32", "b64"):
            table.op(f"{o}.{t}", t, t)
    for t in ("b16", "b32", "b64"):
        table.op(f"shl.{t}", f"{t} sh", t)
        table.op(f"shr.{t}", f"{t} sh", t)
    for t in ("b32", "b64"):
        for o in ("popc", "clz"):
            table.op(f"{o}.{t}", t, "u32")
        table.op(f"brev.{t}", t, t)
        table.op(f"bfi.{t}", f"{t} {t} len len", t)
    for lut in (0x00, 0x1B, 0x80, 0x96, 0xB8, 0xCA, 0xE8, 0xFE):
        body = f"lop3.b32 x, a, b, c, {lut};"
        table.add(f"lop3.b32.{lut:02x}", "b32 b32 b32", "b32", body)
    for o in ("or", "and"):
        body = f"lop3.{o}.b32 x|y, a, b, c, 0x80, d;"
        table.add(f"lop3.{o}.b32", "b32 smallm smallm pred", "b32 pred", body)


def add_fields(table: FormTable) -> None:
    for t in WORDS + LONGS:
        for m in ("", ".shiftamt"):
            table.op(f"bfind{m}.{t}", t, "u32")
        table.op(f"bfe.{t}", f"{t} len len", t)
    for t in WORDS:
        for m in ("wrap", "clamp"):
            table.op(f"szext.{m}.{t}", f"{t} len", t)
        for m in ("lo", "hi"):
            table.op(f"mul24.{m}.{t}", f"{t} {t}", t)
            table.op(f"mad24.{m}.{t}", f"{t} {t} {t}", t)
    table.op("mad24.hi.sat.s32", "s32 s32 s32", "s32")
    for m in ("wrap", "clamp"):
        table.op(f"bmsk.{m}.b32", "len len", "b32")
        for d in "lr":
            table.op(f"shf.{d}.{m}.b32", "b32 b32 sh", "b32")
    table.op("fns.b32", "smallm lane off", "b32")
    table.op("prmt.b32", "b32 b32 sel", "b32")
    for m in ("f4e", "b4e", "rc8", "ecl", "ecr", "rc16"):
        table.op(f"prmt.b32.{m}", "b32 b32 sel", "b32")
    for s in WORDS:
        for t in WORDS:
            table.op(f"dp4a.{s}.{t}", f"{s} {t} s32", "s32")
            for m in ("lo", "hi"):
                table.op(f"dp2a.{m}.{s}.{t}", f"{s} {t} s32", "s32")


def add_carries(table: FormTable) -> None:
    for o in ("add", "sub"):
        body = f"{o}.cc.u32 x, a, c; {o}c.u32 y, b, d;"
        table.add(f"{o}.cc.u32+{o}c.u32", "u32 u32 u32 u32", "u32 u32", body)
    for o in ("add", "sub"):
        body = f"{o}.cc.s32 x, a, b; {o}c.cc.s32 y, b, c; {o}c.s32 z, c, d;"
        name = f"{o}.cc.s32+{o}c.cc.s32+{o}c.s32"
        table.add(name, "s32 s32 s32 s32", "s32 s32 s32", body)
    for o in ("add", "sub"):
        body = f"{o}.cc.u64 x, a, c; {o}c.u64 y, b, d;"
        table.add(f"{o}.cc.u64+{o}c.u64", "u64 u64 u64 u64", "u64 u64", body)
    table.add(
        "mad.lo.cc.u32+madc.hi.u32",
        "u32 u32 u32 u32",
        "u32 u32",
        "mad.lo.cc.u32 x, a, b, c; madc.hi.u32 y, a, b, d;",
    )
    table.add(
        "mad.lo.cc.u32+madc.hi.cc.u32+addc.u32",
        "u32 u32 u32 u32",
        "u32 u32 u32",
        "mad.lo.cc.u32 x, a, b, c; madc.hi.cc.u32 y, a, b, d; addc.u32 z, c, d;",
    )
    table.add(
        "mad.hi.cc.s32+madc.lo.s32",
        "s32 s32 s32 s32",
        "s32 s32",
        "mad.hi.cc.s32 x, a, b, c; madc.lo.s32 y, a, b, d;",
    )
    table.add(
        "add.cc+sub.cc carry flag",
        "u32 u32 u32 u32",
        "u32 u32 u32",
        "add.cc.u32 x, a, b; subc.u32 y, c, d; sub.cc.u32 t0, a, b; addc.u32 z, t0, d;",
    )


def add_selections(table: FormTable) -> None:
    for t in ("b16", "b32", "b64", "f32", "f64"):
        table.op(f"selp.{t}", f"{t} {t} pred", t)
    for t in ("b32", "b64", "f32", "s32"):
        table.op(f"slct.{t}.s32", f"{t} {t} s32", t)
    table.op("slct.b32.f32", "b32 b32 f32", "b32")
    table.op("slct.ftz.b32.f32", "b32 b32 f32", "b32")


def add_forms(table: FormTable) -> None:
    table.group = "int"
    add_arithmetic(table)
    add_logic(table)
    add_fields(table)
    add_carries(table)
    add_selections(table)
