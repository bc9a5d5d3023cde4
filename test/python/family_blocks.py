"""Small random blocks of every family of transformers that has experts.

Families are enumerated from the installed package: the folders of its models with a
module that defines a class ``...Experts`` or reads a number of experts. A family's
block is the class that makes the experts, its configuration the one that the package
declares, with sizes made small by the names that configurations use.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
import transformers
from torch import nn

H, INNER, E, K = 16, 12, 8, 2
_MODELS = pathlib.Path(transformers.__file__).parent / "models"
_COUNTS = r"\b(num_experts|n_routed_experts|num_local_experts)\b"

#: What configurations call sizes, and small ones.
_SIZES: dict[str, Any] = {
    "hidden_size": H, "d_model": H, "intermediate_size": INNER,
    "moe_intermediate_size": INNER, "ffn_dim": INNER, "d_ff": INNER,
    "expert_ffn_hidden_size": INNER, "ffn_hidden_size": INNER,
    "shared_expert_intermediate_size": INNER, "shared_intermediate_size": INNER,
    "moe_shared_expert_intermediate_size": INNER, "moe_hidden_size": H,
    "moe_latent_size": None, "share_expert_dim": INNER,
    "num_experts": E, "num_local_experts": E, "n_routed_experts": E,
    "moe_num_experts": E, "num_experts_per_tok": K, "moe_topk": K, "moe_k": K,
    "moe_top_k": K, "top_k_experts": K, "n_shared_experts": 1, "num_shared_experts": 1,
    "moe_num_shared_experts": 1, "n_group": 4, "topk_group": 2,
    "routed_scaling_factor": 2.5, "router_hidden_size": H,
}  # fmt: skip

#: Those that are set also where the default is None: without them there is no layer.
_NEEDED = (
    "num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts",
    "num_experts_per_tok", "top_k_experts", "moe_intermediate_size", "n_group",
    "topk_group", "n_shared_experts",
)  # fmt: skip

#: Settings without which a family's block would not show what is special about it.
_SPECIAL: dict[str, dict[str, Any]] = {
    "deepseek_v2": {"topk_method": "group_limited_greedy"},
    "diffusion_gemma": {"enable_moe_block": True},
    "gemma4": {"enable_moe_block": True},
    "longcat_flash": {"zero_expert_num": 0},
    "switch_transformers": {"expert_capacity": 4, "num_sparse_encoder_layers": 1},
    "zaya": {"num_experts_per_tok": 1},
}


class Family(NamedTuple):
    """A folder of models, and the classes of experts in it."""

    name: str
    module: str
    experts: tuple[str, ...]


def families() -> Iterator[Family]:
    """Every family of the installed transformers that has experts, in order."""
    for path in sorted(_MODELS.glob("*/modeling_*.py")):
        source = path.read_text()
        experts = re.findall(r"^class (\w*Experts\d*)\(", source, re.M)
        if experts or re.search(_COUNTS, source):
            name = path.parent.name
            module = f"transformers.models.{name}.{path.stem}"
            yield Family(name, module, tuple(experts))


def makers(family: Family) -> list[str]:
    """The classes whose constructor makes experts."""
    found = []
    tree = ast.parse((_MODELS / family.name / f"{_stem(family)}.py").read_text())
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name in family.experts:
            continue
        calls = {
            call.func.id
            for call in ast.walk(node)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        }
        if calls & set(family.experts):
            found.append(node.name)
    return found


def _stem(family: Family) -> str:
    return family.module.rpartition(".")[2]


def small_config(family: Family) -> Any:
    """A configuration of the family with small sizes.

    Raises:
        LookupError: No configuration of the family knows a number of experts.
    """
    stem = _stem(family).replace("modeling_", "configuration_")
    module = importlib.import_module(f"transformers.models.{family.name}.{stem}")
    classes = [
        c
        for _, c in inspect.getmembers(module, inspect.isclass)
        if issubclass(c, transformers.PreTrainedConfig)
        and c.__module__ == module.__name__
    ]
    # A configuration of a text model before the one that contains it.
    for cls in sorted(classes, key=lambda c: "Text" not in c.__name__):
        config = cls()
        if any(hasattr(config, name) for name in (*_NEEDED[:4], "ffn_config")):
            return shrink(config, family)
    raise LookupError(f"{family.name}: no configuration knows a number of experts")


def shrink(config: Any, family: Family) -> Any:
    """Makes the sizes of a configuration small, in place."""
    special = _SPECIAL.get(family.name, {})
    for name, value in (_SIZES | special).items():
        try:
            before = getattr(config, name)
        except Exception:  # it has none, or one for each layer
            continue
        if before is None and name not in (*special, *_NEEDED):
            continue
        many = isinstance(before, list)
        setattr(config, name, [value] * len(before) if many else value)
    if hasattr(config, "ffn_config"):
        shrink(config.ffn_config, family)
    return config


def small_block(family: Family, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The family's MoE block with small random weights, in evaluation mode."""
    module = importlib.import_module(family.module)
    config = small_config(family)
    errors = []
    for name in makers(family):
        cls = getattr(module, name)
        for arguments in ((config,), (config, 1), (config, INNER), (config, 0)):
            try:
                block = cls(*arguments)
            except Exception as error:  # another constructor
                errors.append(f"{name}{len(arguments)}: {error}")
                continue
            return random_weights(block).to(dtype).eval()
    raise LookupError(f"{family.name}: {'; '.join(errors) or 'no class makes experts'}")


def random_weights(module: nn.Module) -> nn.Module:
    """Random parameters, and random buffers that are a bias for each expert."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in (*module.parameters(), *module.buffers()):
            if value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * 0.3)
    return module
