"""The files of a checkpoint: an index and safetensors shards, or one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moe_mlir.errors import MoEError
from moe_mlir.weights import MappedWeights

_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{twice}' is there twice")
    return found


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        MoEError: It cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, object_pairs_hook=_without_repeats)
    except OSError as error:
        raise MoEError(
            f"{path}: cannot be read: {error.strerror or error}", where=str(path)
        ) from error
    except (ValueError, RecursionError) as error:
        raise MoEError(
            f"{path}: is not JSON: {error}; copy or download it again", where=str(path)
        ) from error
    if not isinstance(value, dict):
        raise MoEError(f"{path}: is not an object of JSON", where=str(path))
    return value


def open_shards(folder: Path) -> MappedWeights | None:
    """The tensors of a checkpoint, mapped; None if the folder holds no weights.

    Raises:
        MoEError: A shard is missing or damaged, or the index and the shards disagree.
    """
    index = folder / _INDEX
    if index.exists():
        return _open_indexed(folder, index)
    if (folder / _SINGLE).exists():
        return MappedWeights(folder / _SINGLE)
    others = sorted(
        path.name
        for pattern in ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf")
        for path in folder.glob(pattern)
    )
    if others:
        raise MoEError(
            f"{folder}: holds {', '.join(others[:4])}, but neither {_INDEX} nor "
            f"{_SINGLE}; copy the missing index, or write the checkpoint with "
            "save_pretrained, which makes safetensors",
            where=str(folder),
        )
    return None


def _open_indexed(folder: Path, index: Path) -> MappedWeights:
    placed = read_json(index).get("weight_map")
    if not isinstance(placed, dict) or not all(
        isinstance(name, str) and Path(name).name == name for name in placed.values()
    ):
        raise MoEError(
            f"{index}: has no 'weight_map' from tensors to files of its folder; copy "
            "or download it again",
            where=str(index),
        )
    files = sorted(set(placed.values()))
    missing = [name for name in files if not (folder / name).exists()]
    if missing:
        raise MoEError(
            f"{folder}: {len(missing)} of {len(files)} shards are missing: "
            f"{', '.join(missing[:4])}; copy or download them",
            where=str(folder),
        )
    opened = MappedWeights(*(folder / name for name in files))
    _check_index(index, placed, opened, files)
    return opened


def _check_index(
    index: Path, placed: dict[str, str], opened: MappedWeights, files: list[str]
) -> None:
    absent = [
        key
        for key, file in placed.items()
        if key not in opened or opened.files[key].name != file
    ]
    if absent:
        key = absent[0]
        raise MoEError(
            f"{index}: says that tensor '{key}' is in {placed[key]}, which does not "
            f"hold it ({len(absent)} such tensors); index and shards are of different "
            "checkpoints: copy them again together",
            where=str(index),
        )
    unlisted = [key for key in opened if key not in placed]
    if unlisted:
        raise MoEError(
            f"{index}: does not list tensor '{unlisted[0]}', which the shards "
            f"{', '.join(files[:4])} hold ({len(unlisted)} such tensors); index and "
            "shards are of different checkpoints: copy them again together",
            where=str(index),
        )
