"""What else reads a layer's choice."""

from __future__ import annotations

from typing import Any

from moe_mlir.importing.walk import where
from moe_mlir.jax.matching.elements import (
    Elements,
    NotUnderstood,
    in_block,
    producer,
)


def recipe_of(e: Elements, output: Any) -> set[Any]:
    """The operations from the choice to the layer's result."""
    recipe = {e.anchor}
    waiting = [producer(output)]
    while waiting:
        operation = waiting.pop()
        if operation is None or operation in recipe:
            continue
        recipe.add(operation)
        for operand in operation.operands:
            if operand in e.dependent:
                waiting.append(producer(operand))
    return recipe


def check_uses(e: Elements, output: Any) -> None:
    """Nothing else reads the choice: it would go on choosing token by token.

    Raises:
        NotUnderstood: Names what reads it.
    """
    recipe = recipe_of(e, output)
    for operation in recipe:
        for result in operation.results:
            if result == output:
                continue
            for use in result.uses:
                user = in_block(use.owner.operation, e.anchor.block)
                if user is None or user in recipe:
                    continue
                if _is_live(user, e.anchor.block):
                    raise NotUnderstood(
                        f"the choice is also read by '{user.name}' at "
                        f"{where(user.location)}, which would go on choosing token by "
                        "token; return the logits and compute it from them"
                    )


def _is_live(operation: Any, block: Any) -> bool:
    """Whether a result reaches the end of the block, or nobody knows."""
    seen, waiting = set(), [operation]
    while waiting:
        one = waiting.pop()
        if not list(one.results) or list(one.regions):
            return True
        if one in seen:
            continue
        seen.add(one)
        for result in one.results:
            waiting += [in_block(use.owner.operation, block) for use in result.uses]
    return False
