"""The fast mode of mma.sync on numbers of any size, and its definition.

D starts as C; the products are added in ascending k, each by a fused multiply-add
in float32.
"""

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from moe_mlir import ptx

Words = npt.NDArray[np.uint32]

#: name: words of A, of B; (k, bits) of the instruction.
FORMS = {
    "m16n8k16.row.col.f32.bf16.bf16.f32": (4, 2, 16, 16),
    "m16n8k8.row.col.f32.bf16.bf16.f32": (2, 1, 8, 16),
    "m16n8k16.row.col.f32.f16.f16.f32": (4, 2, 16, 16),
    "m16n8k8.row.col.f32.tf32.tf32.f32": (4, 2, 8, 32),
    "m16n8k4.row.col.f32.tf32.tf32.f32": (2, 1, 4, 32),
}
ROUNDS = 6


def _kernel(form: str, a: int, b: int) -> str:
    def names(letter: str, count: int) -> str:
        return "{" + ", ".join(f"{letter}{i}" for i in range(count)) + "}"

    loads = [
        f"ld.global.b32 {letter}{i}, [at+{128 * (first + i)}];"
        for letter, first, count in (("a", 0, a), ("b", a, b), ("c", a + b, 4))
        for i in range(count)
    ]
    stores = [f"st.global.b32 [at+{128 * (a + b + 4 + i)}], d{i};" for i in range(4)]
    body = "\n  ".join(loads)
    body += f"\n  mma.sync.aligned.{form} {names('d', 4)}, {names('a', a)}, "
    body += f"{names('b', b)}, {names('c', 4)};\n  " + "\n  ".join(stores)
    return f""".version 8.7
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 x)
{{
  .reg .b32 t, a<4>, b<2>;
  .reg .f32 c<4>, d<4>;
  .reg .b64 o, at;
  mov.u32 t, %tid.x;
  mul.wide.u32 o, t, 4;
  ld.param.u64 at, [x];
  add.u64 at, at, o;
  {body}
  ret;
}}
"""


def _inputs(form: str, words: int, width: int, index: int) -> Words:
    """Random bits; of some rounds moderate numbers, of others few small ones."""
    random = np.random.default_rng(index)
    x = random.integers(0, 2**32, (words, 32), dtype=np.uint32)
    if index % 3 == 0:
        return x
    exponents = {"bf16": (7, 8), "f16": (10, 5), "tf32": (23, 8)}[form.split(".")[4]]
    shift, bits = exponents
    field = ((1 << bits) - 1) << shift
    low, high = ((1, 40), (90, 150))[index % 2] if bits == 8 else (0, 31)
    for start in range(0, 32, width):
        chosen = random.integers(low, high, x.shape, dtype=np.uint32)
        x &= ~np.uint32(field << start)
        x |= chosen << np.uint32(shift + start)
    return x


def bits() -> Words:
    """The results of all forms on all inputs, as words."""
    results = []
    for form, (a, b, _, width) in FORMS.items():
        module = ptx.Module(_kernel(form, a, b))
        for index in range(ROUNDS):
            x = np.zeros((a + b + 8, 32), np.uint32)
            x[: a + b] = _inputs(form, a + b, width, index)
            x[a + b : a + b + 4] = _inputs("...f32.tf32", 4, 32, index + 7)
            options = {"counters": False, "check": set(), "tensor": "fast"}
            module.launch("k", 1, 32, [x], **options)
            results.append(x.copy())
    return np.concatenate(results)


def _value(word: int, form: str) -> float:
    """Of an element, as float64."""
    kind = form.split(".")[4]
    if kind == "f16":
        return float(np.uint16(word).view(np.float16))
    word32 = word << 16 if kind == "bf16" else word & 0xFFFFE000
    return float(np.uint32(word32).view(np.float32))


def fused(a: float, b: float, c: np.float32) -> np.float32:
    """a * b + c, rounded once."""
    if not (np.isfinite(a) and np.isfinite(b) and np.isfinite(c)):
        with np.errstate(all="ignore"):
            return np.float32(np.float64(a) * np.float64(b) + np.float64(c))
    exact = Fraction(a) * Fraction(b) + Fraction(float(c))
    if not exact:
        negative = np.signbit(a) != np.signbit(b)
        return np.float32(-0.0 if negative and np.signbit(c) else 0.0)
    return round_to_float32(exact)


def round_to_float32(exact: Fraction) -> np.float32:
    """To nearest, ties to even."""
    magnitude = abs(exact)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    last = max(exponent - 23, -149)
    units = round(magnitude / Fraction(2) ** last)  # ties to even
    if units * Fraction(2) ** last >= Fraction(2) ** 128:
        return np.float32(-np.inf if exact < 0 else np.inf)
    value = np.float32(np.ldexp(float(units), last))
    return np.float32(-value if exact < 0 else value)


def wrong_sums(words: Words) -> list[str]:
    """Where results of `bits` are not what the definition says; a sample."""
    wrong, at = [], 0
    for form, (a, b, k, width) in FORMS.items():
        per = 32 // width
        for index in range(ROUNDS):
            x = words[at : at + a + b + 8]
            at += a + b + 8
            for row, column in ((0, 0), (9, 3), (15, 7), (4, 6), (11, 1)):
                lane = 4 * (row % 8) + column // 2
                register = 2 * (row // 8) + column % 2
                total = x[a + b + register, lane].view(np.float32)
                for i in range(k):
                    quad, t, part = i // per // 4, i // per % 4, i % per
                    left = x[2 * quad + row // 8, 4 * (row % 8) + t]
                    right = x[a + quad, 4 * column + t]
                    cut = (1 << width) - 1
                    total = fused(
                        _value(int(left) >> width * part & cut, form),
                        _value(int(right) >> width * part & cut, form),
                        total,
                    )
                got = x[a + b + 4 + register, lane]
                want = np.uint32(0x7FFFFFFF) if np.isnan(total) else total.view("u4")
                if got != want:
                    wrong.append(f"{form} round {index} ({row}, {column}): {got:#x}")
    return wrong
