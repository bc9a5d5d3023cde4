"""Versions of the packages that take part in an import."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable


def producer_versions(packages: Iterable[str]) -> dict[str, str]:
    """Installed versions of ``packages``; packages that are absent are left out."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
