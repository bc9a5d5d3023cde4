"""Running a block's own router, and noting what it made of which logits."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from moe_mlir.torch.blocks import ExpertsCall, MoEBlock, attribute, read_call
from moe_mlir.torch.dense import read_rows, scores_source, takes_rows_only
from moe_mlir.torch.recipes import Parameters, Source

#: Each row of the special logits is tried with all seeds, and as many random rows.
SEEDS = (0, 1, 2)
#: Scores of 1e-5 to 1e-26, where what protects a sum from zero decides.
_SMALL = (-12.0, -14.0, -19.0, -21.0, -23.5, -28.0, -35.0, -46.0, -60.0)
#: So many values of a tensor differ; no power of two, so that its rows do.
_DIFFERENT = 2**20 + 7
#: More tokens than this a capacity test never needs.
_MOST_TOKENS = 4096


@dataclasses.dataclass(frozen=True)
class Observation:
    """One run of a block with random weights.

    Attributes:
        logits: ``[tokens, E]`` by source, the outermost module first.
        state: The block's parameters and buffers, by path.
        index, weights: ``[tokens, K]``, what the experts were given.
        softmax_of_chosen: A softmax over K values was seen.
        steered: The logits were given, not computed.
        dense_scores: For experts that take rows only: where the block's scores are.
        least: ``[tokens, 1]``: smaller weights could not be seen; None where all could.
    """

    logits: dict[Source, Tensor]
    state: dict[str, Tensor]
    index: Tensor
    weights: Tensor
    softmax_of_chosen: bool
    steered: bool
    dense_scores: Source | None
    least: Tensor | None = None


class ProbeFailed(Exception):
    """The block does not let its router be seen; the text says why."""


class _Reached(Exception):
    """Thrown out of a block as soon as its experts are called."""


def special_logits(experts: int, seed: int) -> Tensor:
    """``[rows, E]``: ordinary, huge, tiny, equal, tied and padded (-inf) logits."""
    generator = torch.Generator().manual_seed(seed + 100)
    normal = torch.randn(24 + len(_SMALL), experts, generator=generator)
    rows = [*(normal[:8] * 2), *(normal[8:10] * 25).clamp_min(-80)]
    rows += [normal[10] * 1e-6, normal[11] * 1e30, normal[12] * 1e-30]
    rows += [torch.full((experts,), value) for value in (0.0, 3.5, -1e30)]
    rows += [*normal[13:16].mul(2).round()]
    for row, kept in zip(normal[16:20], (1, 2, experts // 2, experts - 1), strict=True):
        order = torch.randperm(experts, generator=generator)
        rows.append(row.index_fill(0, order[kept:], float("-inf")))
    # One high score, the others small: a bias can take the high one out.
    for place, (row, low) in enumerate(zip(normal[24:], _SMALL, strict=True)):
        rows.append(row * 0.5 + low)
        spread = row * 0.5 + low
        spread[(seed + place) % experts] = 0.0
        rows.append(spread)
    return torch.stack(rows + rows[: len(rows) % 2])


class GivenLogits(TorchFunctionMode):
    """Replaces the products of ``[tokens, H]`` with ``[H, E]`` by given logits.

    Args:
        given: ``[tokens, E]``; None leaves all as it is.
        experts: E.
        only: Replaces one such product alone, by its place among them.
    """

    _PRODUCTS = ("linear", "matmul", "__matmul__", "mm", "addmm", "einsum")

    def __init__(
        self, given: Tensor | None, experts: int, only: int | None = None
    ) -> None:
        super().__init__()
        self.given, self.experts, self.only, self.seen = given, experts, only, 0
        self.steered = self.softmax_of_chosen = False

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if not isinstance(result, Tensor) or not result.dim():
            return result
        if "softmax" in name and result.shape[-1] != self.experts:
            self.softmax_of_chosen = True
        if (
            self.given is not None
            and name in self._PRODUCTS
            and result.shape[-1] == self.experts
            and result.numel() == self.given.numel()
        ):
            self.seen += 1
            if self.only is not None and self.seen != self.only + 1:
                return result
            self.steered = True
            return in_range(self.given, result.dtype).reshape(result.shape)
        return result


def in_range(values: Tensor, dtype: torch.dtype) -> Tensor:
    """In a narrower type; what was finite stays so (1e30 is beyond float16)."""
    limits = torch.finfo(dtype)
    inside = values.clamp(limits.min, limits.max)
    return torch.where(values.isinf(), values, inside).to(dtype)


def random_state(
    module: nn.Module,
    dtype: torch.dtype | None,
    seed: int,
    shapes: dict[str, tuple[int, ...]] | None = None,
    skip: str = "",
) -> dict[str, Tensor]:
    """Random values on the CPU for floating-point parameters and buffers, by path.

    Args:
        module: Whose parameters.
        dtype: Their type; each its own where None.
        seed: Of the values.
        shapes: Other shapes than their own, by path.
        skip: Leaves out what is below this path.
    """
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if not value.is_floating_point() or (skip and name.startswith(f"{skip}.")):
            continue
        shape = (shapes or {}).get(name, tuple(value.shape))
        # Vectors are biases: small, middling and large against the scores.
        scale = shape[-1] ** -0.5 if len(shape) > 1 else (0.1, 1.0, 3.0)[seed % 3]
        values = _random(shape, generator) * scale
        state[name] = values.to(dtype or value.dtype)
    return state


def _random(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Normal values; those of large tensors repeat, which is much faster."""
    count = math.prod(shape)
    values = torch.randn(min(count, _DIFFERENT), generator=generator)
    return values.repeat(-(-count // _DIFFERENT))[:count].reshape(shape)


def observe(
    block: MoEBlock,
    experts: int,
    width: int,
    *,
    dtype: torch.dtype | None,
    seed: int,
    given: Tensor | None,
    k: int,
) -> Observation:
    """Runs the block up to its experts.

    Args:
        block: The block; left as it was.
        experts: Number of experts E.
        width: Size H of the hidden states.
        dtype: Type of weights and input; each its own where None.
        seed: Of the random weights and input.
        given: ``[tokens, E]``, an even number, to take the place of the computed
            logits.
        k: Experts per token, which experts that take rows only do not tell.

    Raises:
        ProbeFailed: The block cannot be run by itself, or calls its experts otherwise.
    """
    generator = torch.Generator().manual_seed(seed + 200)
    rows = 24 if given is None else given.shape[0]
    input_type = dtype or next(block.block.parameters()).dtype
    hidden = torch.randn(2, rows // 2, width, generator=generator)
    hidden = (hidden * (1.0, 4.0, 0.1)[seed % 3]).to(input_type)
    state = random_state(block.block, dtype, seed, skip=block.inside)
    calls: list[ExpertsCall] = []
    with _recording(block, experts, hidden.flatten(0, 1), k, calls) as logits:
        mode = GivenLogits(given, experts)
        try:
            with mode:
                functional_call(block.block, state, (hidden,))
        except (_Reached, ProbeFailed) as end:
            if isinstance(end, ProbeFailed):
                raise
        except Exception as error:  # whatever an unknown block raises
            first = str(error).strip().split("\n")[0]
            raise ProbeFailed(
                f"the block cannot be run by itself on [S, T, {width}]: {first}"
            ) from error
    if not calls:
        raise ProbeFailed("the block does not call its experts")
    index, weights = calls[0].index, calls[0].weights
    if index.shape[0] != rows:
        raise ProbeFailed("the experts get another number of rows than there are")
    return Observation(
        dict(reversed(logits.items())),
        state,
        index,
        weights,
        mode.softmax_of_chosen,
        mode.steered,
        scores_source(logits, calls[0]) if takes_rows_only(block.experts) else None,
    )


@contextlib.contextmanager
def _recording(
    block: MoEBlock, experts: int, hidden: Tensor, k: int, calls: list[ExpertsCall]
) -> Iterator[dict[Source, Tensor]]:
    """Notes what could be logits, and the first call of the experts, which ends it."""
    logits: dict[Source, Tensor] = {}
    tokens = hidden.shape[0]

    def stop(*args: Any, **kwargs: Any) -> Any:
        if takes_rows_only(block.experts):
            call = read_rows(args[0], hidden, experts, k)
        else:
            call = read_call(args, kwargs, experts)
        if call is None:
            raise ProbeFailed(
                "the block does not give its experts rows, an index and weights"
            )
        calls.append(call.detached())
        raise _Reached

    def note(path: str, result: Any) -> None:
        values = result if isinstance(result, tuple) else (result,)
        for position, value in enumerate(values):
            if (
                isinstance(value, Tensor)
                and value.is_floating_point()
                and value.shape[-1:] == (experts,)
                and value.numel() == tokens * experts
            ):
                place = position if isinstance(result, tuple) else None
                flat = value.detach().reshape(tokens, experts).clone()
                logits[Source(path, place)] = flat

    with contextlib.ExitStack() as undo:
        undo.enter_context(attribute(block.experts, "forward", stop))
        for path, module in block.outside():
            hook = module.register_forward_hook(
                lambda module, args, result, path=path: note(path, result)
            )
            undo.callback(hook.remove)
        yield logits


def probes(
    block: MoEBlock, experts: int, width: int, parameters: Parameters
) -> list[Observation]:
    """All runs that a recipe must reproduce: special logits, and computed ones."""
    named = [int(k) for k in parameters.numbers("k") if 0 < k <= experts]
    if not named and takes_rows_only(block.experts):
        raise ProbeFailed("nothing says how many experts a token has (top_k)")
    k = named[0] if named else 1
    own = next((p.dtype for _, m in block.outside() for p in m.parameters()), None)
    found = []
    for dtype in dict.fromkeys((torch.float32, own or torch.float32)):
        kept = None if dtype != torch.float32 else dtype
        for seed in SEEDS:
            for given in (special_logits(experts, seed), None):
                found.append(
                    observe(
                        block, experts, width, dtype=kept, seed=seed, given=given, k=k
                    )
                )
    for capacity in parameters.numbers("capacity"):
        tokens = 2 * (min(int(capacity), _MOST_TOKENS) + 2)
        same = torch.zeros(tokens, experts)
        same[:, 0] = 2.0
        found.append(
            observe(block, experts, width, dtype=torch.float32, seed=0, given=same, k=k)
        )
    return found
