"""The bounds of the approximate functions, found over all 2^32 inputs of f32.

A result is compared with the exact one, computed in f64: `ulp` is the distance in
units of the last place of the correctly rounded result, in f32.

| instruction | largest error |
|---|---|
| ex2.approx | 2.055 ulp; 2.38 of subnormal results |
| lg2.approx | 2.300 ulp; in [0.5, 2] absolute 2.15e-7 |
| rcp.approx | 0.975 ulp (0.985 of subnormals) |
| rsqrt.approx | 1.514 ulp |
| sqrt.approx | 0.944 ulp |
| sin.approx, cos.approx | absolute, by the size of the argument: see ANGLE_BOUNDS |
| tanh.approx | relative 1.11e-5 |
| div.full, div.approx | 2.128 ulp |
| rcp, rsqrt of f64 | relative 2^-20.1, the low 32 bits are 0 |

Where the hardware's result is zero, infinite or NaN, the bits must be its own, except
for zeros of sin and cos. ex2 and tanh of 16-bit floats must have the recorded bits.
"""

import numpy as np

from recordings.form import Form

ULP = {
    "ex2": 2.38,
    "lg2": 2.300,
    "rcp": 0.985,
    "rsqrt": 1.514,
    "sqrt": 0.944,
    "div": 2.128,
}
TANH_RELATIVE = 1.11e-5
LOG_ABSOLUTE = 2.15e-7
DOUBLE_RELATIVE = 2.0**-20.1
# (largest argument, error of sin, error of cos); beyond: anything in [-1, 1].
ANGLE_BOUNDS = (
    (np.pi, 3.48e-7, 4.04e-7),
    (2 * np.pi, 6.51e-7, 7.10e-7),
    (100 * np.pi, 3.66e-5, 3.66e-5),
    (np.inf, 2.0, 2.0),
)


def exact(opcode: str, inputs: list[np.ndarray]) -> np.ndarray:
    """The function in f64."""
    x = inputs[0]
    with np.errstate(all="ignore"):
        match opcode:
            case "ex2":
                return np.exp2(x)
            case "lg2":
                return np.log2(x)
            case "rcp":
                return 1 / x
            case "rsqrt":
                return 1 / np.sqrt(x)
            case "sqrt":
                return np.sqrt(x)
            case "sin":
                return np.sin(x)
            case "cos":
                return np.cos(x)
            case "tanh":
                return np.tanh(x)
            case "div":
                return x / inputs[1]
    raise ValueError(f"no exact definition of {opcode}")


def allowed_error(
    opcode: str, inputs: list[np.ndarray], want: np.ndarray
) -> np.ndarray:
    """The largest absolute error at each input of f32."""
    if opcode in ("sin", "cos"):
        bound = np.full(want.shape, 2.0)
        for largest, sine, cosine in reversed(ANGLE_BOUNDS):
            error = sine if opcode == "sin" else cosine
            bound = np.where(np.abs(inputs[0]) <= largest, error, bound)
        return bound
    if opcode == "tanh":
        return np.abs(want) * TANH_RELATIVE
    with np.errstate(all="ignore"):
        single = np.abs(want).astype(np.float32)
        spacing = np.spacing(np.maximum(single, np.float32(2.0**-126)))
    spacing = np.where(single < 2.0**-126, 2.0**-149, spacing).astype(np.float64)
    bound = ULP[opcode] * spacing
    if opcode == "lg2":
        near_one = (inputs[0] >= 0.5) & (inputs[0] <= 2)
        bound = np.where(near_one, LOG_ABSOLUTE, bound)
    return bound


def differs(
    form: Form, inputs: list[np.ndarray], got: np.ndarray, recorded: np.ndarray
) -> np.ndarray:
    """Where a result is neither the recorded one nor within the bounds."""
    opcode = form.name.split(".")[0]
    kind = form.inputs[0]
    if kind not in ("f32", "f64"):
        return got != recorded
    dtype = np.float32 if kind == "f32" else np.float64
    with np.errstate(all="ignore"):  # signalling NaN
        values = [x.view(dtype).astype(np.float64) for x in inputs]
        hardware = recorded.view(dtype).astype(np.float64)
        result = got.view(dtype).astype(np.float64)
    want = exact(opcode, values)
    normal = np.isfinite(hardware) & np.isfinite(want)
    if opcode not in ("sin", "cos"):  # their errors are absolute
        normal &= hardware != 0
    # Where the hardware flushed or lost an operand, its result is the rule.
    normal &= np.abs(want) <= float(np.finfo(dtype).max)
    if ".ftz" in form.name:
        smallest = float(np.finfo(dtype).tiny)
        normal &= np.all([np.abs(v) >= smallest for v in values], axis=0)
    if kind == "f64":
        bound = np.abs(want) * DOUBLE_RELATIVE
    else:
        bound = allowed_error(opcode, values, want)
    with np.errstate(all="ignore"):
        near = np.abs(result - want) <= bound
    return (got != recorded) & ~(normal & near)
