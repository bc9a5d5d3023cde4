"""Inputs and options for tests that compare ways to route.

A `Variant` is what a compiled route is specialised on: options, experts, types of
logits, which optional operands there are. S and T stay open, so one variant serves
many inputs. Variants come from a pairwise covering array: every pair of settings
that can be combined at all occurs together in at least one of them.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Settings = dict[str, Any]

DTYPES = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16}

# Settings that restrict each other, and settings that go with everything.
CORE: dict[str, tuple[Any, ...]] = {
    "score": ("softmax", "sigmoid", "sqrtsoftplus", "identity"),
    "scope": ("token", "sequence"),
    "normalize": ("none", "sum", "softmax"),
    "rank_logits": (False, True),
    "groups": (None, "max", "top2_sum"),
    "k": ("one", "half", "all"),
    "floor": ("none", "one", "k"),
    "cap": ("none", "k", "k+1"),
}
FREE: dict[str, tuple[Any, ...]] = {
    "bias": ("none", "plain", "odd"),
    "valid": ("all", "left", "right", "scattered"),
    "dtype": ("f32", "bf16", "f16"),
    "scale": (1.0, 2.5, -0.1, 2e-38),
    "eps": (0.0, 1e-20, 1.0, 1e-40),
    "norm_min": (0.0, 1e-6, 1.5),
}


@dataclasses.dataclass(frozen=True)
class Variant:
    """Options of `route`, and which kind of array goes with them."""

    experts: int
    options: tuple[tuple[str, Any], ...]  # keyword arguments that are no arrays
    bias: str
    valid: str
    dtype: str

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in self.options)
        kinds = f"{self.dtype} bias={self.bias} valid={self.valid}"
        return f"E={self.experts} {kinds} {options}"

    def arguments(self, rng: np.random.Generator, s: int, t: int) -> Settings:
        """Keyword arguments of `route` for logits [s, t, experts]."""
        arguments = dict(self.options)
        if self.bias != "none":
            arguments["choice_bias"] = choice_bias(self.bias, rng, self.experts)
        if self.valid != "all":
            arguments["valid"] = valid_tokens(self.valid, rng, s, t)
        return arguments

    def cast(self, logits: Array) -> Array:
        with np.errstate(all="ignore"):
            return logits.astype(DTYPES[self.dtype])


def choice_bias(kind: str, rng: np.random.Generator, experts: int) -> Array:
    plain = [-1.0, -0.25, 0.0, 0.125, 0.5]
    odd = [np.nan, np.inf, -np.inf, -0.0, 1e-39, -1e-39, 1.0]
    return rng.choice(np.array(plain if kind == "plain" else odd, np.float32), experts)


def valid_tokens(kind: str, rng: np.random.Generator, s: int, t: int) -> Array:
    """Padding on the left, on the right, or anywhere."""
    if kind == "scattered":
        return rng.random((s, t)) < 0.7
    lengths = rng.integers(0, t + 1, (s, 1))
    place = np.arange(t)
    return place >= t - lengths if kind == "left" else place < lengths


# Variants

ELEMENTWISE = ("sigmoid", "sqrtsoftplus")


def group_count(experts: int) -> int:
    """As many groups, up to 8, as divide the experts: of two or more if possible."""
    counts = (n for n in range(2, 9) if experts % n == 0)
    return max(counts, key=lambda n: (experts // n > 1, n), default=1)


def resolve(experts: int, core: Settings) -> Settings | None:
    """The options that core settings stand for, None where they are refused."""
    k = {"one": 1, "half": (experts + 1) // 2, "all": experts}[core["k"]]
    candidates, groups = experts, None
    if core["groups"] is not None:
        n = group_count(experts)
        kept = (n + 1) // 2
        groups, candidates = (n, kept, core["groups"]), kept * (experts // n)
        if n == 1:
            return None
    floor = {"none": 0, "one": 1, "k": k}[core["floor"]]
    cap = {"none": None, "k": k, "k+1": k + 1}[core["cap"]]
    identity = core["score"] == "identity"
    broken = (
        k > candidates
        or (cap is not None and cap > candidates)
        or (core["scope"] == "token" and (floor != 0 or cap is not None))
        or (core["normalize"] == "sum" and identity)
        or (core["normalize"] == "softmax" and core["score"] in ELEMENTWISE)
        or (core["rank_logits"] and not identity)
        or (core["scope"] == "sequence" and identity and not core["rank_logits"])
    )
    if broken:
        return None
    chosen = {name: core[name] for name in ("score", "scope", "normalize")}
    options = chosen | {"k": k, "rank_logits": core["rank_logits"]}
    return options | {"groups": groups, "floor": floor, "cap": cap}


@functools.cache
def legal_cores(experts: int) -> tuple[tuple[Settings, Settings], ...]:
    """All combinations of core settings, with the options they stand for."""
    cores = (dict(zip(CORE, c, strict=True)) for c in itertools.product(*CORE.values()))
    resolved = ((core, resolve(experts, core)) for core in cores)
    return tuple((core, options) for core, options in resolved if options is not None)


def make_variant(experts: int, options: Settings, free: Settings) -> Variant:
    options = options | {name: free[name] for name in ("scale", "eps", "norm_min")}
    kinds = (free[name] for name in ("bias", "valid", "dtype"))
    return Variant(experts, tuple(options.items()), *kinds)


def pairs_of(settings: Settings) -> set[tuple[Any, Any]]:
    return set(itertools.combinations(settings.items(), 2))


@functools.cache
def pairwise_variants(experts: int, tries: int = 40) -> tuple[Variant, ...]:
    """A covering array over CORE and FREE by greedy choice: the same each time."""
    rng = np.random.default_rng(experts)
    cores = legal_cores(experts)

    def draw_free() -> Settings:
        return {
            name: levels[rng.integers(len(levels))] for name, levels in FREE.items()
        }

    missing = {pair for core, _ in cores for pair in pairs_of(core)}
    missing |= {
        ((name, level), (other, value))
        for core, _ in cores
        for (name, level), other in itertools.product(core.items(), FREE)
        for value in FREE[other]
    }
    for one, other in itertools.combinations(FREE, 2):
        products = itertools.product(FREE[one], FREE[other])
        missing |= {((one, a), (other, b)) for a, b in products}
    variants = []
    while missing:
        wanted = dict(min(missing, key=repr))
        fitting = [
            c for c in cores if all(c[0].get(n, v) == v for n, v in wanted.items())
        ]
        drawn = []
        for index in rng.integers(len(fitting), size=tries):
            core, options = fitting[index]
            free = draw_free() | {n: v for n, v in wanted.items() if n in FREE}
            drawn.append((core | free, options, free))
        settings, options, free = max(
            drawn, key=lambda d: len(missing & pairs_of(d[0]))
        )
        missing -= pairs_of(settings)
        variants.append(make_variant(experts, options, free))
    return tuple(variants)


def all_core_variants(experts: int) -> Iterator[Variant]:
    """Every legal combination of core settings; free settings drawn for each."""
    rng = np.random.default_rng(1000 + experts)
    for _, options in legal_cores(experts):
        free = {
            name: levels[rng.integers(len(levels))] for name, levels in FREE.items()
        }
        yield make_variant(experts, options, free)


# Logits

SMALL_EXPERTS = (1, 2, 3, 4, 5, 6)
LARGE_EXPERTS = (1, 3, 33, 60, 96, 288, 384)
RANDOM_INPUTS = 50  # of each variant over LARGE_EXPERTS: more than 10,000 in all
SMALL_VALUES = np.array([-0.0, 0, 1, -1, np.inf, -np.inf, np.nan], np.float32)


def exhaustive_logits(t: int, e: int) -> Array:
    """Every [t, e] over SMALL_VALUES as one sequence each: [7^(t*e), t, e]."""
    if t == 0:
        return np.zeros((3, 0, e), np.float32)
    columns = np.meshgrid(*[SMALL_VALUES] * (t * e), indexing="ij")
    return np.stack(columns, -1).reshape(-1, t, e)


def small_shapes(e: int) -> list[tuple[int, int]]:
    """(T, E) with T*E <= 6."""
    return [(t, e) for t in range(6 // e + 1)]


RANDOM_KINDS = (
    "normal", "quantised", "equal", "two", "specials", "minus_infinity", "peaked",
    "neighbours", "one_expert", "some_tokens", "tiny",
)  # fmt: skip


@np.errstate(all="ignore")
def random_logits(kind: str, rng: np.random.Generator, s: int, t: int, e: int) -> Array:
    """Logits that are hard to rank, each kind in its own way."""
    x = 2 * rng.standard_normal((s, t, e)).astype(np.float32)
    match kind:
        case "quantised":
            x = np.round(x)
        case "equal":
            x[:] = 1.5
        case "two":
            x = np.where(x > 0.3, np.float32(1), np.float32(-1))
        case "specials":
            x[rng.random((s, t)) < 0.2] *= np.nan
            for value, share in ((-np.inf, 0.05), (np.inf, 0.01), (np.nan, 0.01)):
                x[rng.random(x.shape) < share] = value
        case "minus_infinity":
            x[rng.random(x.shape) < 0.6] = -np.inf
            x[rng.random((s, t)) < 0.2] = -np.inf
        case "peaked":
            x *= 40
        case "neighbours":
            x = (1 + rng.integers(0, 300, x.shape) * 2.0**-23).astype(np.float32)
        case "one_expert":
            x[..., 0] += 20
        case "some_tokens":
            x *= np.exp(2 * rng.standard_normal((s, t, 1))).astype(np.float32)
        case "tiny":
            patterns = rng.integers(0, 1 << 26, x.shape).astype(np.uint32)
            x = np.copysign(patterns.view(np.float32), x)
    return x


@dataclasses.dataclass(frozen=True)
class RandomCase:
    """A seed, and all that follows from it."""

    variant: Variant
    seed: int

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.variant}"

    def build(self) -> tuple[Array, Settings]:
        """Logits and keyword arguments."""
        rng = np.random.default_rng(self.seed)
        s = int(rng.choice([0, 1, 1, 2, 3]))
        t = int(rng.choice([0, 1, 1, 2, 5, 17, 40]))
        kind = RANDOM_KINDS[self.seed % len(RANDOM_KINDS)]
        logits = random_logits(kind, rng, s, t, self.variant.experts)
        return self.variant.cast(logits), self.variant.arguments(rng, s, t)


def random_cases(experts: int, inputs: int) -> Iterator[RandomCase]:
    """`inputs` cases for each pairwise variant of this many experts."""
    for number, variant in enumerate(pairwise_variants(experts)):
        for i in range(inputs):
            yield RandomCase(variant, (experts * 1000 + number) * 1000 + i)
