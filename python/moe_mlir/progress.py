"""Notes on stderr about work that takes more than a second."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator

#: Seconds before anything is shown.
DELAY = 1.0

_depth = threading.local()


def _wanted() -> bool:
    setting = os.environ.get("MOE_PROGRESS", "")
    return setting != "0" and (setting == "1" or sys.stderr.isatty())


@contextlib.contextmanager
def progress(what: str) -> Iterator[None]:
    """Says what is going on, if the block takes more than a second.

    On a terminal a line with the time so far, which goes away at the end; elsewhere,
    and only with ``MOE_PROGRESS=1``, one plain line at the start and one at the end.
    Inside another block nothing is shown.
    """
    if not _wanted() or getattr(_depth, "inside", False):
        yield
        return
    _depth.inside = True
    start = time.monotonic()
    finished = threading.Event()
    shown = threading.Thread(target=_show, args=(what, finished), daemon=True)
    shown.start()
    try:
        yield
    finally:
        finished.set()
        shown.join()
        _depth.inside = False
        seconds = time.monotonic() - start
        if seconds > DELAY and not sys.stderr.isatty():
            print(f"{what}: {seconds:.1f} s", file=sys.stderr, flush=True)


def _show(what: str, finished: threading.Event) -> None:
    if finished.wait(DELAY):
        return
    if not sys.stderr.isatty():
        print(f"{what} ...", file=sys.stderr, flush=True)
        finished.wait()
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        bar.add_task(what, total=None)
        finished.wait()
