"""PyTorch front end: routing and experts as library operators, and the importer.

plan = moe_mlir.torch.route(x @ w_gate, k=8, scope="sequence")
y = moe_mlir.torch.experts(x, plan, gate_up=w_gate_up, down=w_down)
"""

from moe_mlir.importing.options import ACTIVATIONS

# Registers the operators torch.ops.moe.*.
from moe_mlir.torch import choice_op, experts_op, route_op  # noqa: F401
from moe_mlir.torch.api import experts, plan_from_choice, route
from moe_mlir.torch.plan import RoutePlan
from moe_mlir.torch.scopes import set_scope

__all__ = [
    "ACTIVATIONS",
    "RoutePlan",
    "experts",
    "plan_from_choice",
    "route",
    "set_scope",
]
