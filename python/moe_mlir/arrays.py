"""Arrays of NumPy, PyTorch and JAX: told apart, viewed, and given back in kind.

Neither framework is imported here: an array of one exists only where its user
imported it.
"""

from __future__ import annotations

import sys
from typing import Any, Literal, Protocol

import ml_dtypes
import numpy as np
import numpy.typing as npt

from moe_mlir.errors import MoEError

Kind = Literal["numpy", "torch", "jax"]
Array = npt.NDArray[Any]


class Shaped(Protocol):
    """What has an element type and sizes, on whatever device."""

    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...


#: Element types by their names in MLIR.
DTYPES: dict[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "i1": np.dtype(np.bool_),
    "i8": np.dtype(np.int8),
    "ui8": np.dtype(np.uint8),
    "i16": np.dtype(np.int16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "index": np.dtype(np.int64),
}
_NAMES = {dtype: name for name, dtype in DTYPES.items() if name != "index"}


def dtype_name(dtype: np.dtype[Any]) -> str | None:
    """The name of an element type in MLIR; None if it has none here."""
    return _NAMES.get(dtype)


def numpy_dtype(name: str, where: str) -> np.dtype[Any]:
    """The NumPy type of an element type of MLIR."""
    if name not in DTYPES:
        raise MoEError(
            f"{where}: no array type of Python holds elements of type {name}; the "
            f"types that cross the border are {', '.join(DTYPES)}",
            where=where,
        )
    return DTYPES[name]


def kind_of(value: object) -> Kind:
    """Whose array this is; "numpy" for everything that is not a framework's."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return "torch"
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(value, jax.Array):
        return "jax"
    return "numpy"


def to_numpy(value: object, where: str, *, constant: bool = False) -> Array:
    """A NumPy view of an array, without a copy where its memory is on the CPU.

    Args:
        constant: The array's gradient is not wanted, as it is a weight.

    Raises:
        MoEError: The array is on another device, carries gradients, or is being
            traced.
    """
    kind = kind_of(value)
    if kind == "torch":
        return _torch_view(value, where, constant)
    if kind == "jax":
        return _jax_view(value, where)
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise _cannot_view(value, where, error) from error
    try:
        array = np.asarray(value)
    except ValueError as error:  # nested lists of unequal length
        raise MoEError(
            f"{where}: this is not an array: {error}", where=where
        ) from error
    if array.dtype == object:
        raise MoEError(
            f"{where}: expected an array of numbers, got {type(value).__name__}",
            where=where,
        )
    return array


def _torch_view(value: Any, where: str, constant: bool) -> Array:
    import torch

    if value.requires_grad and torch.is_grad_enabled() and not constant:
        raise MoEError(
            f"{where}: this tensor requires a gradient, and compiled code has none; "
            "call it under torch.no_grad(), or train with moe_mlir.torch.route and "
            "moe_mlir.torch.experts in eager PyTorch",
            where=where,
        )
    if value.device.type != "cpu":
        raise MoEError(
            f"{where}: this tensor is on {value.device}, and compiled code runs on "
            "the CPU; pass tensor.cpu()",
            where=where,
        )
    tensor = value.detach()
    if tensor.layout != torch.strided or tensor.is_conj():
        raise MoEError(f"{where}: pass a dense tensor", where=where)
    try:
        if tensor.dtype == torch.bfloat16:
            bits = tensor.contiguous().view(torch.int16).numpy()
            return bits.view(DTYPES["bf16"])  # type: ignore[no-any-return]
        return tensor.resolve_neg().numpy()  # type: ignore[no-any-return]
    except (RuntimeError, TypeError) as error:  # no memory of numbers NumPy knows
        raise _cannot_view(value, where, error) from error


def _cannot_view(value: object, where: str, error: Exception) -> MoEError:
    return MoEError(
        f"{where}: this {type(value).__name__} cannot be viewed by NumPy ({error}); "
        "copy it to a NumPy array",
        where=where,
    )


def _jax_view(value: Any, where: str) -> Array:
    import jax

    if isinstance(value, jax.core.Tracer):
        raise MoEError(
            f"{where}: this array is being traced by JAX (jit, grad or vmap), and a "
            "compiled function takes arrays with values; call it outside, or use "
            "moe_mlir.jax.route and moe_mlir.jax.experts inside",
            where=where,
        )
    try:
        return np.asarray(value)
    except RuntimeError as error:  # deleted, or on several devices
        raise _cannot_view(value, where, error) from error


def from_numpy(array: Array, kind: Kind) -> Any:
    """The array as one of `kind`; it shares the memory where the kind permits."""
    if kind == "torch":
        import torch

        if array.dtype == DTYPES["bf16"]:
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)
    if kind == "jax":
        import jax

        if array.dtype != DTYPES["bf16"] and array.size:
            return jax.dlpack.from_dlpack(array)
        return jax.numpy.asarray(array)
    return array


def dense(array: Array) -> Array:
    """The array as compiled code takes it: row-major, aligned, and true as 1.

    A copy if need be: a bool that was viewed, not converted, may hold any byte.
    """
    array = np.require(array, requirements=["C", "A"])
    if array.dtype == np.bool_ and array.size:
        flags = array.view(np.uint8)
        if flags.max() > 1:
            return np.asarray(flags != 0)
    return array


def describe(array: Shaped) -> str:
    """Type and shape in the words of the framework's users: float32 [2, 3]."""
    return f"{array.dtype} {list(array.shape)}"
