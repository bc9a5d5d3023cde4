"""What every front end hands over: MLIR text, weights, and a report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from moe_mlir.errors import MoEError


class ImportRefused(MoEError):
    """A model, or a part of it, is not understood; nothing was imported.

    The message says where (layer, operation or argument), what was found, why it
    is refused and what to do.
    """


@dataclasses.dataclass(frozen=True)
class Imported:
    """An imported program.

    Attributes:
        text: Generic-form MLIR. The public function ``@main`` takes the model's
            inputs and its weights; a weight's argument carries
            ``moe.param = "<name>"``. Besides upstream dialects the text contains
            marker calls and, from StableHLO, operations that
            ``moe-import-residual`` lowers.
        weights: One array for each ``moe.param`` name, in the framework's own
            type (``torch.Tensor``, ``jax.Array``, ``numpy.ndarray``), not copied.
        report: JSON-compatible facts about the import; see
            :func:`moe_mlir.importing.report.make_report`.
    """

    text: str
    weights: Mapping[str, Any]
    report: dict[str, Any]
