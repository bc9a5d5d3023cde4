"""What routers can be, in the words of ``moe.route``, and where models say it.

A recipe is a set of options of :func:`moe_mlir.torch.route`. The table of names below
reads parameters from a block and its configuration; they and the other recipes are
then tried by numbers (:mod:`moe_mlir.torch.matching`). No class name decides.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn

#: The names by which modules and configurations of model families call a parameter.
PARAMETER_NAMES: dict[str, tuple[str, ...]] = {
    "k": (
        "top_k", "num_experts_per_tok", "moe_topk", "moe_top_k", "top_k_experts",
        "moe_k", "num_experts_per_token", "num_selected_experts",
    ),
    "score": (
        "scoring_func", "scoring_function", "score_function", "score_func",
        "moe_router_activation_func", "router_activation", "expert_selection_fn",
    ),
    "normalize": (
        "norm_topk_prob", "moe_renormalize", "renormalize", "route_norm",
        "moe_normalize_expert_weights", "normalize_topk",
    ),
    "scale": (
        "routed_scaling_factor", "moe_routed_scaling_factor", "route_scale",
        "moe_router_scaling_factor", "router_scaling_factor", "routing_scale",
        "scaling_factor",
    ),
    "eps": ("norm_topk_prob_eps", "topk_eps", "moe_norm_eps", "router_eps"),
    "norm_min": ("norm_min", "moe_norm_min"),
    "n_group": ("num_group", "n_group", "n_groups", "num_expert_group"),
    "topk_group": ("topk_group", "topk_groups", "num_limited_groups"),
    "bias": (
        "e_score_correction_bias", "expert_bias", "correction_bias", "balancing_biases",
    ),
    "capacity": ("expert_capacity", "capacity"),
    "width": ("hidden_size", "hidden_dim", "d_model"),
    "limit": ("limit", "swiglu_limit", "clamp_limit"),
    "alpha": ("alpha", "swiglu_alpha"),
}  # fmt: skip

#: The words for a score that configurations use.
SCORE_WORDS = {
    "softmax": "softmax",
    "sigmoid": "sigmoid",
    "sqrtsoftplus": "sqrtsoftplus",
    "sqrt_softplus": "sqrtsoftplus",
    "identity": "identity",
    "none": "identity",
}

#: Tried besides what the table finds: constants in the code of known families.
_EPS = (1e-20, 1e-15, 1e-12, 1e-10, 1e-9, 1e-8, 1e-6)
_NORM_MIN = (1e-12, 1e-9)


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a block shows its router's logits: a result of one of its modules.

    Attributes:
        module: Dotted path in the block.
        position: Which of the module's results; None where it returns one tensor.
    """

    module: str
    position: int | None

    def read(self, result: Any) -> Any:
        return result if self.position is None else result[self.position]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A router in the compiler's words.

    Attributes:
        source: The logits ``[tokens, E]``.
        bias: Dotted path of the choice bias in the block, or None.
        options: Keyword arguments of :func:`moe_mlir.torch.route`, ``k`` included.
    """

    source: Source
    bias: str | None
    options: dict[str, Any]

    def __str__(self) -> str:
        """For reports: ``sigmoid + bias, 2 of 4 groups by top2_sum, top 3, ...``."""
        given = self.options
        words = [given["score"] + (" + bias" if self.bias else "")]
        if given.get("groups"):
            n_group, kept, kind = given["groups"]
            words.append(f"{kept} of {n_group} groups by {kind}")
        words.append(f"top {given['k']}")
        if given["normalize"] == "sum":
            words.append("sum to one")
        elif given["normalize"] == "softmax":
            words.append("softmax of the chosen")
        words += [
            f"{name} {given[name]:g}"
            for name in ("eps", "norm_min", "scale")
            if name in given
        ]
        return ", ".join(words)


@dataclasses.dataclass(frozen=True)
class Parameters:
    """What the table of names finds in a block: the values of each parameter."""

    found: dict[str, list[Any]]

    @staticmethod
    def read(modules: Iterable[nn.Module]) -> Parameters:
        """Reads modules first, then their configurations, in the order of the names."""
        owners: list[Any] = list(modules)
        configs = [getattr(owner, "config", None) for owner in owners]
        owners += {id(config): config for config in configs if config}.values()
        found: dict[str, list[Any]] = {}
        for parameter, names in PARAMETER_NAMES.items():
            values: list[Any] = []
            for owner, name in itertools.product(owners, names):
                value = getattr(owner, name, None)
                if isinstance(value, int | float | str) and value not in values:
                    values.append(value)
            found[parameter] = values
        return Parameters(found)

    def numbers(self, name: str) -> list[float]:
        return [float(v) for v in self.found[name] if isinstance(v, int | float)]

    def unknown_scores(self) -> list[str]:
        """Words for a score function that mean nothing here."""
        words = [v for v in self.found["score"] if isinstance(v, str)]
        return [word for word in words if word.lower() not in SCORE_WORDS]

    def scores(self) -> list[str]:
        """All scores, what the configuration says first."""
        words = [v.lower() for v in self.found["score"] if isinstance(v, str)]
        named = [SCORE_WORDS[word] for word in words if word in SCORE_WORDS]
        every = ("softmax", "sigmoid", "sqrtsoftplus", "identity")
        return list(dict.fromkeys([*named, *every]))

    def groups(self, experts: int) -> list[tuple[int, int, str] | None]:
        """Group limits to try: what is given, and none."""
        pairs = itertools.product(self.numbers("n_group"), self.numbers("topk_group"))
        found: list[tuple[int, int, str] | None] = [
            (int(n), int(kept), kind)
            for n, kept in pairs
            for kind in ("top2_sum", "max")
            if n > 1 and experts % int(n) == 0 and 1 <= kept <= n
        ]
        return [*found, None]


def choices(
    parameters: Parameters, experts: int, biases: Iterable[str]
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Options of the choice alone: score, groups, and the bias."""
    for bias, groups, score in itertools.product(
        [*biases, None], parameters.groups(experts), parameters.scores()
    ):
        options: dict[str, Any] = {"score": score}
        if groups:
            options["groups"] = groups
        yield options, bias


