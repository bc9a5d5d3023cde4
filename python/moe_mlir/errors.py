"""The exception of everything that this package refuses."""

from __future__ import annotations


class MoEError(ValueError):
    """What the compiler or the package refused.

    The message says where, what and why, and what to do instead.

    Attributes:
        where: The place, e.g. ``model.mlir:12:8`` or an argument's name; may be "".
    """

    def __init__(self, message: str, *, where: str = "") -> None:
        super().__init__(message)
        self.where = where


class MoEWarning(UserWarning):
    """What costs time but changes no result, e.g. compiled code that is not kept."""
