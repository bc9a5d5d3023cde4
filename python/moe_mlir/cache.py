"""Compiled code that is kept in a folder, for this process and later ones.

An entry is a file, named by a hash of all that the code depends on, with a hash of its
own content. It is written beside its place and moved there, so that it is whole or
absent for whoever reads at the same time. Nothing that goes wrong here fails a compile:
it costs a warning and the time to compile again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

from moe_mlir.errors import MoEWarning
from moe_mlir.files import replaced_file

#: Names the folder, or "off".
VARIABLE = "MOE_MLIR_CACHE"
OFF = "off"

#: What a folder holds at most, in bytes; and how much of it is left when it is more.
MOST_BYTES = 256 << 20
LEFT = 0.75

#: Seconds after which what a process was writing is taken for abandoned.
ABANDONED = 3600.0

_ENDING = ".code"
_MAGIC = b"code compiled by moe_mlir\n"


def key_of(parts: Iterable[str]) -> str:
    """The key of what depends on all of these texts and on nothing else."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def open_cache(setting: str | os.PathLike[str] | None) -> Cache | None:
    """The cache of a setting, or None where there is none.

    Args:
        setting: A folder, which need not exist, or "off". None: as the environment
            variable ``MOE_MLIR_CACHE`` says, or else ``moe_mlir`` in the user's cache
            folder (``XDG_CACHE_HOME``, or ``~/.cache``).
    """
    chosen = os.fspath(setting) if setting is not None else ""
    chosen = chosen or os.environ.get(VARIABLE, "")
    if chosen == OFF:
        return None
    if chosen:
        return Cache(Path(chosen))
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # as the XDG specification demands
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            _warn(
                Path("~"),
                "compiled code is not kept: this user has no home folder; name a "
                f"folder in {VARIABLE}, or set it to {OFF}",
            )
            return None
    return Cache(base / "moe_mlir")


#: What a warning was given about.
_told: set[Path] = set()


def _warn(about: Path, message: str) -> None:
    """Warns once in a process about a folder or an entry."""
    if about not in _told:
        _told.add(about)
        warnings.warn(message, MoEWarning, stacklevel=2)


class Cache:
    """Contents by key, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: str) -> Path:
        """Where the entry of a key is, if there is one."""
        return self.folder / (key + _ENDING)

    def read(self, key: str) -> bytes | None:
        """The content of a key, or None. A damaged entry is dropped."""
        path = self.path(key)
        try:
            entry = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._failed(f"{path}: cannot be read: {error.strerror or error}")
            return None
        content = entry[len(_MAGIC) + 32 :]
        if entry != _sealed(key, content):
            with contextlib.suppress(OSError):
                path.unlink()
            _warn(path, f"{path}: this compiled code is damaged; it is compiled again")
            return None
        with contextlib.suppress(OSError):  # the folder may be another's
            os.utime(path)  # what was used last is kept longest
        return content

    def write(self, key: str, content: bytes) -> None:
        """Keeps a content, and drops the entries used least recently if there is too
        much."""
        path = self.path(key)
        try:
            # What is in it is executed, so nobody else may write there.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replaced_file(path) as stream:
                stream.write(_sealed(key, content))
            self._prune()
        except OSError as error:
            self._failed(f"{path}: cannot be written: {error.strerror or error}")

    def _failed(self, problem: str) -> None:
        _warn(
            self.folder,  # one message, whatever is asked of it
            f"{problem}; compiled code is not kept. Name another folder in {VARIABLE}, "
            f"or set it to {OFF}",
        )

    def _prune(self) -> None:
        entries = []
        for file in os.scandir(self.folder):
            with contextlib.suppress(FileNotFoundError):  # another process prunes too
                status = file.stat(follow_symlinks=False)
                if file.name.endswith(_ENDING):
                    entries.append((status.st_mtime, status.st_size, file.path))
                elif _is_abandoned(file.name, status.st_mtime):
                    os.unlink(file.path)
        held = sum(size for _, size, _ in entries)
        if held <= MOST_BYTES:
            return
        for _, size, path in sorted(entries):
            if held <= LEFT * MOST_BYTES:
                return
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            held -= size


def _is_abandoned(name: str, written: float) -> bool:
    """Whether a file is what `replaced_file` left when its process was killed."""
    old = time.time() - written > ABANDONED
    return name.startswith(".") and _ENDING + "." in name and old


def _sealed(key: str, content: bytes) -> bytes:
    """A content as it is stored. The hash covers the key too, so that an entry under
    another's name is no entry."""
    digest = hashlib.sha256(key.encode())
    digest.update(content)
    return _MAGIC + digest.digest() + content
