"""How good a language model is in each scope: loss, and experts per token."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import numpy as np

from moe_mlir.arrays import Array, numpy_dtype
from moe_mlir.causal import choose_causal
from moe_mlir.errors import MoEError
from moe_mlir.executable import CompiledModel
from moe_mlir.model import Model

SCOPES = ("token", "sequence", "causal")

#: Logits of a batch and, for each layer, experts per token [S, T].
Run = Callable[[Array, Array], tuple[Array, list[Array]]]

#: Compiles a model as the caller wants it.
Compiler = Callable[[Model], CompiledModel]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One scope.

    Attributes:
        scope: One of :data:`SCOPES`.
        loss: Mean cross-entropy of the next token, in nats.
        predicted: Number of tokens that the mean is over.
        tokens: For each layer, how many valid tokens had 0, 1, ... experts.
    """

    scope: str
    loss: float
    predicted: int
    tokens: list[Array]

    @property
    def experts(self) -> Array:
        """How many pairs of token and layer had 0, 1, ... experts."""
        total: Array = np.sum(self.tokens, axis=0)
        return total


def evaluate(
    model: Model,
    tokens: Array,
    *,
    mask: Array | None = None,
    scopes: Sequence[str] = SCOPES,
    threads: int | None = None,
    batch: int = 8,
    cache: str | os.PathLike[str] | None = None,
) -> list[Evaluation]:
    """Runs sequences through a causal language model in several scopes.

    Args:
        model: Takes ``input_ids`` and ``attention_mask`` and gives logits, as
            ``from_causal_lm`` and ``from_pretrained`` make it.
        tokens: Integers ``[S, T]``, or ``[T]`` for one sequence.
        mask: Of the shape of ``tokens``; zero marks padding. None: there is none.
        scopes: "token"; "sequence"; "causal": each token keeps its pairs among the
            k·t best of the prefix that ends with it, which is what decoding can do.
            That one runs the model once for each layer, and once more.
        threads: None: all CPUs of this process.
        batch: So many sequences are run at once.
        cache: As in ``Model.compile``.

    Raises:
        MoEError: The model is no language model, or an argument does not fit it.
    """
    ids, on = _check(model, tokens, mask)
    if batch < 1:
        raise MoEError(f"evaluate: batch is {batch}; it must be positive")
    compiler = functools.partial(Model.compile, threads=threads, cache=cache)
    results = []
    for scope in scopes:
        if scope not in SCOPES:
            raise MoEError(
                f"evaluate: scope is {scope!r}; use one of {', '.join(SCOPES)}",
                where="scopes",
            )
        run = _run_causal if scope == "causal" else _run_scope
        routing = run(model, scope, compiler)
        results.append(_evaluate(scope, routing, ids, on, batch))
    return results


def _check(model: Model, tokens: Array, mask: Array | None) -> tuple[Array, Array]:
    names = [spec.name for spec in model.signature.inputs]
    results = model.signature.results
    if names != ["input_ids", "attention_mask"] or len(results) != 1:
        raise MoEError(
            f"evaluate: the model takes {', '.join(names) or 'no input'}; only one "
            "from input_ids and attention_mask to logits has a loss: import it with "
            "from_causal_lm, from_pretrained or 'moe-mlir import hf'",
            where="model",
        )
    ids = np.atleast_2d(np.asarray(tokens))
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or ids.shape[-1] < 2:
        raise MoEError(
            f"evaluate: tokens are {ids.dtype} {list(ids.shape)}; they must be "
            "integers [S, T] with T of at least 2",
            where="tokens",
        )
    on = np.ones(ids.shape, np.int64)
    if mask is not None:
        on = (np.atleast_2d(np.asarray(mask)) != 0).astype(np.int64)
        if on.shape != ids.shape:
            raise MoEError(
                f"evaluate: the mask is {list(on.shape)}, and the tokens are "
                f"{list(ids.shape)}",
                where="mask",
            )
    return ids.astype(np.int64), on


