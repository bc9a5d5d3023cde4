"""Forms in which the lanes of a warp exchange values, and special registers."""

from recordings.form import FormTable

EVEN_LANES = (
    "mov.u32 t0, %laneid; and.b32 t1, t0, 1; setp.eq.u32 p, t1, 0; @!p bra SKIP; "
)
SCRATCH_ADDRESS = (
    "mov.u32 t0, %laneid; shl.b32 t0, t0, 4; mov.u32 t1, sm; add.u32 t0, t0, t1; "
)
# Lane l addresses row 7 * l + 3 (mod 32): every row of four matrices, scrambled.
ROW_ADDRESS = (
    "mov.u32 t2, %laneid; mad.lo.u32 t2, t2, 7, 3; and.b32 t2, t2, 31; "
    "shl.b32 t2, t2, 4; add.u32 t2, t2, t1; "
)
MATRIX = "sync.aligned.m8n8"


def add_shuffles(table: FormTable) -> None:
    for m, c in (("up", 0), ("down", 31), ("bfly", 31), ("idx", 31)):
        body = f"shfl.sync.{m}.b32 x|y, a, b, {c}, -1;"
        table.add(f"shfl.{m}.b32 c={c}", "b32 lane", "b32 pred", body)
        for width in (16, 8, 4, 2):
            bound = (32 - width) << 8 | c
            body = f"shfl.sync.{m}.b32 x|y, a, b, {bound}, -1;"
            name = f"shfl.{m}.b32 width={width}"
            table.add(name, "b32 lane", "b32 pred", body, n=512)
        body = f"shfl.sync.{m}.b32 x|y, a, b, c, -1;"
        table.add(f"shfl.{m}.b32 any c", "b32 lane shc", "b32 pred", body)
        body = f"shfl.sync.{m}.b32 x, a, b, {c}, -1;"
        table.add(f"shfl.{m}.b32 no pred", "b32 lane", "b32", body, n=512)
    body = (
        f"mov.u32 x, 0xdead; setp.ne.u32 y, 0, 0; {EVEN_LANES}and.b32 t2, b, 0x1e; "
        "shfl.sync.idx.b32 x|y, a, t2, 31, 0x55555555; SKIP: bar.warp.sync -1;"
    )
    table.add("shfl.idx.b32 even lanes", "b32 lane", "b32 pred", body)


def add_votes(table: FormTable) -> None:
    for m in ("all", "any", "uni"):
        body = f"vote.sync.{m}.pred x, a, -1;"
        table.add(f"vote.{m}.pred", "pred", "pred", body)
        body = (
            "and.b32 t0, a, b; setp.ne.u32 p, t0, 0; " + f"vote.sync.{m}.pred x, p, -1;"
        )
        table.add(f"vote.{m}.pred sparse", "smallm b32", "pred", body)
    table.add("vote.ballot.b32", "pred", "b32", "vote.sync.ballot.b32 x, a, -1;")
    body = (
        f"mov.u32 x, 0xdead; {EVEN_LANES}vote.sync.ballot.b32 x, a, 0x55555555; "
        "SKIP: bar.warp.sync -1;"
    )
    table.add("vote.ballot.b32 even lanes", "pred", "b32", body)
    body = "bar.red.popc.u32 x, 0, a;"
    table.add("bar.red.popc.u32", "pred", "u32", body)
    for o in ("and", "or"):
        body = f"bar.red.{o}.pred x, 0, a;"
        table.add(f"bar.red.{o}.pred", "pred", "pred", body)


def add_matches(table: FormTable) -> None:
    for t in ("b32", "b64"):
        widen, key = ("", "a") if t == "b32" else ("cvt.u64.u32 l0, a; ", "l0")
        body = f"{widen}match.any.sync.{t} x, {key}, -1;"
        table.add(f"match.any.{t}", "key", "b32", body)
        body = f"{widen}match.all.sync.{t} x|y, {key}, -1;"
        table.add(f"match.all.{t}", "key", "b32 pred", body)
    body = (
        "mov.u32 t0, %laneid; shr.u32 t0, t0, 3; add.u32 t0, t0, a; "
        "shr.u32 t0, t0, 2; match.all.sync.b32 x|y, t0, -1;"
    )
    table.add("match.all.b32 quarter", "key", "b32 pred", body)
    body = (
        f"mov.u32 x, 0xdead; {EVEN_LANES}match.any.sync.b32 x, a, 0x55555555; "
        "SKIP: bar.warp.sync -1;"
    )
    table.add("match.any.b32 even lanes", "key", "b32", body)


