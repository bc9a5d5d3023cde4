"""Mixture-of-Experts layers whose choice of experts can be changed.

import moe_mlir as moe

plan = moe.route(logits, k=8, scope="sequence")

model = moe.from_torch(module, example_inputs)   # or from_jax, from_stablehlo, load
f = model.with_scope("sequence").compile()
y = f(x)
"""

from __future__ import annotations

from moe_mlir.errors import MoEError
from moe_mlir.plan import Plan
from moe_mlir.routing import route

__all__ = ["MoEError", "Plan", "route"]
