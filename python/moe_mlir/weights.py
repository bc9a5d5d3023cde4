"""Weights in safetensors files: mapped when read, never copied to be looked at."""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from moe_mlir.arrays import DTYPES, Array, Shaped, dtype_name, to_numpy
from moe_mlir.errors import MoEError
from moe_mlir.files import share

#: Element types of the file format that a program can take.
_FORMAT: dict[str, str] = {
    "F64": "f64",
    "F32": "f32",
    "F16": "f16",
    "BF16": "bf16",
    "I64": "i64",
    "I32": "i32",
    "I16": "i16",
    "I8": "i8",
    "U8": "ui8",
    "BOOL": "i1",
}


class MappedWeights(Mapping[str, Array]):
    """The tensors of one or several safetensors files, mapped into memory.

    Arrays are read-only views; a page is read when it is first touched.

    Args:
        paths: The files. A name may occur once only.

    Raises:
        MoEError: A file is missing, truncated, or not of the format.
    """

    def __init__(self, *paths: str | os.PathLike[str]) -> None:
        self.paths = tuple(Path(path) for path in paths)
        self._arrays: dict[str, Array] = {}
        #: The file of each tensor.
        self.files: dict[str, Path] = {}
        self._maps: list[mmap.mmap] = []
        for path in self.paths:
            for name, array in self._open(path).items():
                if name in self._arrays:
                    raise MoEError(
                        f"{path}: tensor '{name}' is in another file of these weights "
                        "too; keep one of them",
                        where=str(path),
                    )
                self._arrays[name] = array
                self.files[name] = path

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def release_pages(self) -> None:
        """Lets the system take back what was read; it is read again when touched."""
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)

    def _open(self, path: Path) -> dict[str, Array]:
        header, start = _read_header(path)
        arrays: dict[str, Array] = {}
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            mapped = mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ)
        self._maps.append(mapped)
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            if entry["dtype"] not in _FORMAT:
                raise MoEError(
                    f"{path}: tensor '{name}' has elements of type {entry['dtype']}, "
                    f"which is not supported; use one of {', '.join(_FORMAT)}",
                    where=str(path),
                )
            shape = tuple(entry["shape"])
            arrays[name] = np.frombuffer(
                mapped,
                DTYPES[_FORMAT[entry["dtype"]]],
                count=int(np.prod(shape, dtype=np.int64)),
                offset=start + entry["data_offsets"][0],
            ).reshape(shape)
        return arrays


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header of a file that keeps all rules, and where its data begin."""
    from safetensors import SafetensorError, safe_open

    if path.is_dir():
        raise MoEError(f"{path}: is a folder, not a weights file", where=str(path))
    try:
        # The library checks the rules: header, offsets, overlaps, sizes.
        with safe_open(path, framework="numpy"):
            pass
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header: dict[str, Any] = json.loads(stream.read(length))
    except FileNotFoundError as error:
        raise MoEError(
            f"{path}: this weights file is missing; a model's folder must stay whole",
            where=str(path),
        ) from error
    except OSError as error:
        raise MoEError(
            f"{path}: cannot be read: {error.strerror or error}", where=str(path)
        ) from error
    except (SafetensorError, ValueError) as error:
        raise MoEError(
            f"{path}: is not a whole safetensors file ({error}); it is truncated or "
            "damaged: copy or download it again",
            where=str(path),
        ) from error
    return header, 8 + length


def save_weights(
    weights: Mapping[str, object], folder: Path, *, shard_bytes: int = 4 << 30
) -> list[str]:
    """Writes weights into a folder and gives the names of the files.

    Files of mapped weights are linked or copied, if they hold nothing else.

    Args:
        shard_bytes: A file holds at most so many bytes, or one tensor.

    Raises:
        MoEError: The element type of a tensor has no place in the file format.
    """
    if isinstance(weights, MappedWeights):
        return _link_files(weights, folder)
    shards: list[dict[str, Shaped]] = [{}]
    size = 0
    for name in sorted(weights):
        shaped = _shaped(weights, name)
        if dtype_name(shaped.dtype) not in _FORMAT.values():
            raise MoEError(
                f"weight '{name}': elements of type {shaped.dtype} cannot be stored; "
                f"use one of {', '.join(_FORMAT)}",
                where=name,
            )
        if shards[-1] and size + _bytes(shaped) > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = shaped
        size += _bytes(shaped)
    count = len(shards)
    names = [
        "weights.safetensors"
        if count == 1
        else f"weights-{i:05}-of-{count:05}.safetensors"
        for i in range(1, count + 1)
    ]
    for file_name, shard in zip(names, shards, strict=True):
        _write_shard(weights, shard, folder / file_name)
        share(folder / file_name)
    return names


def _array(weights: Mapping[str, object], name: str) -> Array:
    return np.ascontiguousarray(
        to_numpy(weights[name], f"weight '{name}'", constant=True)
    )


def _shaped(weights: Mapping[str, object], name: str) -> Shaped:
    """Type and sizes of a weight; one that is made when it is read is not made."""
    describe = getattr(weights, "describe", None)
    shaped: Shaped = _array(weights, name) if describe is None else describe(name)
    return shaped


def _bytes(shaped: Shaped) -> int:
    return math.prod(shaped.shape) * shaped.dtype.itemsize


def _write_shard(
    weights: Mapping[str, object], shard: Mapping[str, Shaped], path: Path
) -> None:
    """Writes one file, one tensor at a time.

    The library's own writer copies a whole file's tensors first. What it reads back
    is checked by it, when the model is loaded.
    """
    formats = {name: entry for entry, name in _FORMAT.items()}
    # Wide elements first, so that each tensor is aligned.
    order = sorted(shard, key=lambda name: (-shard[name].dtype.itemsize, name))
    header: dict[str, Any] = {}
    end = 0
    for name in order:
        begin, end = end, end + _bytes(shard[name])
        header[name] = {
            "dtype": formats[str(dtype_name(shard[name].dtype))],
            "shape": list(shard[name].shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            array = _array(weights, name)
            if array.dtype != shard[name].dtype or array.shape != shard[name].shape:
                raise MoEError(f"weight '{name}' changed while it was written")
            stream.write(array.reshape(-1).view(np.uint8).data)
            del array  # the next one is made before this name is bound again
            if release := getattr(weights, "release_pages", None):
                release()


def _link_files(weights: MappedWeights, folder: Path) -> list[str]:
    import shutil

    names = []
    for number, path in enumerate(weights.paths):
        name = path.name if path.name not in names else f"{number}-{path.name}"
        try:
            # Weights are replaced, not edited in place, so one copy can serve two.
            os.link(path.resolve(), folder / name)
        except OSError:
            shutil.copyfile(path, folder / name)
        names.append(name)
    return names
