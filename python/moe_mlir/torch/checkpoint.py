"""Weights of a checkpoint under the names and in the layout of a model.

A checkpoint may hold each expert by itself where the model has one tensor of all. Which
tensors become which, transformers itself knows; here they are put together when a
tensor is read, so that never more than one layer of them is in memory.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    dot_natural_key,
    rename_source_key,
)

from moe_mlir.arrays import DTYPES, Array, Shaped
from moe_mlir.errors import MoEError
from moe_mlir.weights import MappedWeights

#: Types of weights that a model computes with; others are codes of a quantisation.
_FLOATS = ("float32", "float16", "bfloat16", "float64")


class CheckpointWeights(Mapping[str, Any]):
    """The weights of a model, made of a checkpoint's tensors when they are read.

    Args:
        names: The weights that the program takes.
        stored: The checkpoint's tensors.
        sources: For each name, what it is made of.
        own: Weights that no checkpoint holds: tables that the model computes.
    """

    def __init__(
        self,
        names: list[str],
        stored: MappedWeights,
        sources: Mapping[str, Source],
        own: Mapping[str, Tensor],
    ) -> None:
        self._names = names
        self._stored = stored
        self._sources = sources
        self._own = own

    def __getitem__(self, name: str) -> Tensor:
        if name in self._sources:
            return self._sources[name].read(self._stored)
        return self._own[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._sources or name in self._own

    def describe(self, name: str) -> Shaped:
        """Type and sizes of a weight, which is not made for it."""
        value = self._sources[name].like if name in self._sources else self._own[name]
        kind = str(value.dtype).removeprefix("torch.")
        dtype = DTYPES["bf16"] if kind == "bfloat16" else np.dtype(kind)
        return np.broadcast_to(np.zeros((), dtype), tuple(value.shape))

    def release_pages(self) -> None:
        """Lets the system take back what was read of the files."""
        self._stored.release_pages()


class Source:
    """How one weight of a model is made of tensors of a checkpoint."""

    def __init__(self, name: str, like: Tensor, converter: Any) -> None:
        self.name = name
        self.like = like
        self.keys: list[tuple[str, str]] = []
        self._converter = converter

    def add(self, pattern: str, key: str) -> None:
        """One more tensor, which matched a pattern of the converter."""
        self.keys.append((pattern, key))

    @property
    def stacked(self) -> bool:
        """Whether the checkpoint holds it in parts."""
        return isinstance(self._converter, WeightConverter)

    def read(self, stored: MappedWeights) -> Tensor:
        """The weight, in the model's type.

        Raises:
            MoEError: The parts do not make a tensor of the model's shape.
        """
        return self._convert(stored, _reader).to(self.like.dtype)

    def _convert(self, stored: MappedWeights, reader: Any) -> Tensor:
        converter = copy.deepcopy(self._converter)
        for pattern, key in self.keys:
            converter.add_tensor(self.name, key, pattern, reader(stored[key]))
        try:
            made = converter.convert(self.name)
        except Exception as error:  # operations of the library raise what they like
            raise self._refusal(stored, f"cannot be put together: {error}") from error
        value = made.get(self.name)
        value = value[0] if isinstance(value, list) else value
        if not isinstance(value, Tensor) or value.shape != self.like.shape:
            found = "nothing" if value is None else str(list(value.shape))
            raise self._refusal(
                stored, f"make {found}, and the model needs {list(self.like.shape)}"
            )
        return value

    def check(self, stored: MappedWeights) -> None:
        """Refuses what :meth:`read` would, without reading an element.

        Raises:
            MoEError: A tensor is of codes of a quantisation; parts are missing, of
                different types, or do not make a tensor of the model's shape.
        """
        self._check_types(stored)
        self._convert(stored, _shape_reader)

    def _check_types(self, stored: MappedWeights) -> None:
        types: dict[str, str] = {}
        for _, key in self.keys:
            kind = stored[key].dtype.name
            if kind not in _FLOATS and self.like.is_floating_point():
                raise MoEError(
                    f"tensor '{key}' is of {kind}, codes of a quantised weight; only "
                    "checkpoints of floats are imported: dequantise it first",
                    where=key,
                )
            types.setdefault(kind, key)
        if len(types) > 1:
            words = ", ".join(f"'{key}' is {kind}" for kind, key in types.items())
            raise MoEError(
                f"weight '{self.name}' is made of tensors of different types: {words}; "
                "write the checkpoint in one type",
                where=self.name,
            )

    def _refusal(self, stored: MappedWeights, what: str) -> MoEError:
        pattern, key = self.keys[0]
        many = f" and {len(self.keys) - 1} more" if len(self.keys) > 1 else ""
        return MoEError(
            f"weight '{self.name}': tensor '{key}' {list(stored[key].shape)}{many} "
            f"{what}; the checkpoint does not fit its config.json, or tensors are "
            "missing",
            where=self.name,
        )


def _shape_reader(array: Array) -> Any:
    """Sizes and type alone."""
    kind = getattr(torch, array.dtype.name)
    return lambda: torch.empty(array.shape, dtype=kind, device="meta")


def _reader(array: Array) -> Any:
    """What the library calls for the tensor: a view of the file."""

    def read() -> Tensor:
        with warnings.catch_warnings():
            # The file is mapped read-only, and nothing here writes.
            warnings.filterwarnings("ignore", message=".*not writable.*")
            if array.dtype == DTYPES["bf16"]:
                bits = torch.from_numpy(array.view(np.int16))
                return bits.view(torch.bfloat16)
            return torch.from_numpy(array)

    return read


def describe_sources(
    sources: Mapping[str, Source], stored: MappedWeights, unused: list[str]
) -> dict[str, Any]:
    """What a report says of a checkpoint."""
    changes = {
        (stored[key].dtype.name, str(source.like.dtype).removeprefix("torch."))
        for source in sources.values()
        for _, key in source.keys
    }
    return {
        "weights": f"{len(stored)} tensors in {len(stored.paths)} files",
        "stacked": sum(source.stacked for source in sources.values()),
        "converted": [f"{a} to {b}" for a, b in sorted(changes) if a != b],
        "unused": unused,
    }


def match_checkpoint(
    model: PreTrainedModel, stored: MappedWeights
) -> tuple[dict[str, Source], list[str]]:
    """What each weight of the model is made of, and tensors that none is made of.

    Raises:
        MoEError: A weight of the model is made of nothing, or of something else.
    """
    mapping = get_model_conversion_mapping(model)
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    of_pattern = {p: entry for entry in converters for p in entry.source_patterns}
    state = model.state_dict()
    prefix = model.base_model_prefix
    sources: dict[str, Source] = {}
    unused = []
    for key in sorted(stored, key=dot_natural_key):
        name, pattern = rename_source_key(key, renamings, converters, prefix, state)
        if name not in state and key in state:
            name, pattern = key, None
        if name not in state:
            unused.append(key)
            continue
        if pattern is None:
            converter = WeightRenaming(key, name)
            pattern = key
        else:
            converter = of_pattern[pattern]
        source = sources.setdefault(name, Source(name, state[name], converter))
        source.add(pattern, key)
    _share_tied(model, sources, stored)
    _check_complete(model, state, sources, unused)
    for source in sources.values():
        source.check(stored)
    return sources, unused


def _share_tied(
    model: PreTrainedModel, sources: dict[str, Source], stored: MappedWeights
) -> None:
    """Tied weights are one tensor, whichever of their names the checkpoint has."""
    for name, other in getattr(model, "all_tied_weights_keys", {}).items():
        if name in sources and other in sources:
            with torch.no_grad():
                equal = sources[name].read(stored).equal(sources[other].read(stored))
            if not equal:
                raise MoEError(
                    f"config.json ties '{name}' to '{other}', but the checkpoint holds "
                    "two different tensors; if they are meant to differ, set "
                    '"tie_word_embeddings": false',
                    where=name,
                )
        elif name in sources:
            sources[other] = sources[name]
        elif other in sources:
            sources[name] = sources[other]


def _check_complete(
    model: PreTrainedModel,
    state: Mapping[str, Tensor],
    sources: Mapping[str, Source],
    unused: list[str],
) -> None:
    optional = getattr(model, "_keys_to_ignore_on_load_missing", None) or ()
    missing = [
        name
        for name in state
        if name not in sources and not any(re.search(p, name) for p in optional)
    ]
    if missing:
        spare = f"; it has {unused[0]!r}, which nothing needs" if unused else ""
        raise MoEError(
            f"the checkpoint lacks {len(missing)} of {len(state)} weights of "
            f"{type(model).__name__}, the first '{missing[0]}'{spare}; a shard is "
            "missing, or config.json is of another model",
            where=missing[0],
        )
