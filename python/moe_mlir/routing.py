"""``moe_mlir.route``: the routing rule on arrays."""

from __future__ import annotations

import functools
import threading
from typing import Any, ClassVar, Literal

import numpy as np

from moe_mlir import _moe, checks
from moe_mlir.arrays import DTYPES, Array, dense, describe, dtype_name, to_numpy
from moe_mlir.cpu import default_threads, lower_routing
from moe_mlir.errors import MoEError
from moe_mlir.model import Model
from moe_mlir.plan import Plan

Scope = Literal["token", "sequence"]
Score = Literal["softmax", "sigmoid", "sqrtsoftplus", "identity"]
Normalize = Literal["none", "sum", "softmax"]
GroupScore = Literal["max", "top2_sum"]
Target = Literal["cpu", "reference", "emulator", "cuda"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "scope": ("token", "sequence"),
    "score": ("softmax", "sigmoid", "sqrtsoftplus", "identity"),
    "normalize": ("none", "sum", "softmax"),
    "group_score": ("max", "top2_sum"),
    "target": ("cpu", "reference", "emulator", "cuda"),
}
_LOGITS = ("f32", "bf16", "f16")


def route(
    logits: Any,
    k: int,
    *,
    scope: Scope = "token",
    score: Score = "softmax",
    normalize: Normalize = "none",
    choice_bias: Any = None,
    groups: tuple[int, int, GroupScore] | None = None,
    floor: int = 0,
    cap: int | None = None,
    scale: float = 1.0,
    eps: float = 0.0,
    norm_min: float = 0.0,
    valid: Any = None,
    lengths: Any = None,
    rank_logits: bool = False,
    target: Target = "cpu",
) -> Plan:
    """Chooses the experts of every token.

    Arrays may be NumPy's, PyTorch's or JAX's (on the CPU). Equal logits give
    bit-identical plans on every target. The first call with new options compiles;
    later ones reuse the code.

    Args:
        logits: float32, bfloat16 or float16 ``[S, T, E]``; ``[T, E]``, one sequence,
            with token scope only.
        k: Experts per token; in sequence scope on average, so that a sequence has
            ``k`` times its valid tokens to spend.
        scope: "token": each token's ``k`` best. "sequence": the best pairs of each
            whole sequence, jointly.
        score: How logits become scores.
        normalize: How the gates of a token are normalised: not at all, to sum 1, or
            by a softmax over the token's chosen logits.
        choice_bias: ``[E]``, added to the scores for the choice, not to the gates;
            float32, or a type that float32 holds exactly.
        groups: ``(n, kept, "max" | "top2_sum")``: experts are ``n`` groups, of which
            each token keeps the best ``kept``.
        floor: Sequence scope: each token's so many best experts are always chosen.
        cap: Sequence scope: no token gets more experts. None: no limit.
        scale: Every gate is multiplied by it.
        eps, norm_min: With ``normalize="sum"`` the divisor is
            ``max(sum + eps, norm_min)``.
        valid: bool ``[S, T]``; False marks padding, which gets no expert and adds
            nothing to the budget.
        lengths: integers ``[S]``; shorthand for padding after so many tokens.
        rank_logits: Permits sequence scope with ``score="identity"``, a ranking of
            raw logits across tokens.
        target: "cpu": compiled code. "reference": the rule in plain C++. "cuda": the
            kernel of a GPU; "emulator": the same kernel on an emulated one.

    Raises:
        MoEError: An argument is wrong; the message says which, why and what to do.
    """
    options = _options(
        k=k,
        scope=scope,
        score=score,
        normalize=normalize,
        groups=groups,
        floor=floor,
        cap=cap,
        scale=scale,
        eps=eps,
        norm_min=norm_min,
        rank_logits=rank_logits,
    )
    _check_choice("target", target)
    array, dtype = _logits(logits, options["scope"])
    sequences, tokens, experts = array.shape
    problem = _moe.check_options(options, experts) or _moe.check_sizes(
        sequences, tokens, experts, options["k"]
    )
    if problem:
        raise MoEError(f"route: {problem}", where="route")
    array = dense(array)
    bias = None if choice_bias is None else _bias(choice_bias, experts)
    mask = _mask(valid, lengths, sequences, tokens)
    if target == "reference":
        fields = list(_moe.reference_route(options, array, dtype, bias, mask))
        fields[2] = fields[2].reshape(sequences, tokens + 1)
    else:
        kernel = _kernel(
            tuple(options.items()),
            dtype,
            experts,
            bias is not None,
            mask is not None,
            target,
        )
        fields = kernel.call([a for a in (array, bias, mask) if a is not None])
    return Plan.trimmed(fields, _moe.nan_tokens(array, dtype, mask))


