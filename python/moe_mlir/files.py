"""Output that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from moe_mlir.errors import MoEError


def cannot_write(path: Path, error: OSError) -> MoEError:
    """The exception for an output that the system refuses."""
    return MoEError(
        f"{path}: cannot be written: {error.strerror or error}; choose another output "
        "or change its permissions",
        where=str(path),
    )


def share(file: Path | int) -> None:
    """Gives a file of one's own, by path or descriptor, the permissions of any new
    file."""
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(file, 0o666 & ~umask)


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[IO[bytes]]:
    """As :func:`written_file`, for a file of nobody else, and with the system's errors.

    Raises:
        OSError: The file cannot be written.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def written_file(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose content becomes the file `path` at the end of the block.

    An exception in the block, an interrupt too, leaves what was there before.

    Raises:
        MoEError: The file cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise MoEError(f"{path}: is a folder; name a file in it", where=str(path))
    try:
        with replaced_file(path) as stream:
            yield stream
            share(stream.fileno())
    except OSError as error:
        raise cannot_write(path, error) from error


@contextlib.contextmanager
def written_folder(path: Path, *, marker: str) -> Iterator[Path]:
    """A temporary folder that becomes `path` at the end of the block.

    An existing folder is replaced only if it holds a file `marker`, that is, if it
    was written in this way. An exception in the block leaves what was there before.

    Raises:
        MoEError: The folder cannot be written, or something else is there.
    """
    path = Path(path)
    if path.exists() and not (path / marker).is_file():
        if not path.is_dir() or any(path.iterdir()):
            raise MoEError(
                f"{path}: exists and holds no {marker}, so it is not overwritten; "
                "choose another output or remove it",
                where=str(path),
            )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        fresh = temporary / "new"
        fresh.mkdir()
        yield fresh
        if path.exists():
            path.rename(temporary / "old")
        fresh.rename(path)
    except OSError as error:
        if not path.exists() and (temporary / "old").exists():
            (temporary / "old").rename(path)
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
