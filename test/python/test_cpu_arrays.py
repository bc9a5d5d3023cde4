"""Callers' arrays of any alignment and stride give the bits of dense ones."""

from __future__ import annotations

from collections.abc import Callable

import moe_mlir as moe
import numpy as np
import numpy.typing as npt
import pytest
from layer_model import layer_model, layer_text, layer_weights
from moe_mlir.arrays import DTYPES

Array = npt.NDArray[np.generic]
SHAPE = (3, 10, 32)
DTYPE_NAMES = ("f32", "bf16")


def misaligned(array: Array, offset: int) -> Array:
    """A copy that starts `offset` bytes after a multiple of 64."""
    memory = np.zeros(array.nbytes + 128, np.uint8)
    begin = -memory.ctypes.data % 64 + offset
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def spread(array: Array, axis: int) -> Array:
    """A copy in every third place along an axis; between them is NaN."""
    shape = list(array.shape)
    shape[axis] *= 3
    wide = np.full(shape, np.nan, array.dtype)
    places = (slice(None),) * axis + (slice(None, None, 3),)
    wide[places] = array
    return wide[places]


def turned(array: Array, order: tuple[int, ...]) -> Array:
    """A copy whose dimensions lie in memory in another order."""
    back = np.argsort(order)
    return np.ascontiguousarray(array.transpose(order)).transpose(back)


def reversed_(array: Array) -> Array:
    """A copy with negative strides in every dimension."""
    places = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[places])[places]


STRIDED: dict[str, Callable[[Array], Array]] = {
    "sequences apart": lambda array: spread(array, 0),
    "tokens apart": lambda array: spread(array, 1),
    "elements apart": lambda array: spread(array, 2),
    "column-major": np.asfortranarray,
    "tokens first": lambda array: turned(array, (1, 0, 2)),
    "elements first": lambda array: turned(array, (2, 0, 1)),
    "backwards": reversed_,
}


@pytest.fixture(scope="module", params=DTYPE_NAMES)
def dtype(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def compiled(dtype: str) -> moe.CompiledModel:
    return layer_model(dtype=dtype).compile(threads=1)


@pytest.fixture(scope="module")
def x(dtype: str) -> Array:
    values = np.random.default_rng(2).standard_normal(SHAPE)
    return values.astype(DTYPES[dtype])


@pytest.fixture(scope="module")
def want(compiled: moe.CompiledModel, x: Array) -> bytes:
    return compiled(misaligned(x, 0)).tobytes()


@pytest.mark.parametrize("offset", [*range(1, 9), 15, 16, 31, 32, 48, 60, 63])
def test_alignment_of_inputs(
    compiled: moe.CompiledModel, x: Array, want: bytes, offset: int
) -> None:
    moved = misaligned(x, offset)
    assert moved.ctypes.data % 64 == offset
    assert compiled(moved).tobytes() == want


@pytest.mark.parametrize("kind", STRIDED)
def test_strides_of_inputs(
    compiled: moe.CompiledModel, x: Array, want: bytes, kind: str
) -> None:
    strided = STRIDED[kind](x)
    assert strided.strides != x.strides
    assert compiled(strided).tobytes() == want
    assert strided.tobytes() == x.tobytes(), "an input was written"


def test_one_token_for_all(compiled: moe.CompiledModel, x: Array) -> None:
    repeated = np.broadcast_to(x[:1, :1], SHAPE)
    assert repeated.strides[:2] == (0, 0)
    assert compiled(repeated).tobytes() == compiled(repeated.copy()).tobytes()


def test_strides_of_torch(dtype: str, compiled: moe.CompiledModel, want: bytes) -> None:
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(2).standard_normal(SHAPE)
    x = torch.from_numpy(values.astype(DTYPES[dtype]).astype(np.float32))
    x = x.to({"f32": torch.float32, "bf16": torch.bfloat16}[dtype])
    wide = torch.full((3, 11, 65), torch.nan, dtype=x.dtype)
    inner = wide[:, 1:, 1::2]
    inner.copy_(x)
    orders = [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1)]
    variants = [x.permute(o).contiguous().permute(*np.argsort(o)) for o in orders]
    for variant in [inner, *variants]:
        got = compiled(variant)
        assert got.view(torch.uint8).numpy().tobytes() == want


def test_weights_of_any_alignment_and_stride(dtype: str, x: Array, want: bytes) -> None:
    weights = layer_weights(8, 32, 16, dtype)
    ways = [lambda weight: misaligned(weight, 1), np.asfortranarray, reversed_]
    ways.append(lambda weight: spread(weight, weight.ndim - 1))
    for way in ways:
        others = {name: way(weight) for name, weight in weights.items()}
        report = {"name": "layer", "inputs": [{"name": "x"}]}
        model = moe.Model.from_text(layer_text(8, 2, 32, 16, dtype), others, report)
        assert model.compile(threads=1)(x).tobytes() == want
