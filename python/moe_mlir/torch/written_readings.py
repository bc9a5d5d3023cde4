"""What the experts of a layer may be, of which the weights are known."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from moe_mlir.torch.experts_recipes import ExpertsRecipe, activations_to_try
from moe_mlir.torch.recipes import Parameters
from moe_mlir.torch.written_layer import Layer, Stack, shape_of


def readings(block: nn.Module, layer: Layer) -> Iterator[ExpertsRecipe]:
    """Every reading of the stacks with every activation, the likely ones first."""
    *firsts, down = layer.matrices
    hidden = (shape_of(layer.hidden) or (0,))[-1]
    for layout in ("nk", "kn"):
        axis = 1 if layout == "nk" else 2
        width, inner = down.shape[axis], down.shape[3 - axis]
        if width != hidden:
            continue
        for order in itertools.permutations(firsts):
            choices = [_readers(block, one, layout, width) for one in order]
            for reads in itertools.product(*choices):
                for part in _parts(list(reads), order, inner, width, layout):
                    yield from _with_biases(block, layer, part, layout, inner)


_Reader = Callable[[], Tensor]


def _readers(
    block: nn.Module, stack: Stack, layout: str, width: int
) -> Iterator[_Reader]:
    """Readers of a first matrix as ``[E, N, H]`` ("nk") or ``[E, H, N]`` ("kn")."""
    axis = 2 if layout == "nk" else 1
    if stack.shape[axis] == width:
        yield lambda: stack.read(block)
    if stack.shape[3 - axis] == width:
        yield lambda: stack.read(block).transpose(1, 2)


def _parts(
    reads: list[_Reader],
    stacks: tuple[Stack, ...],
    inner: int,
    width: int,
    layout: str,
) -> Iterator[dict[str, _Reader]]:
    """Which of the first matrices is what."""
    sizes = [math.prod(stack.shape[1:]) // width for stack in stacks]
    if sizes == [inner, inner]:
        yield {"gate": reads[0], "up": reads[1]}
    elif sizes == [inner]:
        yield {"up": reads[0]}
    elif sizes == [2 * inner]:
        (both,), axis = reads, 1 if layout == "nk" else 2
        yield {"gate_up": both}
        yield {"gate_up": lambda: both().roll(inner, axis)}  # up is the first half


def _with_biases(
    block: nn.Module,
    layer: Layer,
    part: dict[str, _Reader],
    layout: str,
    inner: int,
) -> Iterator[ExpertsRecipe]:
    """Recipes of one reading of the matrices, with every reading of the biases."""
    down = layer.matrices[-1]
    reads = part | {"down": lambda: down.read(block)}
    lengths = {f"{n}_bias": (2 if n == "gate_up" else 1) * inner for n in part}
    lengths["down_bias"] = down.shape[1 if layout == "nk" else 2]
    arrangements = ("concat", "interleaved") if "gate_up" in part else ("concat",)
    for names in itertools.permutations(lengths, len(layer.biases)):
        pairs = list(zip(names, layer.biases, strict=True))
        if any(lengths[name] != stack.shape[1] for name, stack in pairs):
            continue
        every = reads | {n: functools.partial(one.read, block) for n, one in pairs}
        for arrangement, activation in itertools.product(
            arrangements, activations_to_try(block, Parameters.read([block]))
        ):
            if set(part) == {"up"} and activation["activation"] == "clamped_swiglu":
                continue
            yield ExpertsRecipe(
                layer.experts,
                functools.partial(_call_all, every),
                {"layout": layout, "arrangement": arrangement} | activation,
                {},
            )


def _call_all(reads: dict[str, _Reader]) -> dict[str, Tensor]:
    return {name: read() for name, read in reads.items()}
