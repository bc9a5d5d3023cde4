"""Importing models. The frameworks are loaded when one is imported from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moe_mlir.errors import MoEError
from moe_mlir.model import Model
from moe_mlir.progress import progress

if TYPE_CHECKING:
    from torch import nn


@contextlib.contextmanager
def _importing(where: str, extra: str) -> Iterator[None]:
    """Turns a front end's exceptions into ours."""
    from moe_mlir.importing import ImportRefused

    try:
        with progress(f"{where}: importing"):
            yield
    except ImportRefused as error:
        raise MoEError(f"{where}: {error}", where=where) from error
    except ModuleNotFoundError as error:
        raise MoEError(
            f"{where}: the package '{error.name}' is not installed; pip install "
            f"'moe-mlir[{extra}]'",
            where=where,
        ) from error


def from_torch(
    module: nn.Module,
    example_inputs: Sequence[Any],
    *,
    dynamic_shapes: Any = None,
    name: str | None = None,
) -> Model:
    """Imports a PyTorch module.

    Args:
        module: A module with MoE layers: blocks of transformers whose router is known,
            or layers written with ``moe_mlir.torch.route`` and ``experts``.
        example_inputs: Positional inputs; only their shapes and types matter.
        dynamic_shapes: As in ``torch.export.export``. None makes batch and tokens of
            the inputs dynamic; ``{}`` keeps every size.
        name: Name of the model; the module's class by default.

    Raises:
        MoEError: The module has no MoE layer, or something in it is not understood.
    """
    with _importing("from_torch", "torch"):
        from moe_mlir.torch.importer import import_torch

        return Model.from_imported(
            import_torch(
                module, example_inputs, dynamic_shapes=dynamic_shapes, name=name
            )
        )


def from_jax(
    function: Callable[..., Any],
    *args: Any,
    params: int | Sequence[int] | None = None,
    name: str | None = None,
) -> Model:
    """Imports a JAX function at the shapes of its arguments.

    Args:
        function: A function of arrays and pytrees that calls ``moe_mlir.jax.route``
            and ``experts``.
        args: Its arguments.
        params: Positions of arguments that are weights; None: those that are
            containers, a dictionary, say.
        name: Name of the model; the function's by default.

    Raises:
        MoEError: The function has no MoE layer, or something in it is not understood.
    """
    with _importing("from_jax", "jax"):
        from moe_mlir.jax.importer import import_jax

        return Model.from_imported(
            import_jax(function, *args, params=params, name=name)
        )


def from_stablehlo(
    program: str | bytes,
    *,
    weights: Mapping[int, tuple[str, Any]] | None = None,
    name: str = "stablehlo",
) -> Model:
    """Imports a StableHLO program.

    Args:
        program: Text or a portable artifact; composites ``moe.*`` are MoE layers.
        weights: Arguments that are weights: position to name and array.
        name: Name of the model.

    Raises:
        MoEError: The program has no MoE layer, or something in it is not understood.
    """
    with _importing("from_stablehlo", "jax"):
        from moe_mlir.jax.importer import import_stablehlo

        return Model.from_imported(
            import_stablehlo(program, weights=weights, name=name)
        )