def _check_choice(name: str, value: object) -> str:
    if isinstance(value, str) and value in _CHOICES[name]:
        return value
    raise MoEError(
        f"route: {name} is {value!r}; use one of {', '.join(_CHOICES[name])}",
        where=name,
    )


def _options(
    *, groups: Any, cap: Any, rank_logits: Any, **given: Any
) -> dict[str, Any]:
    """The options by their names in the dialect, of the right types."""
    options: dict[str, Any] = {
        name: checks.integer("route", name, given[name]) for name in ("k", "floor")
    }
    for name in ("scope", "score", "normalize"):
        options[name] = _check_choice(name, given[name])
    for name in ("scale", "eps", "norm_min"):
        options[name] = checks.real("route", name, given[name])
    count, kept, group_score = checks.groups("route", groups)
    options |= {"n_group": count, "topk_group": kept}
    options["group_score"] = _check_choice("group_score", group_score)
    options["cap"] = None if cap is None else checks.integer("route", "cap", cap)
    options["rank_logits"] = checks.flag("route", "rank_logits", rank_logits)
    return options


def _logits(logits: Any, scope: str) -> tuple[Array, str]:
    """Logits as [S, T, E], and the name of their type."""
    array = to_numpy(logits, "logits")
    dtype = dtype_name(array.dtype)
    if dtype not in _LOGITS:
        raise MoEError(
            f"route: logits are {describe(array)}; they must be float32, bfloat16 or "
            "float16, e.g. logits.astype(numpy.float32)",
            where="logits",
        )
    if array.ndim == 2 and scope == "token":
        array = array[None]
    if array.ndim != 3:
        hint = (
            "; token scope takes one sequence [T, E] too"
            if array.ndim != 2
            else ", because sequence scope must know where sequences begin; "
            "logits[None] is one sequence"
        )
        raise MoEError(
            f"route: logits are {describe(array)}; they must be [S, T, E]{hint}",
            where="logits",
        )
    if array.shape[2] == 0:
        raise MoEError(
            f"route: logits are {describe(array)}; there must be at least one expert",
            where="logits",
        )
    return array, dtype


def _bias(bias: Any, experts: int) -> Array:
    array = to_numpy(bias, "choice_bias")
    if dtype_name(array.dtype) not in _LOGITS:
        raise MoEError(
            f"route: choice_bias is {describe(array)}; it is added to float32 scores, "
            "so pass float32",
            where="choice_bias",
        )
    if array.shape != (experts,):
        raise MoEError(
            f"route: choice_bias is {describe(array)}; the logits have {experts} "
            f"experts, so it must be [{experts}]",
            where="choice_bias",
        )
    return dense(array.astype(np.float32, copy=False))


def _mask(valid: Any, lengths: Any, sequences: int, tokens: int) -> Array | None:
    if valid is None and lengths is None:
        return None
    if valid is not None and lengths is not None:
        raise MoEError(
            "route: valid and lengths are both given, and both say which tokens are "
            "padding; give one",
            where="valid",
        )
    if lengths is not None:
        return _mask_of_lengths(to_numpy(lengths, "lengths"), sequences, tokens)
    mask = to_numpy(valid, "valid")
    if mask.shape == (tokens,) and sequences == 1:
        mask = mask[None]
    if mask.dtype != np.bool_ or mask.shape != (sequences, tokens):
        raise MoEError(
            f"route: valid is {describe(mask)}; it must be bool "
            f"[{sequences}, {tokens}], False for padding",
            where="valid",
        )
    return dense(mask)


def _mask_of_lengths(lengths: Array, sequences: int, tokens: int) -> Array:
    if lengths.shape != (sequences,) or lengths.dtype.kind not in "iu":
        raise MoEError(
            f"route: lengths are {describe(lengths)}; they must be integers "
            f"[{sequences}], one for each sequence",
            where="lengths",
        )
    wrong = np.flatnonzero((lengths < 0) | (lengths > tokens))
    if wrong.size:
        raise MoEError(
            f"route: lengths[{wrong[0]}] is {lengths[wrong[0]]}; a length is between "
            f"0 and the {tokens} tokens of a sequence",
            where="lengths",
        )
    return np.asarray(np.arange(tokens) < lengths[:, None])


