"""One layer's data on a device, and what some of its tokens must come to."""

from __future__ import annotations

import dataclasses

import numpy as np

from device import data
from device.data import Array
from device.driver import Driver
from device.execute import Memory
from device.timed import Shape

#: Weights repeat after so many elements, a prime: experts then differ.
PERIOD = 8_388_593
#: Makes sums of products of weights about as large as the inputs.
WEIGHT_SCALE = 2.0**-5
#: Tokens that are computed again in float64.
SAMPLES = 2
#: Roundings on the way of a value: the matmuls, the activation, gate and sum.
ROUNDINGS = 5


class Weights:
    """The weights of a shape.

    Attributes:
        gate_up: [E, 2 I, H], its address.
        down: [E, H, I], its address.
        bytes: Of both.
    """

    def __init__(self, shape: Shape, memory: Memory) -> None:
        count = shape.experts * shape.hidden * shape.intermediate
        self._shape = shape
        self._pieces = [self._piece(seed) for seed in (11, 12)]
        self.gate_up = memory.repeat(self._pieces[0], 2 * count)
        self.down = memory.repeat(self._pieces[1], count)
        self.gate_up_bytes, self.down_bytes = 4 * count, 2 * count

    @staticmethod
    def _piece(seed: int) -> Array:
        values = data.normal(seed, PERIOD) * np.float32(WEIGHT_SCALE)
        return data.to_dtype(values, "bf16")

    def _expert(self, number: int, expert: int, rows: int, columns: int) -> Array:
        size = rows * columns
        at = np.arange(expert * size, (expert + 1) * size) % PERIOD
        return data.to_float(self._pieces[number][at], "bf16").reshape(rows, columns)

    def wide(self, expert: int) -> Array:
        """[2 I, H] in float64."""
        shape = self._shape
        return self._expert(0, expert, 2 * shape.intermediate, shape.hidden)

    def narrow(self, expert: int) -> Array:
        """[H, I] in float64."""
        shape = self._shape
        return self._expert(1, expert, shape.hidden, shape.intermediate)


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What tokens bring to a layer; arrays of the host.

    Attributes:
        x: [T, H], bf16 by its bits.
        choices: [T, K], the experts of each token, ascending.
        gates: [T, K], those of `choices`.
        plan: Its fields by name.
    """

    x: Array
    choices: Array
    gates: Array
    plan: dict[str, Array]

    @property
    def tokens(self) -> int:
        return int(self.choices.shape[0])

    @property
    def row_gates(self) -> Array:
        """[R]: the gates in the order of rows."""
        gates = np.empty(self.gates.size, np.float32)
        gates[self.plan["token_row"]] = self.gates.ravel()
        return gates

    @property
    def experts_used(self) -> int:
        """Experts that have a row."""
        return int((np.diff(self.plan["expert_offsets"]) > 0).sum())


def make_inputs(shape: Shape, tokens: int) -> Inputs:
    """Random tokens, whose experts are the best of random logits."""
    x = data.to_dtype(data.normal(21, tokens * shape.hidden), "bf16")
    logits = data.normal(22, tokens * shape.experts).reshape(tokens, shape.experts)
    choices = np.sort(data.top_choices(logits, shape.chosen), axis=1)
    scores = np.exp(np.take_along_axis(logits, choices, 1).astype(np.float64))
    gates = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    plan = data.plan_of(choices, shape.experts)
    return Inputs(x.reshape(tokens, shape.hidden), choices, gates, plan)


def sample_tokens(tokens: int) -> list[int]:
    """Some tokens, the last one among them."""
    return sorted({(tokens - 1) * i // max(SAMPLES - 1, 1) for i in range(SAMPLES)})


def expected(shape: Shape, inputs: Inputs, weights: Weights) -> dict[int, Array]:
    """The results [H] of some tokens, in float64."""
    wanted = {}
    for token in sample_tokens(inputs.tokens):
        x = data.to_float(inputs.x[token], "bf16")
        total = np.zeros(shape.hidden)
        for expert, gate in zip(
            inputs.choices[token], inputs.gates[token], strict=True
        ):
            gate_half, up = np.split(weights.wide(int(expert)) @ x, 2)
            hidden = gate_half / (1 + np.exp(-gate_half)) * up
            total += float(gate) * (weights.narrow(int(expert)) @ hidden)
        wanted[token] = total
    return wanted


def check_result(
    driver: Driver, pointer: int, shape: Shape, wanted: dict[int, Array]
) -> str:
    """What is wrong with a result [T, H] of bf16 on the device; "" if nothing."""
    row = np.empty(shape.hidden, np.uint16)
    for token, want in wanted.items():
        driver.download(pointer + token * row.nbytes, row)
        error = np.abs(data.to_float(row, "bf16") - want).max()
        bound = ROUNDINGS * data.EPSILON["bf16"] * np.abs(want).max()
        if not error <= bound:
            return f"token {token} is off by {error:.3g}, more than {bound:.3g}"
    return ""
