"""Every ``top_k`` of a module is tried."""

from __future__ import annotations

from typing import Any

from moe_mlir.importing.markers import MarkerCalls
from moe_mlir.importing.walk import nested_operations, where
from moe_mlir.jax.composites import free_name
from moe_mlir.jax.matching import arithmetic, indexing, movement
from moe_mlir.jax.matching.choice import key_of
from moe_mlir.jax.matching.elements import Elements, NotUnderstood
from moe_mlir.jax.matching.layer import match
from moe_mlir.jax.matching.rewrite import rewrite
from moe_mlir.jax.matching.uses import recipe_of

#: Modules whose rules the matcher uses.
_RULES = (arithmetic, indexing, movement)


def raise_layers(
    module: Any, calls: MarkerCalls, taken: set[str]
) -> list[dict[str, Any]]:
    """Replaces the MoE layers that are recognised by marker calls.

    Args:
        module: A module without calls of functions that have a body.
        taken: Names that layers have already.

    Returns:
        The report's entry for each ``top_k``: "raised", or "plain" and what kept the
        matcher from raising it.
    """
    layers: list[dict[str, Any]] = []
    # Only these outlive what is erased on the way.
    operations = nested_operations(module.operation)
    anchors = [one for one in operations if one.name == "chlo.top_k"]
    parts = {part for anchor in anchors for part in _parts(anchor)}
    for anchor in [one for one in anchors if one not in parts]:
        place = where(anchor.location)
        name = free_name([*taken, *(layer["name"] for layer in layers)])
        try:
            layer = match(anchor)
            recipe, block = recipe_of(layer.elements, layer.output), anchor.block
            rewrite(layer, calls, name)
        except NotUnderstood as error:
            layers.append({"name": name, "status": "plain", "why": str(error)})
            continue
        gates, experts = layer.gates, layer.experts
        layers.append(
            {
                "name": name,
                "status": "raised",
                "why": f"its top_k at {place} and what follows are a layer: "
                f"{gates.score}, normalize {gates.normalize}, {experts.activation}",
            }
        )
        _erase_dead(recipe, block)
    return layers


def _parts(anchor: Any) -> tuple[Any, ...]:
    """The ``top_k`` of groups of experts that limit another one's choice."""
    try:
        groups = key_of(Elements(anchor)).groups
    except NotUnderstood:
        return ()
    return groups.parts if groups else ()


def _erase_dead(recipe: set[Any], block: Any) -> None:
    """Erases what only led to the layer's result."""
    for operation in reversed([one.operation for one in block.operations]):
        unused = not any(list(result.uses) for result in operation.results)
        if unused and operation in recipe:
            operation.erase()
