"""Forms of conversion: cvt between integers, floats and packed narrow floats."""

from recordings.form import SIZE, FormTable

INTEGERS = ("s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64")
ROUNDINGS = ("rn", "rz", "rm", "rp")
INTEGER_ROUNDINGS = ("rni", "rzi", "rmi", "rpi")
FLUSH_OR_CLAMP = ("", ".ftz", ".sat", ".ftz.sat")


def whole(t: str) -> str:
    """The type in which a result is read: 8-bit ones as a 32-bit register."""
    return "b32" if t in ("s8", "u8") else t


def add_from_integers(table: FormTable, s: str) -> None:
    for d in INTEGERS:
        if s == d:
            continue
        table.op(f"cvt.{d}.{s}", s, whole(d))
        narrower, wider = SIZE[d] < SIZE[s], SIZE[d] > SIZE[s]
        if narrower or (s[0] != d[0] and not wider) or (s[0] == "s" and d[0] == "u"):
            table.op(f"cvt.sat.{d}.{s}", s, whole(d))
    for d in ("f16", "bf16", "f32", "f64"):
        for r in ROUNDINGS:
            if d == "bf16" and SIZE[s] == 1:
                continue
            if r in ("rn", "rz") or SIZE[s] >= 4:
                table.op(f"cvt.{r}.{d}.{s}", s, d, sm=90 if d == "bf16" else 80)
    table.op(f"cvt.rn.sat.f32.{s}", s, "f32")


def add_to_integers(table: FormTable, s: str) -> None:
    brain = s == "bf16"
    for d in INTEGERS[2:] if brain else INTEGERS:
        for r in INTEGER_ROUNDINGS:
            table.op(f"cvt.{r}.{d}.{s}", s, whole(d), sm=90 if brain else 80)
        if not brain:
            table.op(f"cvt.rzi.sat.{d}.{s}", s, whole(d))
        if s == "f32":
            table.op(f"cvt.rpi.ftz.{d}.f32", s, whole(d))
    if brain:
        return
    for r in INTEGER_ROUNDINGS:
        table.op(f"cvt.{r}.{s}.{s}", s, s)
        if s == "f32":
            table.op(f"cvt.{r}.ftz.f32.f32", s, s)
    table.op(f"cvt.rni.sat.{s}.{s}", s, s)


def add_between_floats(table: FormTable) -> None:
    for z in FLUSH_OR_CLAMP:
        table.op(f"cvt{z}.f32.f16", "f16", "f32")
        if z:
            table.op(f"cvt{z}.f32.f32", "f32", "f32")
        for r in ROUNDINGS:
            table.op(f"cvt.{r}{z}.f16.f32", "f32", "f16")
            table.op(f"cvt.{r}{z}.f32.f64", "f64", "f32")
    for z in ("", ".sat"):
        table.op(f"cvt{z}.f64.f16", "f16", "f64")
    for z in FLUSH_OR_CLAMP:
        table.op(f"cvt{z}.f64.f32", "f32", "f64")
    table.op("cvt.f32.bf16", "bf16", "f32", sm=90)
    table.op("cvt.f64.bf16", "bf16", "f64", sm=90)
    for r in ROUNDINGS:
        table.op(f"cvt.{r}.f16.f64", "f64", "f16")
        table.op(f"cvt.{r}.bf16.f64", "f64", "bf16", sm=90)
        table.op(f"cvt.{r}.bf16.f16", "f16", "bf16", sm=90)
        table.op(f"cvt.{r}.f16.bf16", "bf16", "f16", sm=90)
    for r in ("rm", "rp"):
        table.op(f"cvt.{r}.bf16.f32", "f32", "bf16", sm=90)


def add_narrow(table: FormTable) -> None:
    for r in ("rn", "rz"):
        for m in ("", ".relu", ".satfinite", ".relu.satfinite"):
            table.op(f"cvt.{r}{m}.bf16.f32", "f32", "bf16")
            if m:
                table.op(f"cvt.{r}{m}.f16.f32", "f32", "f16")
            for d in ("f16x2", "bf16x2"):
                table.op(f"cvt.{r}{m}.{d}.f32", "f32 f32", d)
        for m in ("", ".relu"):
            table.op(f"cvt.{r}{m}.tf32.f32", "f32", "b32", sm=90)
    for m in ("", ".satfinite"):
        table.op(f"cvt.rna{m}.tf32.f32", "f32", "b32")
    for e in ("e4m3x2", "e5m2x2"):
        for m in ("", ".relu"):
            table.op(f"cvt.rn.satfinite{m}.{e}.f32", "f32 f32", e, sm=89)
            table.op(f"cvt.rn.satfinite{m}.{e}.f16x2", "f16x2", e, sm=89)
            table.op(f"cvt.rn{m}.f16x2.{e}", e, "f16x2", sm=89)
    for d in ("s16", "u16"):
        table.op(f"cvt.pack.sat.{d}.s32", "s32 s32", "b32")
    for d in ("s8", "u8", "s4", "u4", "s2", "u2"):
        table.op(f"cvt.pack.sat.{d}.s32.b32", "s32 s32 b32", "b32")


def add_forms(table: FormTable) -> None:
    table.group = "cvt"
    for s in INTEGERS:
        add_from_integers(table, s)
    for s in ("f16", "bf16", "f32", "f64"):
        add_to_integers(table, s)
    add_between_floats(table)
    add_narrow(table)
