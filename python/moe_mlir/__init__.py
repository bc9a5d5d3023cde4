"""Mixture-of-Experts layers whose choice of experts can be changed.

import moe_mlir as moe

plan = moe.route(logits, k=8, scope="sequence")

model = moe.from_torch(module, example_inputs)   # or from_pretrained, from_jax ...
f = model.with_scope("sequence").compile()
y = f(x)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moe_mlir.device_array import DeviceArray
    from moe_mlir.errors import MoEError
    from moe_mlir.executable import CompiledModel
    from moe_mlir.frontends import (
        from_causal_lm,
        from_jax,
        from_pretrained,
        from_stablehlo,
        from_torch,
    )
    from moe_mlir.gpu_model import CompiledGPUModel
    from moe_mlir.model import Model
    from moe_mlir.plan import Plan, plot_plans
    from moe_mlir.routing import route
    from moe_mlir.storage import load
    from moe_mlir.summary import format_report

__all__ = [
    "CompiledGPUModel",
    "CompiledModel",
    "DeviceArray",
    "MoEError",
    "Model",
    "Plan",
    "format_report",
    "from_causal_lm",
    "from_jax",
    "from_pretrained",
    "from_stablehlo",
    "from_torch",
    "load",
    "plot_plans",
    "route",
]

# Where each name comes from. Loaded when first used, so that the emulator
# (moe_mlir.ptx) can be imported without the compiler.
_HOME = {
    "CompiledGPUModel": "gpu_model",
    "CompiledModel": "executable",
    "DeviceArray": "device_array",
    "MoEError": "errors",
    "Model": "model",
    "Plan": "plan",
    "format_report": "summary",
    "from_causal_lm": "frontends",
    "from_jax": "frontends",
    "from_pretrained": "frontends",
    "from_stablehlo": "frontends",
    "from_torch": "frontends",
    "load": "storage",
    "plot_plans": "plan",
    "route": "routing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'moe_mlir' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"moe_mlir.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
