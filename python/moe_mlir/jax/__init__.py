"""JAX front end: routing and experts as composites, and the importers.

plan = moe_mlir.jax.route(x @ w_gate, k=8, scope="sequence")
y = moe_mlir.jax.experts(x, plan, gate_up=w_gate_up, down=w_down)
"""

from moe_mlir.jax.api import experts, route
from moe_mlir.jax.plan import RoutePlan

__all__ = ["RoutePlan", "experts", "route"]
