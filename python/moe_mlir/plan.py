"""The result of a routing: which rows go to which expert."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moe_mlir.errors import MoEError
from moe_mlir.files import written_file

Int32s = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Which rows go to which expert, and with what weight.

    S sequences of T tokens, E experts, N chosen (token, expert) pairs. A row is the
    copy of a token that one pair sends to one expert; rows are ordered by expert,
    then by token. Token ``s*T + t`` is token ``t`` of sequence ``s``.

    Attributes:
        expert_offsets: int32 ``[E+1]``; expert ``e`` has the rows from
            ``expert_offsets[e]`` up to ``expert_offsets[e+1]``.
        row_token: int32 ``[N]``; the token of each row, ascending within an expert.
        token_offsets: int32 ``[S, T+1]``; token ``t`` of sequence ``s`` has the
            entries from ``token_offsets[s, t]`` up to ``token_offsets[s, t+1]`` of
            ``token_row``.
        token_row: int32 ``[N]``; the rows of each token, experts ascending.
        gates: float32 ``[N]``; the weight of each row in the combine.
        nan_tokens: Number of valid tokens with a NaN among their logits. Under
            ``scope="sequence"`` such a token usually gets no expert.
    """

    expert_offsets: Int32s
    row_token: Int32s
    token_offsets: Int32s
    token_row: Int32s
    gates: npt.NDArray[np.float32]
    nan_tokens: int

    @classmethod
    def trimmed(cls, fields: list[npt.NDArray[Any]], nan_tokens: int) -> Plan:
        """A plan of fields that have room for more rows than are live."""
        expert_offsets, row_token, token_offsets, token_row, gates = fields
        live = int(expert_offsets[-1])
        return cls(
            expert_offsets,
            row_token[:live],
            token_offsets,
            token_row[:live],
            gates[:live],
            nan_tokens,
        )

    def counts(self) -> Int32s:
        """int32 ``[E]``: rows of each expert."""
        return np.diff(self.expert_offsets)

    def experts_per_token(self) -> Int32s:
        """int32 ``[S, T]``: experts of each token."""
        return np.diff(self.token_offsets, axis=1)

    def plot(self, path: str | os.PathLike[str], *, title: str = "") -> None:
        """Draws how many experts tokens have, and rows per expert, into a picture file.

        Args:
            path: The file; its ending names the format (.png, .svg, .pdf).
            title: Stands above the picture.

        Raises:
            MoEError: matplotlib is missing, or the file cannot be written.
        """
        plot_plans({title: self}, path)


def plot_plans(plans: dict[str, Plan], path: str | os.PathLike[str]) -> None:
    """Draws several plans of the same tokens side by side, one row for each title.

    Raises:
        MoEError: matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MoEError(
            "plot: matplotlib is not installed; pip install 'moe-mlir[plot]'"
        ) from error
    target = Path(path)
    figure = Figure(figsize=(11, 3.2 * len(plans)), layout="constrained")
    if target.suffix[1:] not in figure.canvas.get_supported_filetypes():
        raise MoEError(
            f"plot: {target} does not end in a picture format; use .png, .svg or .pdf",
            where=str(target),
        )
    axes = figure.subplots(len(plans), 2, squeeze=False, sharex="col")
    for (title, plan), (tokens, experts) in zip(plans.items(), axes, strict=True):
        prefix = f"{title}: " if title else ""
        having = np.bincount(plan.experts_per_token().ravel(), minlength=1)
        tokens.bar(np.arange(having.size), having, color="#00429d")
        tokens.xaxis.get_major_locator().set_params(integer=True)
        tokens.set(
            xlabel="experts of a token",
            ylabel="tokens",
            title=f"{prefix}experts per token",
        )
        counts = plan.counts()
        experts.bar(np.arange(counts.size), counts, color="#00429d", width=1.0)
        experts.set(xlabel="expert", ylabel="rows", title=f"{prefix}rows per expert")
    with written_file(target) as stream:
        figure.savefig(stream, format=target.suffix[1:], dpi=120)
