"""Which recipe does a block's router follow? Decided by running both on many logits."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from moe_mlir.errors import MoEError
from moe_mlir.torch import api
from moe_mlir.torch.blocks import MoEBlock
from moe_mlir.torch.experts_recipes import TOLERANCE, ExpertsRecipe
from moe_mlir.torch.gates import row_experts
from moe_mlir.torch.plan import RoutePlan
from moe_mlir.torch.probing import Observation, ProbeFailed, probes
from moe_mlir.torch.recipes import (
    SCORE_WORDS,
    Parameters,
    Recipe,
    Source,
    bias_candidates,
    choices,
    weightings,
)

#: Keys that differ by less, relative to the larger, may be ordered either way: the
#: rounding of the type in which a router may compare them.
_KEY_STEP = {
    torch.float32: 4 * 2.0**-23,
    torch.bfloat16: 2.0**-8,
    torch.float16: 2.0**-11,
}

_SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(-1),
    "sigmoid": lambda logits: logits.sigmoid(),
    "sqrtsoftplus": lambda logits: F.softplus(logits).sqrt(),
    "identity": lambda logits: logits,
}

#: The recipe that a class of blocks was found to follow is tried first next time.
_found_before: dict[type, Recipe] = {}


@dataclasses.dataclass(frozen=True)
class _Verdict:
    """How a recipe compares on one observation.

    Attributes:
        reason: How it differs; None where it does not.
        wrong: Number of tokens that differ.
        tokens: Number of tokens that were compared.
    """

    reason: str | None
    wrong: int
    tokens: int


@dataclasses.dataclass(frozen=True)
class Match:
    """The recipe of a block, or why there is none.

    Attributes:
        recipe: None where the router stays plain code.
        gate_type: The type to which the block rounds the gates.
        reason: What kept the router from being raised; "" where nothing did.
        width: Size H of the block's input, where it could be run.
        dense_scores: For experts that take rows only: where the block's scores are.
    """

    recipe: Recipe | None
    gate_type: torch.dtype
    reason: str
    dense_scores: Source | None = None
    width: int = 0


def choose_recipe(block: MoEBlock, experts: ExpertsRecipe) -> Match:
    """The recipe that reproduces the block's router, proven on random inputs."""
    modules = [module for _, module in block.outside()]
    parameters = Parameters.read([*modules, block.block, block.experts])
    widths = dict.fromkeys([*map(int, parameters.numbers("width")), experts.width])
    failure = ""
    for width in widths:
        try:
            runs = probes(block, experts.count, width, parameters)
            break
        except ProbeFailed as error:
            failure = failure or str(error)
    else:
        return Match(None, torch.float32, failure)
    gate_type = runs[-1 if not parameters.numbers("capacity") else 0].weights.dtype
    own = [run for run in runs if run.weights.dtype != torch.float32]
    gate_type = own[0].weights.dtype if own else gate_type
    if not runs[0].logits:
        return Match(None, gate_type, "no module of the block returns logits [..., E]")
    if unknown := parameters.unknown_scores():
        return Match(
            None,
            gate_type,
            f"its score function '{unknown[0]}' is none of "
            f"{', '.join(dict.fromkeys(SCORE_WORDS.values()))}",
        )
    k = runs[0].index.shape[-1]
    recipe, nearest = search(block, experts.count, parameters, runs, k)
    reason = "" if recipe else nearest
    return Match(recipe, gate_type, reason, runs[-1].dense_scores, width)


def search(
    block: MoEBlock,
    experts: int,
    parameters: Parameters,
    runs: list[Observation],
    k: int,
) -> tuple[Recipe | None, str]:
    """The first recipe that reproduces all runs, or a word on the nearest."""
    nearest, fewest = "none could be tried", float("inf")
    for recipe in _in_order(block, experts, parameters, runs[0], k):
        verdict = _compare(recipe, runs[0])
        if verdict is None:
            continue
        first = verdict
        for run in runs[1:] if verdict.reason is None else ():
            verdict = _compare(recipe, run)
            if verdict is None or verdict.reason:
                break
        if verdict is not None and verdict.reason is None:
            _found_before[type(block.block)] = recipe
            return recipe, ""
        if verdict is not None and first.wrong < fewest:
            fewest = first.wrong
            nearest = (
                f"the nearest recipe is {recipe}, but the router {verdict.reason} "
                f"for {verdict.wrong} of {verdict.tokens} tokens"
            )
    return None, nearest


def _in_order(
    block: MoEBlock, experts: int, parameters: Parameters, run: Observation, k: int
) -> Iterator[Recipe]:
    """All recipes, without those whose choice differs whatever the gates are."""
    before = _found_before.get(type(block.block))
    if before is not None and before.source in run.logits:
        yield dataclasses.replace(before, options=before.options | {"k": k})
    biases = bias_candidates(block.block, block.inside, experts)
    for source in _distinct(run.logits):
        for choice, bias in choices(parameters, experts, biases):
            plain = {"k": k, "normalize": "none"} | choice
            verdict = _compare(Recipe(source, bias, plain), run)
            if verdict is None:
                continue
            if verdict.reason and "chooses" in verdict.reason:
                yield Recipe(source, bias, plain)
                continue
            for gates in weightings(
                parameters, choice["score"], k, run.softmax_of_chosen
            ):
                yield Recipe(source, bias, {"k": k} | choice | gates)


