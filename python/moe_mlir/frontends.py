"""Importing models. The frameworks are loaded when one is imported from."""

from __future__ import annotations

import contextlib
import os
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
    valid: str | None = None,
) -> Model:
    """Imports a PyTorch module.

    Args:
        module: A module with MoE layers: blocks of transformers whose router is known,
            or layers written with ``moe_mlir.torch.route`` and ``experts``.
        example_inputs: Positional inputs; only their shapes and types matter.
        dynamic_shapes: As in ``torch.export.export``. None makes batch and tokens of
            the inputs dynamic; ``{}`` keeps every size.
        name: Name of the model; the module's class by default.
        valid: Name of an input ``[S, T]`` that is zero where a token is padding, which
            the layers then leave out of choice and budget.

    Raises:
        MoEError: The module has no MoE layer, or something in it is not understood.
    """
    with _importing("from_torch", "torch"):
        from moe_mlir.torch.importer import import_torch

        return Model.from_imported(
            import_torch(
                module,
                example_inputs,
                dynamic_shapes=dynamic_shapes,
                name=name,
                valid=valid,
            )
        )


def from_causal_lm(model: nn.Module, *, name: str | None = None) -> Model:
    """Imports a whole causal language model of transformers.

    Args:
        model: A ``...ForCausalLM``. The result takes ``input_ids`` and
            ``attention_mask``, int64 ``[S, T]`` with S and T of any size, and gives
            logits ``[S, T, vocabulary]``. What the mask leaves out, on the left or on
            the right, is in no budget of experts; its logits mean nothing.
        name: Name of the model; its class by default.

    Raises:
        MoEError: It is no such model, or something in it is not understood.
    """
    with _importing("from_causal_lm", "torch"):
        from moe_mlir.torch.causal_lm import import_causal_lm

        return Model.from_imported(import_causal_lm(model, name=name))


def from_pretrained(
    source: str | os.PathLike[str], *, dtype: str | None = None, seed: int = 0
) -> Model:
    """Imports a checkpoint of a causal language model of transformers.

    Args:
        source: A folder with ``config.json`` and safetensors, one file or shards with
            an index. Without weights, or for a JSON file alone, they are random, which
            ``Model.report["checkpoint"]`` says. Nothing is downloaded, and no code of
            a checkpoint is run.
        dtype: "float32", "bfloat16" or "float16"; None: the config's.
        seed: Of random weights.

    The weights stay in their files until they are read; experts that are stored one by
    one are then stacked, a layer at a time.

    Raises:
        MoEError: A file is missing or damaged, the files do not fit together, or
            something in the model is not understood.
    """
    with _importing("from_pretrained", "torch"):
        from moe_mlir.torch.pretrained import import_pretrained

        return Model.from_imported(import_pretrained(source, dtype=dtype, seed=seed))


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
