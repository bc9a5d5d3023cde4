"""``from_pretrained``: a folder of transformers, or a config.json alone."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.initialization import no_init_weights

from moe_mlir.errors import MoEError
from moe_mlir.importing.imported import Imported, ImportRefused
from moe_mlir.torch.causal_lm import import_causal_lm
from moe_mlir.torch.checkpoint import (
    CheckpointWeights,
    describe_sources,
    match_checkpoint,
)
from moe_mlir.torch.recipes import PARAMETER_NAMES
from moe_mlir.torch.shards import open_shards, read_json
from moe_mlir.weights import MappedWeights

_CONFIG = "config.json"

#: What configurations call the number of experts.
_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def import_pretrained(
    source: str | os.PathLike[str], *, dtype: str | None = None, seed: int = 0
) -> Imported:
    """Imports a causal language model from files; nothing is downloaded.

    Args:
        source: A folder with ``config.json`` and safetensors; without the latter, or a
            JSON file alone, the weights are random.
        dtype: "float32", "bfloat16" or "float16"; None: the config's, or float32.
        seed: Of random weights.

    Raises:
        MoEError: A file is missing or damaged, or they do not fit together.
        ImportRefused: The model is not understood.
    """
    path = Path(source)
    if not path.exists():
        raise MoEError(
            f"{path}: does not exist; give a folder with {_CONFIG}, or a config alone "
            "(models are not downloaded)",
            where=str(path),
        )
    config = _read_config(path / _CONFIG if path.is_dir() else path)
    _check_choice(config)
    kind = _dtype(config, dtype)
    stored = open_shards(path) if path.is_dir() else None
    if stored is None:
        return _import_random(path, config, kind, seed)
    return _import_checkpoint(path, config, kind, stored)


def _read_config(path: Path) -> Any:
    if not path.exists():
        raise MoEError(
            f"{path}: is missing; it says what the weights are of", where=str(path)
        )
    written = read_json(path)
    kind, version = written.get("model_type"), written.get("transformers_version")
    here = transformers.__version__
    by = f" (it was written by transformers {version})" if version else ""
    if not isinstance(kind, str):
        raise MoEError(f"{path}: has no 'model_type'; is it a model's config?")
    if written.get("quantization_config"):
        raise MoEError(
            f"{path}: the checkpoint is quantised; only checkpoints of floats are "
            "imported: dequantise it first",
            where=str(path),
        )
    if kind not in transformers.models.auto.configuration_auto.CONFIG_MAPPING:
        raise MoEError(
            f"{path}: model_type '{kind}' is unknown to transformers {here}{by}; "
            "install a version that has it (code from a checkpoint is not run)",
            where=str(path),
        )
    try:
        return AutoConfig.from_pretrained(path, local_files_only=True)
    except Exception as error:  # a config's own checks raise what they like
        raise MoEError(
            f"{path}: transformers {here} cannot read this config of '{kind}'{by}: "
            f"{error}",
            where=str(path),
        ) from error


def _check_choice(config: Any) -> None:
    """Raises where a token is to have more experts than there are, or none."""
    # "top_k" may be a parameter of sampling.
    names = [name for name in PARAMETER_NAMES["k"] if name != "top_k"]
    values = {
        name: value
        for name in (*names, *_COUNTS)
        if isinstance(value := getattr(config, name, None), int)
    }
    counts = [values[name] for name in _COUNTS if name in values]
    for name in names:
        if counts and name in values and not 1 <= values[name] <= max(counts):
            raise ImportRefused(
                f"{name} is {values[name]} in this config ({config.model_type}), and "
                f"there are {max(counts)} experts; it must be from 1 to that"
            )


def _dtype(config: Any, name: str | None) -> torch.dtype:
    if name is None:
        kind = getattr(config, "dtype", None)
        return kind if kind in DTYPES.values() else torch.float32
    if name not in DTYPES:
        raise MoEError(
            f"dtype is {name!r}; use one of {', '.join(DTYPES)}", where="dtype"
        )
    return DTYPES[name]


def _make(config: Any, dtype: torch.dtype) -> PreTrainedModel:
    try:
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    except Exception as error:  # a config's sizes may not fit each other
        raise ImportRefused(
            f"transformers {transformers.__version__} makes no causal language model "
            f"of this config ({config.model_type}): {error}"
        ) from error
    for name, weight in model.named_parameters():
        if not weight.numel():
            raise ImportRefused(
                f"weight '{name}' of this config ({config.model_type}) is "
                f"{list(weight.shape)}; a size in it is 0"
            )
    return model.eval()  # type: ignore[no-any-return]


def _import_random(path: Path, config: Any, dtype: torch.dtype, seed: int) -> Imported:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _make(config, dtype)
    imported = import_causal_lm(model)
    facts = {"folder": path.name, "weights": f"random, seed {seed}"}
    return dataclasses.replace(imported, report=imported.report | {"checkpoint": facts})


def make_unfilled(config: Any, dtype: torch.dtype) -> PreTrainedModel:
    """A model whose weights read as zero and take no memory until they are read.

    Tables that it computes for itself, of a rotary embedding say, are right.
    """
    with no_init_weights():
        model = _make(config, dtype)
    model.tie_weights()
    for parameter in model.parameters():
        size = math.prod(parameter.shape) * parameter.element_size()
        # The system maps such pages when they are first touched.
        zeros = torch.from_numpy(np.zeros(size, np.uint8)).view(parameter.dtype)
        parameter.data = zeros.view(parameter.shape)
    return model


def _import_checkpoint(
    path: Path, config: Any, dtype: torch.dtype, stored: MappedWeights
) -> Imported:
    model = make_unfilled(config, dtype)
    sources, unused = match_checkpoint(model, stored)
    imported = import_causal_lm(model)
    own = {n: w for n, w in imported.weights.items() if n not in sources}
    weights = CheckpointWeights(list(imported.weights), stored, sources, own)
    facts = {"folder": path.name} | describe_sources(sources, stored, unused)
    report = imported.report | {"checkpoint": facts}
    return dataclasses.replace(imported, weights=weights, report=report)
