"""The layers that are compared, and how their tokens are routed."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from gpu.peer import Shape

#: E, K, H, I of the layers.
LAYERS = ((64, 8, 2048, 1024), (128, 8, 2048, 768), (256, 8, 1024, 512))
TOKENS = (16, 128, 1024)
ROUTINGS = ("uniform", "zipf")
#: Exponent by which the experts' shares of the tokens fall off.
ZIPF = 1.2


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, and a way to route tokens.

    Attributes:
        shape: Of the layer, tokens among it.
        routing: "uniform", or "zipf": experts are chosen as by Zipf's law.
    """

    shape: Shape
    routing: str

    @property
    def layer(self) -> str:
        """The layer by its sizes."""
        shape = self.shape
        sizes = (shape.experts, shape.chosen, shape.hidden, shape.intermediate)
        return "E{} K{} H{} I{}".format(*sizes)

    @property
    def name(self) -> str:
        """Short; no two layers have equally many experts."""
        shape = self.shape
        return f"E{shape.experts} T{shape.tokens} {self.routing}"

    def logits(self) -> npt.NDArray[np.float32]:
        """Logits [T, E] whose K largest are drawn without replacement.

        The largest of logarithms of shares plus Gumbel noise are such a draw.
        """
        shape = self.shape
        random = np.random.default_rng([shape.experts, shape.tokens])
        shares = np.ones(shape.experts)
        if self.routing == "zipf":
            shares = np.arange(1, shape.experts + 1.0) ** -ZIPF
            random.shuffle(shares)
        noise = random.gumbel(size=(shape.tokens, shape.experts))
        return (np.log(shares / shares.sum()) + noise).astype(np.float32)

    def expert_rows(self) -> npt.NDArray[np.int64]:
        """How many rows each expert gets, in token scope."""
        shape = self.shape
        chosen = np.argsort(-self.logits(), axis=1, kind="stable")[:, : shape.chosen]
        return np.bincount(chosen.ravel(), minlength=shape.experts)

    def weight_bytes(self) -> int:
        """Bytes of the weights of experts that get a row: they must be read."""
        shape = self.shape
        used = np.count_nonzero(self.expert_rows())
        return int(used) * 3 * shape.hidden * shape.intermediate * 2


def all_cases() -> list[Case]:
    """What is compared, small ones first."""
    return [
        Case(Shape(tokens, *layer), routing)
        for tokens in TOKENS
        for layer in LAYERS
        for routing in ROUTINGS
    ]


def zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray:
    """Zeros that are aligned as device memory, so that they need no copy.

    Memory is taken where it is written: weights that are only read take none.
    """
    alignment = 256
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.zeros(size + alignment, np.uint8)
    start = -room.ctypes.data % alignment
    return room[start : start + size].view(dtype).reshape(shape)