def weightings(
    parameters: Parameters, score: str, k: int, softmax_of_chosen: bool
) -> Iterator[dict[str, Any]]:
    """Options of the gates, for one score.

    Args:
        parameters: What the block says about itself.
        score: The score of the choice.
        k: Experts per token.
        softmax_of_chosen: The router was seen to take a softmax over K values.
    """
    ways = ["sum", "none"] if any(parameters.found["normalize"]) else ["none", "sum"]
    if score == "identity":
        ways.remove("sum")
    if score == "softmax":
        ways.insert(0 if softmax_of_chosen else len(ways), "softmax")
    scales = list(dict.fromkeys([*parameters.numbers("scale"), 1.0, 1.0 / k]))
    for way, scale in itertools.product(ways, scales):
        divisors = _divisors(parameters) if way == "sum" else [{}]
        for divisor in divisors:
            options: dict[str, Any] = {"normalize": way} | divisor
            yield options | ({"scale": scale} if scale != 1 else {})


def _divisors(parameters: Parameters) -> list[dict[str, float]]:
    """What a sum may be protected with: what is declared, nothing, known constants."""
    eps, least = parameters.numbers("eps"), parameters.numbers("norm_min")
    tried: list[dict[str, float]] = [
        *({"norm_min": value} for value in least),
        *({"eps": value} for value in eps),
        {},
        *({"eps": value} for value in _EPS),
        *({"norm_min": value} for value in _NORM_MIN),
    ]
    return [
        divisor
        for place, divisor in enumerate(tried)
        if divisor not in tried[:place]
        and all(0 < value < 1e-3 for value in divisor.values())
    ]


def bias_candidates(block: nn.Module, inside: str, experts: int) -> list[str]:
    """Paths of all tensors in ``block`` that have one value for each expert.

    Args:
        block: The MoE block.
        inside: Path of its experts, whose own tensors do not count.
        experts: Number of experts E.
    """
    named: dict[str, Tensor] = {**dict(block.named_parameters())}
    named |= dict(block.named_buffers())
    paths = [
        path
        for path, value in named.items()
        if value.numel() == experts
        and value.shape[-1:] == (experts,)
        and value.is_floating_point()
        and not path.startswith(f"{inside}.")
    ]
    known = PARAMETER_NAMES["bias"]
    return sorted(paths, key=lambda path: path.rpartition(".")[2] not in known)
