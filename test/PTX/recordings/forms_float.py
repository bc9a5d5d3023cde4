"""Forms of f32, f64, f16 and bf16 arithmetic and of the approximate functions."""

from recordings.form import FormTable

ROUNDINGS = ("rn", "rz", "rm", "rp")
MINMAX = ("", ".NaN", ".xorsign.abs", ".NaN.xorsign.abs")


def add_approximate(table: FormTable, opcode: str, types: str, n: int = 2048) -> None:
    """Adds a form whose result may differ from the recorded one within a bound."""
    group, table.group = table.group, "approx"
    sm = 90 if "bf16" in opcode and opcode.startswith(("ex2", "tanh")) else 80
    result = types.split()[0]
    table.op(opcode, types, result, sm=sm, n=n, approximate=True)
    table.group = group


def add_single(table: FormTable) -> None:
    table.group = "f32"
    for r in ROUNDINGS:
        for m in ("", ".ftz", ".sat", ".ftz.sat"):
            n = 2048 if m in ("", ".ftz") else 1024
            for o in ("add", "sub", "mul"):
                table.op(f"{o}.{r}{m}.f32", "f32 f32", "f32", n=n)
            table.op(f"fma.{r}{m}.f32", "f32 f32 f32", "f32", n=n)
        for m in ("", ".ftz"):
            table.op(f"div.{r}{m}.f32", "f32 f32", "f32", n=2048)
            table.op(f"rcp.{r}{m}.f32", "f32", "f32")
            table.op(f"sqrt.{r}{m}.f32", "f32", "f32")
    for m in ("", ".ftz"):
        add_approximate(table, f"div.full{m}.f32", "f32 f32")
        add_approximate(table, f"div.approx{m}.f32", "f32 f32")
        for o in ("rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos"):
            add_approximate(table, f"{o}.approx{m}.f32", "f32")
        for o in ("min", "max"):
            for v in MINMAX:
                sm = 86 if "xor" in v else 80
                table.op(f"{o}{m}{v}.f32", "f32 f32", "f32", sm=sm)
        for o in ("abs", "neg"):
            table.op(f"{o}{m}.f32", "f32", "f32")
    add_approximate(table, "tanh.approx.f32", "f32")
    table.op("copysign.f32", "f32 f32", "f32")


def add_double(table: FormTable) -> None:
    table.group = "f64"
    table.op("copysign.f64", "f64 f64", "f64")
    for r in ROUNDINGS:
        for o in ("add", "sub", "mul", "fma", "div"):
            types = "f64 f64 f64" if o == "fma" else "f64 f64"
            table.op(f"{o}.{r}.f64", types, "f64")
        for o in ("rcp", "sqrt"):
            table.op(f"{o}.{r}.f64", "f64", "f64")
    for o in ("min", "max"):
        table.op(f"{o}.f64", "f64 f64", "f64")
    for o in ("abs", "neg"):
        table.op(f"{o}.f64", "f64", "f64")
    for o in ("rcp.approx.ftz.f64", "rsqrt.approx.f64", "rsqrt.approx.ftz.f64"):
        add_approximate(table, o, "f64", n=1024)


def add_half(table: FormTable, t: str) -> None:
    """Adds the forms of one 16-bit type or of a pair of them."""
    table.group = "half"
    brain = t[0] == "b"
    sm = 90 if brain else 80
    sums = ("", ".rn") if brain else ("", ".rn", ".ftz", ".sat", ".ftz.sat")
    for o in ("add", "sub", "mul"):
        for m in sums:
            table.op(f"{o}{m}.{t}", f"{t} {t}", t, sm=sm)
    full = ("", ".ftz", ".sat", ".ftz.sat", ".relu", ".ftz.relu")
    for m in ("", ".relu") if brain else full:
        table.op(f"fma.rn{m}.{t}", f"{t} {t} {t}", t, n=2048)
    for m in (".oob", ".oob.relu"):
        table.op(f"fma.rn{m}.{t}", f"{t} {t} {t}", t, sm=90)
    flushes = ("",) if brain else ("", ".ftz")
    for o in ("min", "max"):
        for z in flushes:
            for v in MINMAX:
                table.op(f"{o}{z}{v}.{t}", f"{t} {t}", t, sm=86 if "xor" in v else 80)
    for o in ("abs", "neg"):
        for z in flushes:
            table.op(f"{o}{z}.{t}", t, t)
    add_approximate(table, f"ex2.approx{'.ftz' if brain else ''}.{t}", t, n=1024)
    add_approximate(table, f"tanh.approx.{t}", t, n=1024)


def add_forms(table: FormTable) -> None:
    add_single(table)
    add_double(table)
    for t in ("f16", "f16x2", "bf16", "bf16x2"):
        add_half(table, t)