class _Kernel:
    """The compiled code of one choice of options."""

    results: ClassVar = [
        (DTYPES["i32"], 1),
        (DTYPES["i32"], 1),
        (DTYPES["i32"], 2),
        (DTYPES["i32"], 1),
        (DTYPES["f32"], 1),
    ]

    def __init__(self, text: str) -> None:
        self.code = _moe.Executable(lower_routing(text), threads=default_threads())

    def call(self, arguments: list[Array]) -> list[Array]:
        return self.code.call("main", arguments, self.results)


class _GPUKernel:
    """The same on a GPU; arrays are copied in and out."""

    def __init__(self, text: str, target: str) -> None:
        model = Model.from_text(text, name="route.mlir")
        self.model = model.compile(target)  # type: ignore[call-overload]

    def call(self, arguments: list[Array]) -> list[Array]:
        return list(self.model(*arguments))


_compiling = threading.Lock()


def _kernel(
    options: tuple[tuple[str, Any], ...],
    dtype: str,
    experts: int,
    bias: bool,
    valid: bool,
    target: str,
) -> _Kernel | _GPUKernel:
    with _compiling:  # so that two threads do not compile the same
        return _cached_kernel(options, dtype, experts, bias, valid, target)


@functools.lru_cache(maxsize=1024)
def _cached_kernel(
    options: tuple[tuple[str, Any], ...],
    dtype: str,
    experts: int,
    bias: bool,
    valid: bool,
    target: str,
) -> _Kernel | _GPUKernel:
    text = route_module(dict(options), dtype, experts, bias, valid)
    return _Kernel(text) if target == "cpu" else _GPUKernel(text, target)


def _f32(value: float) -> str:
    """A float attribute, exact: the bits of the rounded value."""
    return f"0x{np.float32(value).view(np.uint32):08X} : f32"


def route_module(
    options: dict[str, Any], dtype: str, experts: int, bias: bool, valid: bool
) -> str:
    """A module whose ``@main`` is one ``moe.route`` and returns plan and gates.

    Args:
        options: By their names in the dialect; see ``moe.route``.
        dtype: Element type of the logits, "f32", "bf16" or "f16".
        experts: E.
        bias, valid: Whether ``@main`` takes them after the logits.
    """
    logits = f"tensor<?x?x{experts}x{dtype}>"
    plan = f"!moe.plan<?x?x{experts}, rows {'max' if valid else '='} ?>"
    arguments = [f"%logits: {logits}"]
    operands = "%logits"
    if bias:
        arguments.append(f"%bias: tensor<{experts}xf32>")
        operands += f" bias(%bias : tensor<{experts}xf32>)"
    if valid:
        arguments.append("%valid: tensor<?x?xi1>")
        operands += " valid(%valid : tensor<?x?xi1>)"
    attributes = [f"{name} = {_f32(options[name])}" for name in ("scale", "eps")]
    attributes.append(f"norm_min = {_f32(options['norm_min'])}")
    for name in ("n_group", "topk_group", "floor", "cap"):
        if options[name] is not None:
            attributes.append(f"{name} = {options[name]} : i64")
    attributes.append(f"group_score = #moe<group_score {options['group_score']}>")
    if options["rank_logits"]:
        attributes.append("rank_logits")
    fields = {
        "expert_offsets": f"tensor<{experts + 1}xi32>",
        "row_token": "tensor<?xi32>",
        "token_offsets": "tensor<?x?xi32>",
        "token_row": "tensor<?xi32>",
    }
    reads = "".join(
        f"  %{name} = moe.plan_field %plan {name} : {plan}\n" for name in fields
    )
    types = ", ".join([*fields.values(), "tensor<?xf32>"])
    values = ", ".join([*(f"%{name}" for name in fields), "%gates"])
    return (
        f"func.func @main({', '.join(arguments)}) -> ({types}) {{\n"
        f"  %plan, %gates = moe.route {operands} top {options['k']} "
        f"scope = {options['scope']} score = {options['score']} "
        f"normalize = {options['normalize']} {{{', '.join(attributes)}}} : {logits}\n"
        f"{reads}  return {values} : {types}\n}}\n"
    )
