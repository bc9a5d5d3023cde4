"""Routings that compute their logits: their routers as text, inputs and results."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TYPES = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16}
#: Bits of a number, the leading one included.
PRECISION = {"f32": 24, "bf16": 8, "f16": 11}


@dataclasses.dataclass(frozen=True)
class Router:
    """The router of a routing.

    Attributes:
        hidden: H.
        dtype: Of the input and the weight.
        layout: Of the weight: nk is [1, E, H], kn is [1, H, E].
        logits: Type of the logits.
        bias: Whether one is added to the sums, of the logits' type.
        rounded: Whether the sums are rounded to `dtype` before all else.
    """

    hidden: int
    dtype: str = "bf16"
    layout: str = "nk"
    logits: str = "f32"
    bias: bool = False
    rounded: bool = False

    def weight_shape(self, experts: int) -> tuple[int, int, int]:
        nk = (1, experts, self.hidden)
        return nk if self.layout == "nk" else (1, self.hidden, experts)

    def types(self, tokens: str, experts: int) -> list[str]:
        """Types of the operands; `tokens` is S·T in a type."""
        weight = "x".join(map(str, self.weight_shape(experts)))
        types = [f"memref<{tokens}x{self.hidden}x{self.dtype}>"]
        types.append(f"memref<{weight}x{self.dtype}>")
        return types + [f"memref<1x{experts}x{self.logits}>"] * self.bias

    def clause(self, types: list[str]) -> str:
        """The router of an op, on arguments %router0 and so on."""
        names = ", ".join(f"%router{i}" for i in range(len(types)))
        return f"""router({names} : {", ".join(types)}) layout = {self.layout} {{
          {self.region()}
        }}"""

    def region(self) -> str:
        lines, value, type_ = [], "%sum", "f32"

        def cast(to: str) -> None:
            nonlocal value, type_
            if to != type_:
                op = "extf" if to == "f32" else "truncf"
                made = f"%v{len(lines)}"
                lines.append(f"{made} = arith.{op} {value} : {type_} to {to}")
                value, type_ = made, to

        if self.rounded:
            cast(self.dtype)
            cast("f32")
        cast(self.logits)
        if self.bias:
            lines.append(f"%biased = arith.addf {value}, %bias : {type_}")
            value = "%biased"
        arguments = "%sum: f32" + f", %bias: {self.logits}" * self.bias
        body = [f"^bb0({arguments}):", *lines, f"moe.yield {value} : {type_}"]
        return "\n          ".join(body)

    def inputs(
        self, rng: np.random.Generator, tokens: int, experts: int, whole: bool
    ) -> list[Array]:
        """An input [tokens, H], a weight, and a bias where there is one.

        Args:
            whole: Small whole numbers, whose sums are exact.
        """

        def draw(*shape: int) -> Array:
            if whole:
                return rng.integers(-2, 3, shape).astype(np.float32)
            return rng.standard_normal(shape).astype(np.float32)

        type_ = TYPES[self.dtype]
        arrays = [draw(tokens, self.hidden).astype(type_)]
        arrays.append(draw(*self.weight_shape(experts)).astype(type_))
        bias = draw(1, experts).astype(TYPES[self.logits])
        return arrays + [bias] * self.bias

    def check_logits(self, found: Array, arrays: list[Array], whole: bool) -> None:
        """Logits [S, T, E] are within the bound of sums in any order, and of the
        roundings of the region; those of whole numbers are exact."""
        x, w = (array.astype(np.float64) for array in arrays[:2])
        w = w[0].T if self.layout == "nk" else w[0]
        want = (x @ w).reshape(found.shape)
        slack = self.hidden * 2.0**-24 * (abs(x) @ abs(w)).reshape(found.shape)
        if self.rounded:
            want, slack = self._rounded(want, slack, self.dtype, whole)
        want, slack = self._rounded(want, slack, self.logits, whole)
        if self.bias:
            want = want + arrays[2].astype(np.float64)
            want, slack = self._rounded(want, slack, self.logits, whole)
        if whole:
            np.testing.assert_array_equal(found.astype(np.float64), want)
            return
        assert np.isfinite(found.astype(np.float32)).all()
        assert (abs(found.astype(np.float64) - want) <= slack).all()

    @staticmethod
    def _rounded(
        want: Array, slack: Array, type_: str, whole: bool
    ) -> tuple[Array, Array]:
        if whole:
            return want.astype(np.float32).astype(TYPES[type_]).astype(
                np.float64
            ), slack
        tiny = 2.0**-24 if type_ == "f16" else 0.0
        return want, slack + 2.0 ** -PRECISION[type_] * (abs(want) + slack) + tiny