def _evaluate(scope: str, run: Run, ids: Array, on: Array, batch: int) -> Evaluation:
    loss, predicted = 0.0, 0
    tokens: list[Array] = []
    for first in range(0, len(ids), batch):
        rows = slice(first, first + batch)
        logits, counts = run(ids[rows], on[rows])
        part, number = _cross_entropy(logits, ids[rows], on[rows])
        loss, predicted = loss + part, predicted + number
        for i, count in enumerate(counts):
            seen = np.bincount(count[on[rows] != 0])
            if i == len(tokens):
                tokens.append(np.zeros(0, np.int64))
            size = max(seen.size, tokens[i].size)
            tokens[i] = _padded(tokens[i], size) + _padded(seen, size)
    if not predicted:
        raise MoEError("evaluate: no token follows another, so there is no loss")
    size = max(count.size for count in tokens)
    padded = [_padded(count, size) for count in tokens]
    return Evaluation(scope, loss / predicted, predicted, padded)


def _padded(counts: Array, size: int) -> Array:
    return np.pad(counts, (0, size - counts.size))


def _cross_entropy(logits: Array, ids: Array, on: Array) -> tuple[float, int]:
    """Sum over the tokens that follow another, and their number; in f64."""
    pairs = (on[:, :-1] != 0) & (on[:, 1:] != 0)
    rows = logits[:, :-1][pairs].astype(np.float64)
    if not rows.size:
        return 0.0, 0
    largest = rows.max(-1, keepdims=True)
    total = largest[:, 0] + np.log(np.exp(rows - largest).sum(-1))
    own = np.take_along_axis(rows, ids[:, 1:][pairs][:, None], -1)[:, 0]
    return float((total - own).sum()), len(rows)


def _run_scope(model: Model, scope: str, compiler: Compiler) -> Run:
    exposed = model.with_scope(scope).run_passes("moe-expose-routes")
    compiled = compiler(exposed)

    def run(ids: Array, on: Array) -> tuple[Array, list[Array]]:
        logits, *offsets = compiled(ids, on)
        return logits, [np.diff(each, axis=-1) for each in offsets]

    return run


def _run_causal(model: Model, scope: str, compiler: Compiler) -> Run:
    """Layer by layer: what a layer routes depends on the choices before it alone."""
    del scope
    layers = model.layers
    exposed = model.run_passes("moe-expose-routes{given=true}")
    compiled = compiler(exposed)
    # After the two inputs: ids and weights of each layer.
    weights = compiled.signature.inputs[3::2]
    # Logits of a layer, then the bias of its choice, if it has one.
    ranks = [len(spec.shape) for spec in compiled.signature.results[1:]]

    def run(ids: Array, on: Array) -> tuple[Array, list[Array]]:
        given: list[Array] = []
        for layer, spec in zip(layers, weights, strict=True):
            shape = (*ids.shape, layer["experts"])
            given.append(np.full(shape, -1, np.int32))
            given.append(np.zeros(shape, numpy_dtype(spec.dtype, spec.name)))
        counts = []
        for i, layer in enumerate(layers):
            routed = _of_layers(compiled(ids, on, *given)[1:], ranks)[i]
            choice = choose_causal(*routed, on != 0, layer)
            given[2 * i] = choice.ids
            given[2 * i + 1] = choice.gates.astype(given[2 * i + 1].dtype)
            counts.append(choice.experts_per_token)
        return compiled(ids, on, *given)[0], counts

    return run


def _of_layers(
    results: Sequence[Array], ranks: Sequence[int]
) -> list[tuple[Array, Array | None]]:
    """Logits and bias of each layer."""
    found: list[tuple[Array, Array | None]] = []
    for value, rank in zip(results, ranks, strict=True):
        if rank == 1:
            found[-1] = (found[-1][0], value)
        else:
            found.append((value, None))
    return found


def format_evaluations(evaluations: Sequence[Evaluation]) -> str:
    """A table: a row for each scope."""
    most = max(e.experts.size for e in evaluations)
    head = f"{'scope':<9} {'loss':>9} {'perplexity':>11} {'experts':>8}"
    lines = [head + "  tokens with 0, 1, ... experts, in %"]
    for e in evaluations:
        share = 100 * _padded(e.experts, most) / e.experts.sum()
        mean = (e.experts * np.arange(e.experts.size)).sum() / e.experts.sum()
        lines.append(
            f"{e.scope:<9} {e.loss:9.4f} {np.exp(min(e.loss, 700.0)):11.4g} "
            f"{mean:8.3f}  " + " ".join(f"{s:.1f}" for s in share)
        )
    predicted = evaluations[0].predicted
    lines.append(f"loss per token in nats, of {predicted} predicted tokens")
    return "\n".join(lines)