def _distinct(logits: dict[Source, Tensor]) -> Iterator[Source]:
    """Sources of different values, in order."""
    seen: list[Tensor] = []
    for source, value in logits.items():
        if not any(torch.equal(value.float(), old.float()) for old in seen):
            seen.append(value)
            yield source


def _compare(recipe: Recipe, run: Observation) -> _Verdict | None:
    """None where the recipe does not apply to the block at all."""
    logits = run.logits.get(recipe.source)
    if logits is None:
        return None
    bias = None if recipe.bias is None else run.state[recipe.bias].reshape(-1).float()
    try:
        plan = api.route(
            logits.reshape(2, -1, logits.shape[-1]), **recipe.options, choice_bias=bias
        )
    except MoEError:
        return None  # such options do not exist for these sizes
    want = _dense(run.index, run.weights, logits.shape[-1])
    # Rounded as the original's: the least ones are zero in float16.
    have = _dense_of_plan(plan, *logits.shape).to(run.weights.dtype).float()
    if run.least is not None:
        # Of gates with another divisor: which would have been seen with the right one.
        ratio = (want.amax(-1) / have.amax(-1)).nan_to_num(1.0, 1.0)[:, None]
        have = have.where((have * ratio).abs() >= run.least, 0.0)
    keys = _SCORES[recipe.options["score"]](logits.float())
    if bias is not None:
        keys = keys + bias
    lowest = min(logits.dtype, run.weights.dtype, key=lambda t: t.itemsize)
    step = _KEY_STEP[lowest]
    # Where the original is not a number there is nothing to be equal to, and where
    # groups tie, which of them stay is open.
    settled = want.isfinite().all(-1) & logits.isnan().logical_not().all(-1)
    settled &= ~_groups_tie(keys, recipe.options.get("groups"), step)
    chosen = _choice_agrees(want != 0, have != 0, keys, step)
    weighted = _weights_agree(want, have, TOLERANCE[lowest])
    tokens = int(settled.sum())
    if not tokens:
        return None
    if wrong := int((settled & ~chosen).sum()):
        return _Verdict("chooses experts differently", wrong, tokens)
    wrong = int((settled & ~weighted).sum())
    reason = "weights experts differently" if wrong else None
    return _Verdict(reason, wrong, tokens)


def _choice_agrees(want: Tensor, have: Tensor, keys: Tensor, step: float) -> Tensor:
    """``[T]``: the same experts, or others of equal keys in their place."""
    agrees = (want == have).all(-1)
    for token in (~agrees).nonzero().flatten():
        theirs = keys[token][want[token] & ~have[token]].sort().values
        other = keys[token][have[token] & ~want[token]].sort().values
        agrees[token] = theirs.shape == other.shape and torch.allclose(
            theirs, other, rtol=step, atol=0
        )
    return agrees


def _weights_agree(want: Tensor, have: Tensor, tolerance: float) -> Tensor:
    """``[T]``: equal weights; sorted, they agree although equal keys were swapped."""
    close = torch.isclose(
        want.sort(-1).values, have.sort(-1).values, rtol=tolerance, atol=tolerance * 0.1
    )
    return close.all(-1)


def _groups_tie(keys: Tensor, groups: Any, step: float) -> Tensor:
    """``[T]``: the last group that stays and the first that goes are equal."""
    if not groups:
        return torch.zeros(keys.shape[0], dtype=torch.bool)
    n_group, kept, kind = groups
    if kept == n_group:
        return torch.zeros(keys.shape[0], dtype=torch.bool)
    members = keys.reshape(len(keys), n_group, -1).sort(-1, descending=True).values
    best = members[..., 0] if kind == "max" else members[..., :2].sum(-1)
    order = best.sort(-1, descending=True).values
    return torch.isclose(order[:, kept - 1], order[:, kept], rtol=step, atol=0)


def _dense(index: Tensor, weights: Tensor, experts: int) -> Tensor:
    """``[T, E]`` weights, zero where an expert is not chosen."""
    room = weights.new_zeros((index.shape[0], experts + 1), dtype=torch.float32)
    inside = torch.where((index >= 0) & (index < experts), index, experts)
    return room.scatter_add(-1, inside, weights.float())[:, :experts]


def _dense_of_plan(plan: RoutePlan, tokens: int, experts: int) -> Tensor:
    live = int(plan.expert_offsets[-1])
    dense = plan.gates.new_zeros((tokens, experts), dtype=torch.float32)
    token = plan.row_token[:live].long()
    dense[token, row_experts(plan.expert_offsets, live)] = plan.gates[:live].float()
    return dense


@contextlib.contextmanager
def for_tiny_operations() -> Iterator[None]:
    """One thread (waking others would take longer), real tensors, no gradients."""
    from torch._subclasses.fake_tensor import unset_fake_temporarily

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with unset_fake_temporarily(), torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)