def add_reductions(table: FormTable) -> None:
    for o in ("add", "min", "max"):
        for t in ("s32", "u32"):
            table.add(f"redux.{o}.{t}", t, t, f"redux.sync.{o}.{t} x, a, -1;")
    for o in ("and", "or", "xor"):
        body = f"redux.sync.{o}.b32 x, a, -1;"
        table.add(f"redux.{o}.b32", "b32", "b32", body)
    for o, t in (("add", "u32"), ("min", "s32")):
        body = (
            f"mov.u32 x, 0xdead; {EVEN_LANES}redux.sync.{o}.{t} x, a, 0x55555555; "
            "SKIP: bar.warp.sync -1;"
        )
        table.add(f"redux.{o}.{t} even lanes", t, t, body)


def add_lanes(table: FormTable) -> None:
    body = "elect.sync x|y, -1;"
    table.add("elect.sync full", "b32", "b32 pred", body, sm=90, n=64)
    body = (
        "mov.u32 x, 0xdead; setp.ne.u32 y, 0, 0; mov.u32 t0, %laneid; "
        "and.b32 t1, t0, 1; setp.eq.u32 p, t1, 1; @!p bra SKIP; "
        "elect.sync x|y, 0xaaaaaaaa; SKIP: bar.warp.sync -1;"
    )
    table.add("elect.sync odd lanes", "b32", "b32 pred", body, sm=90, n=64)
    body = (
        "and.b32 t0, a, 1; setp.eq.u32 p, t0, 0; @p bra L1; activemask.b32 x; bra L2; "
        "L1: activemask.b32 x; L2: bar.warp.sync -1;"
    )
    table.add("activemask diverged", "b32", "b32", body)
    body = (
        "and.b32 t0, a, 1; and.b32 t1, a, 2; setp.eq.u32 p, t0, 0; "
        "setp.eq.u32 q, t1, 0; mov.u32 y, 0; activemask.b32 x; @p bra L2; @q bra L1; "
        "activemask.b32 y; bra L2; L1: activemask.b32 y; xor.b32 y, y, 0; "
        "L2: bar.warp.sync -1;"
    )
    table.add("activemask nested", "b32", "b32 b32", body)
    body = "mov.u32 t0, %laneid; mov.u32 x, 0; st.global.u32 [gm], x; activemask.b32 x;"
    table.add("activemask after exit", "b32", "b32", body, n=64)


def add_matrices(table: FormTable) -> None:
    table.group = "matrix"
    inputs = "b32 b32 b32 b32"
    for trans in ("", ".trans"):
        for x, results in ((1, "x"), (2, "x, y"), (4, "x, y, z, w")):
            shape = f"{MATRIX}.x{x}{trans}.shared.b16"
            body = (
                f"{SCRATCH_ADDRESS}st.shared.v4.b32 [t0], {{a, b, c, d}}; "
                f"bar.warp.sync -1; {ROW_ADDRESS}"
                f"ldmatrix.{shape} {{{results}}}, [t2];"
            )
            outputs = " ".join(["b32"] * x)
            table.add(f"ldmatrix.x{x}{trans}", inputs, outputs, body, n=512)
            sources = ", ".join("abcd"[:x])
            body = (
                f"{SCRATCH_ADDRESS}mov.u32 t3, 0xcdcdcdcd; "
                "st.shared.v4.b32 [t0], {t3, t3, t3, t3}; bar.warp.sync -1; "
                f"{ROW_ADDRESS}stmatrix.{shape} [t2], {{{sources}}}; "
                "bar.warp.sync -1; ld.shared.v4.b32 {x, y, z, w}, [t0];"
            )
            table.add(f"stmatrix.x{x}{trans}", inputs, inputs, body, sm=90, n=512)
    body = f"movmatrix.{MATRIX}.trans.b16 x, a;"
    table.add("movmatrix.trans", "b32", "b32", body, n=512)


def add_special_registers(table: FormTable) -> None:
    table.group = "special"
    groups = {
        "ids": "%laneid %tid.x %tid.y %ctaid.x",
        "dims": "%ntid.x %nctaid.x %ntid.y %nctaid.z",
        "masks": "%lanemask_eq %lanemask_le %lanemask_lt %lanemask_ge",
        "more": "%lanemask_gt %tid.z %ctaid.y %nctaid.y",
        "cluster": "%cluster_ctarank %cluster_nctarank %nclusterid.x %clusterid.x",
    }
    for group, names in groups.items():
        moves = zip("xyzw", names.split(), strict=True)
        body = " ".join(f"mov.u32 {register}, {name};" for register, name in moves)
        sm = 90 if group == "cluster" else 80
        table.add(f"special {group}", "b32", "u32 u32 u32 u32", body, sm=sm, n=128)
    body = (
        "mov.u32 x, %dynamic_smem_size; mov.u32 y, %total_smem_size; "
        "mov.u32 z, WARP_SZ; st.shared.b32 [sm], x;"
    )
    table.add("special smem", "b32", "u32 u32 b32", body, n=64)


def add_forms(table: FormTable) -> None:
    table.group = "warp"
    add_shuffles(table)
    add_votes(table)
    add_matches(table)
    add_reductions(table)
    add_lanes(table)
    add_matrices(table)
    add_special_registers(table)
