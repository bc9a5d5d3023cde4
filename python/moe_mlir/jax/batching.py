"""``jax.vmap`` of the marked functions: axes in front, which an import merges with the
sequences."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap, sequential_vmap

Function = Callable[..., Any]


def one_by_one(
    function: Function, batch: tuple[int, ...] = (), shared: Collection[int] = ()
) -> Function:
    """The function over leading axes ``batch`` of its operands, in a loop.

    Args:
        shared: Numbers of the operands that have no such axes.
    """
    mapped: Function = sequential_vmap(function)  # type: ignore[no-untyped-call]
    for _ in batch:

        def over_one_axis(*operands: Any, inner: Function = mapped) -> Any:
            axes = tuple(None if i in shared else 0 for i in range(len(operands)))
            return jax.vmap(inner, in_axes=axes)(*operands)

        mapped = over_one_axis
    return mapped


def over_leading_axes(
    build: Callable[[tuple[int, ...]], Function], shared: Collection[int]
) -> Function:
    """A function with a batching rule.

    Args:
        build: Of leading axes, the function of operands and results that have them.
        shared: Numbers of the operands that must be the same for the whole batch, such
            as weights; where one is not, a loop takes one element after the other.
    """

    def at(batch: tuple[int, ...]) -> Function:
        function = build(batch)
        mapped: Any = custom_vmap(function)

        def rule(size: int, batched: Any, *operands: Any) -> Any:
            if any(batched[i] for i in shared):
                axes = tuple(0 if one else None for one in batched)
                looped = one_by_one(function)
                results = jax.vmap(looped, in_axes=axes)(*operands)
            else:
                results = at((size, *batch))(
                    *(
                        operand
                        if i in shared or batched[i]
                        else jnp.broadcast_to(operand, (size, *operand.shape))
                        for i, operand in enumerate(operands)
                    )
                )
            return results, jax.tree.map(lambda _: True, results)

        mapped.def_vmap(rule)
        result: Function = mapped
        return result

    return at(())
