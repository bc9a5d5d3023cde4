"""A model as a folder: model.mlir, manifest.json and weights."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from moe_mlir.errors import MoEError
from moe_mlir.files import written_folder
from moe_mlir.importing.report import report_problem
from moe_mlir.model import Model
from moe_mlir.progress import progress
from moe_mlir.weights import MappedWeights, save_weights

MANIFEST = "manifest.json"
FORMAT = 1


def save(model: Model, folder: str | os.PathLike[str]) -> None:
    """Writes a model into a folder, whole or not at all.

    Raises:
        MoEError: The folder cannot be written, or holds something else.
    """
    with (
        progress(f"writing {os.fspath(folder)}"),
        written_folder(Path(folder), marker=MANIFEST) as fresh,
    ):
        manifest = {
            "format": FORMAT,
            "module": "model.mlir",
            "weights": save_weights(model.weights, fresh) if model.weights else [],
            "report": model.report,
        }
        (fresh / "model.mlir").write_text(model.mlir, encoding="utf-8")
        (fresh / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def load(folder: str | os.PathLike[str]) -> Model:
    """Reads a model from a folder that ``Model.save`` wrote. Weights are mapped.

    Raises:
        MoEError: A file is missing, malformed or truncated, or a weight does not fit.
    """
    path = Path(folder)
    manifest = _read_manifest(path)
    files = [_inside(path, name) for name in manifest["weights"]]
    module = _inside(path, manifest["module"])
    return Model.from_text(
        _read(module),
        MappedWeights(*files) if files else {},
        manifest["report"],
        name=str(module),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MoEError(
            f"{path}: this file is missing; the folder of a model holds "
            f"{MANIFEST}, model.mlir and weights",
            where=str(path),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise MoEError(f"{path}: cannot be read: {error}", where=str(path)) from error


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not folder.exists():
        raise MoEError(
            f"{folder}: does not exist; moe-mlir import writes the folder of a model",
            where=str(folder),
        )
    try:
        manifest = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise MoEError(
            f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}; import "
            "the model again",
            where=str(path),
        ) from error
    except RecursionError as error:
        raise MoEError(
            f"{path}: is nested too deep to be a manifest; import the model again",
            where=str(path),
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise MoEError(
            f"{path}: is not the manifest of a model of format {FORMAT}; import the "
            "model again with this version",
            where=str(path),
        )
    expected = {"module": str, "weights": list, "report": dict}
    for key, kind in expected.items():
        if not isinstance(manifest.get(key), kind):
            raise MoEError(
                f"{path}: '{key}' is missing or not a {kind.__name__}; import the "
                "model again",
                where=str(path),
            )
    if problem := report_problem(manifest["report"]):
        raise MoEError(
            f"{path}: the report is damaged: {problem}; import the model again",
            where=str(path),
        )
    return manifest


def _inside(folder: Path, name: object) -> Path:
    """A file that a manifest names, relative to its folder."""
    if (
        not isinstance(name, str)
        or not name
        or "\0" in name
        or Path(name).is_absolute()
    ):
        raise MoEError(
            f"{folder / MANIFEST}: names the file {name!r}; files are named by their "
            "path relative to the folder",
            where=str(folder / MANIFEST),
        )
    return folder / name
