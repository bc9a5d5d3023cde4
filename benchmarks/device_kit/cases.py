"""What a kit executes and compares."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from device.data import EPSILON, plan_of, top_choices, words

from device_kit import layers, modules
from device_kit.programs import EXACT, Bound, Case

Fill = dict[str, Any]

_FORM = (
    "<rows = {}, columns = {}, depth = {}, warp_rows = {}, stages = {}, lanes = {}, "
    "least = 0>"
)
#: The forms that are chosen from, those that were measured on hardware, and small
#: ones: rows, columns, depth, rows of a warp, stages, lanes of a row.
FORMS = (
    (16, 64, 64, 16, 2, 8),
    (32, 128, 64, 16, 4, 8),
    (32, 128, 128, 16, 3, 8),
    (64, 128, 64, 32, 3, 4),
    (64, 128, 64, 32, 4, 8),
    (64, 256, 32, 64, 4, 4),
    (128, 128, 32, 64, 4, 4),
    (128, 128, 32, 64, 6, 4),
    (128, 128, 64, 64, 3, 8),
    (128, 256, 32, 64, 6, 4),
    (128, 256, 64, 64, 3, 8),
    (128, 256, 64, 64, 4, 8),
)
#: A form that takes more shared memory than a block of sm_80 has is for sm_90.
_SM_80_BYTES = 163 * 1024


def seeded(kind: str, seed: int, **rest: Any) -> Fill:
    return {"kind": kind, "seed": seed} | rest


def values(array: Any) -> Fill:
    return {"kind": "values", "values": np.asarray(array).ravel().tolist()}


# Routings


def _route(
    name: str,
    sizes: tuple[int, int, int, int],
    scope: str,
    kind: str = "normal",
    **options: Any,
) -> Case:
    sequences, tokens, experts, chosen = sizes
    fills = [seeded(kind, 1, value=0.5)]
    if options.get("bias"):
        fills.append(seeded("quantised", 2))
    if options.get("valid"):
        fills.append(seeded("integers", 3, least=0, most=1))
    text = modules.route(sequences, tokens, experts, chosen, scope=scope, **options)
    return Case(f"route-{scope}-{name}-{kind}", text, tuple(fills))


def _any_route(sizes: tuple[int, int], scope: str) -> Case:
    """A routing that learns S and T at the launch."""
    return Case(
        f"route-{scope}-any-S{sizes[0]}-T{sizes[1]}",
        modules.any_route(24, 3, scope=scope, score="sigmoid", normalize="sum"),
        (seeded("quantised", 1), seeded("integers", 3, least=0, most=1)),
        sizes=sizes,
    )


#: Sizes S, T, E, K of routings by one block a sequence, and by several.
_ROUTES: tuple[tuple[str, tuple[int, int, int, int], dict[str, Any]], ...] = (
    ("short", (3, 17, 24, 2), {"normalize": "sum"}),
    ("one-token", (1, 1, 60, 4), {}),
    ("odd", (2, 33, 3, 1), {"score": "sigmoid"}),
    ("long", (1, 300, 128, 4), {"normalize": "sum"}),
    ("turns", (230, 3, 8, 2), {"normalize": "softmax"}),
    ("wide", (1, 9, 1024, 8), {"normalize": "sum"}),
    ("most", (1, 20, 64, 22), {"score": "sigmoid", "normalize": "sum", "eps": 1e-20}),
    ("bf16", (1, 200, 96, 6), {"dtype": "bf16", "score": "sigmoid"}),
    ("f16", (2, 90, 64, 8), {"dtype": "f16"}),
    ("padded", (2, 40, 24, 3), {"valid": True, "bias": True, "score": "sqrtsoftplus"}),
    (
        "groups",
        (1, 50, 64, 4),
        {"n_group": 8, "topk_group": 3, "group_score": "top2_sum", "score": "sigmoid"},
    ),
)
_SEQUENCE_ROUTES: tuple[tuple[str, tuple[int, int, int, int], dict[str, Any]], ...] = (
    ("floor", (1, 90, 24, 3), {"floor": 1, "cap": 6, "score": "sigmoid"}),
    ("rank", (2, 70, 32, 2), {"score": "identity", "rank_logits": True, "scale": 2.5}),
)
#: Who shares a sequence: form, threads of a block, most blocks, tokens of a block.
_ROUTE_FORMS = (
    ("block", 128, 1, 8),
    ("block", 512, 3, 8),
    ("grid", 128, 7, 3),
    ("grid", 256, 108, 8),
    ("grid", 512, 108, 1),
)
#: The shapes of the bars.
_LARGE = ((1, 4096, 256, 8), (1, 1024, 64, 8))


def route_cases() -> Iterator[Case]:
    """Routings in both scopes, on inputs that are easy and hard to rank."""
    for scope in ("token", "sequence"):
        own = _SEQUENCE_ROUTES if scope == "sequence" else ()
        for name, sizes, options in (*_ROUTES, *own):
            for kind in ("normal", "quantised"):
                yield _route(name, sizes, scope, kind, **options)
        for form in _ROUTE_FORMS:
            schedule = (
                "#moe.gpu_route<chip = sm_80, form = {}, threads = {}, blocks = {}, "
                "tokens = {}>".format(*form)
            )
            name = "{}-{}-{}-{}".format(*form)
            yield _route(name, (3, 40, 64, 4), scope, schedule=schedule)
        yield from _cluster_routes(scope)
        for any_sizes in ((3, 21), (1, 200)):
            yield _any_route(any_sizes, scope)
        for kind in ("special", "equal"):
            yield _route("long", (1, 300, 128, 4), scope, kind, normalize="sum")
    for sizes in _LARGE:
        _, tokens, experts, _ = sizes
        for scope in ("token", "sequence"):
            yield _route(f"T{tokens}-E{experts}", sizes, scope, normalize="sum")


def _cluster_routes(scope: str) -> Iterator[Case]:
    """Routings by clusters: one for a sequence, several, and with many ties."""
    for blocks, sizes, kind in (
        (4, (3, 40, 64, 4), "normal"),
        (16, (1, 128, 64, 8), "quantised"),
        (8, (1, 300, 128, 4), "equal"),
    ):
        schedule = (
            "#moe.gpu_route<chip = sm_90, form = cluster, threads = 256, "
            f"blocks = 132, tokens = 8, cluster = {blocks}>"
        )
        case = _route(f"cluster-{blocks}", sizes, scope, kind, schedule=schedule)
        yield dataclasses.replace(case, chip="sm_90")


def choice_cases() -> Iterator[Case]:
    """Plans of given choices, some of which name no expert."""
    for tokens, experts, chosen, ids, weights in (
        (50, 6, 3, "i32", "bf16"),
        (300, 128, 8, "i32", "f32"),
        (33, 60, 4, "i64", "f16"),
    ):
        logits = words(9, tokens * experts).astype(np.float64).reshape(tokens, experts)
        choices = top_choices(logits, chosen).ravel()
        choices[words(10, choices.size) % np.uint64(7) == 0] = -1
        yield Case(
            f"choice-{ids}-{weights}-T{tokens}-E{experts}",
            modules.plan_from_choice(tokens, experts, chosen, ids, weights),
            (values(choices), seeded("normal", 1)),
        )


# Grouped matmuls


def _counts(experts: int, rows: int, seed: int) -> list[int]:
    """Rows of experts, some of them none."""
    cuts = np.sort(words(seed, experts - 1) % np.uint64(rows + 1)).astype(np.int64)
    ends = [0, *cuts.tolist(), rows]
    return [end - begin for begin, end in zip(ends, ends[1:], strict=False)]


def matmul_case(
    name: str, matmul: modules.Matmul, whole: bool = True, live: int = -1
) -> Case:
    """A grouped matmul; with `whole` numbers its sums are exact."""
    live = matmul.rows if live < 0 else live
    offsets = np.append(0, np.cumsum(_counts(matmul.experts, live, 7)))
    number: Fill = {"kind": "integers", "least": -3, "most": 3}
    kind = number if whole else {"kind": "normal"}
    fills = [kind | {"seed": 1}, values(offsets)]
    if matmul.gather:
        fills.append(seeded("integers", 2, least=0, most=matmul.tokens - 1))
    count = 2 if matmul.weights == "two" else 1
    fills += [kind | {"seed": 3 + i} for i in range(count)]
    fills += [number | {"seed": 5 + i} for i in range(len(matmul.extras))]
    return Case(
        f"matmul-{name}",
        matmul.text(),
        tuple(fills),
        matmul.chip,
        _matmul_bound(matmul, whole),
        live * matmul.columns,
    )


def _matmul_bound(matmul: modules.Matmul, whole: bool) -> Bound:
    if whole and not matmul.silu:
        return EXACT
    step = EPSILON[matmul.result]
    if whole:
        return Bound(
            step, 2.0**-40, "one step of the type: the exponential is approximate"
        )
    # Two sums of K products of at most 4 * 4, in any order; then the rounding.
    absolute = 2 * (matmul.depth + 1) * 2.0**-24 * matmul.depth * 16
    return Bound(step, absolute, "the order of the sums, and one step of the type")


def form_of(numbers: tuple[int, ...]) -> tuple[str, str, str]:
    """Name, text and chip of a form."""
    rows, columns, depth, _, stages, lanes = numbers
    shared = stages * (rows + columns) * depth * 2
    name = f"{rows}x{columns}x{depth}-s{stages}-l{lanes}"
    return name, _FORM.format(*numbers), "sm_80" if shared <= _SM_80_BYTES else "sm_90"


def matmul_cases() -> Iterator[Case]:
    """Every form in both layouts; weights, types, extras and odd sizes."""
    for numbers in FORMS:
        name, form, chip = form_of(numbers)
        depth, stages = numbers[2], numbers[4]
        for layout in ("nk", "kn"):
            if layout == "kn" and depth < 2 * (numbers[0] // numbers[3]):
                continue
            matmul = modules.Matmul(
                60, 100, 5, depth * 2 * stages + 24, 72, layout=layout, form=form,
                chip=chip,
            )  # fmt: skip
            yield matmul_case(f"{name}-{layout}", matmul, live=90)
        matmul = modules.Matmul(
            60, 100, 5, 200, 72, weights="concat", silu=True, form=form, chip=chip
        )
        yield matmul_case(f"{name}-silu", matmul)
    base = modules.Matmul(60, 60, 5, 96, 104)
    for dtype in ("bf16", "f16"):
        for weights in ("concat", "interleaved", "two"):
            for layout in ("nk", "kn"):
                matmul = dataclasses.replace(
                    base, dtype=dtype, weights=weights, layout=layout, silu=True
                )
                yield matmul_case(f"{dtype}-{weights}-{layout}", matmul)
        random = dataclasses.replace(base, dtype=dtype, depth=512)
        yield matmul_case(f"{dtype}-random", random, whole=False)
    for depth, columns in ((1, 40), (7, 33), (100, 12), (130, 1)):
        for layout in ("nk", "kn"):
            matmul = modules.Matmul(
                40, 40, 4, depth, columns, layout=layout, gather=False, out="f32",
                extras=("row", "column", "element"),
            )  # fmt: skip
            yield matmul_case(f"K{depth}-N{columns}-{layout}", matmul, live=37)


# Rows, elementwise code, layers


def rows_cases() -> Iterator[Case]:
    """Dispatch, combine and elementwise code."""
    tokens, experts, chosen = 50, 6, 3
    logits = words(9, tokens * experts).astype(np.float64).reshape(tokens, experts)
    plan = plan_of(top_choices(logits, chosen), experts)
    rows = tokens * chosen
    for dtype, columns in (("bf16", 96), ("f16", 100), ("f32", 7), ("bf16", 2056)):
        x = seeded("normal", 1)
        order = [values(plan["token_offsets"]), values(plan["token_row"])]
        for gated in (True, False):
            yield Case(
                f"combine-{dtype}-{columns}-{'gates' if gated else 'plain'}",
                modules.combine(tokens, rows, columns, dtype, gated),
                (x, *order, *[seeded("normal", 2)] * gated),
            )
        yield Case(
            f"dispatch-{dtype}-{columns}",
            modules.dispatch(tokens, rows, columns, experts, dtype),
            (x, values(plan["expert_offsets"]), values(plan["row_token"])),
        )
        yield Case(
            f"elementwise-{dtype}-{columns}",
            modules.elementwise(tokens, columns, dtype),
            (x, seeded("quantised", 2)),
        )


def _layer(
    shape: layers.Shape, dtype: str, scope: str, sequences: int, known: bool = True
) -> Case:
    small = {"scale": 0.25}
    return Case(
        f"layer-{dtype}-{scope}-{'' if known else 'any-'}T{shape.tokens}-{shape.name}",
        layers.layer(shape, dtype, scope, sequences if known else None),
        (
            seeded("normal", 1),
            seeded("normal", 2),
            seeded("normal", 3, **small),
            seeded("normal", 4, **small),
        ),
        bound=None,
        sizes=() if known else (sequences, shape.tokens),
    )


def layer_cases() -> Iterator[Case]:
    """Layers whose experts get few rows, and many; S and T known, and not."""
    for scope in ("token", "sequence"):
        for dtype in ("bf16", "f16"):
            yield _layer(layers.Shape(5, 6, 2, 72, 40), dtype, scope, 2)
            yield _layer(layers.Shape(60, 6, 2, 72, 40), dtype, scope, 1)
        for tokens, sequences in ((5, 2), (60, 1)):
            shape = layers.Shape(tokens, 6, 2, 72, 40)
            yield _layer(shape, "bf16", scope, sequences, known=False)
        yield _layer(layers.Shape(128, 16, 4, 256, 128), "bf16", scope, 1)


def all_cases() -> Iterator[Case]:
    """Everything that a kit executes."""
    yield from route_cases()
    yield from choice_cases()
    yield from matmul_cases()
    yield from rows_cases()
    yield from layer_cases()
