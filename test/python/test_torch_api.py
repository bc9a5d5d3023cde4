"""moe_mlir.torch: the library operators in eager PyTorch, autograd and torch.export."""

from __future__ import annotations

import moe_mlir.torch as moe
import oracle
import pytest
import torch
import torch.nn.functional as F
from moe_mlir.errors import MoEError
from torch import Tensor

S, T, E, K, H, INNER = 3, 7, 8, 2, 10, 6

torch.set_num_threads(1)

OPTIONS = {
    "token": {},
    "sequence": {"scope": "sequence"},
    "sum": {"normalize": "sum", "scale": 2.5},
    "sum_with_floor_of_divisor": {"normalize": "sum", "eps": 0.1, "norm_min": 0.9},
    "sigmoid_groups": {
        "score": "sigmoid",
        "groups": (4, 2, "top2_sum"),
        "choice_bias": torch.linspace(-1, 1, E),
    },
    "softmax_of_chosen": {"score": "identity", "normalize": "softmax"},
    "sqrtsoftplus_bounded": {
        "scope": "sequence",
        "score": "sqrtsoftplus",
        "floor": 1,
        "cap": 3,
    },
    "padded": {
        "scope": "sequence",
        "normalize": "sum",
        "valid": torch.arange(T)[None] < torch.tensor([[T], [4], [0]]),
    },
}


def random_logits(seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(S, T, E, generator=generator) * 2).to(dtype)


def layer_weights(seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.5

    return {
        "x": random(S, T, H),
        "gate_up": random(E, 2 * INNER, H),
        "down": random(E, H, INNER),
    }


def _dense(plan: moe.RoutePlan) -> Tensor:
    """``[S*T, E]`` gates of a plan, by plain loops over both of its views."""
    dense = torch.zeros(S * T, E, dtype=plan.gates.dtype)
    owner = {}
    for expert in range(E):
        begin, end = plan.expert_offsets[expert : expert + 2].tolist()
        for row in range(begin, end):
            token = int(plan.row_token[row])
            dense[token, expert] = plan.gates[row]
            owner[row] = token
    for s in range(S):
        for t in range(T):
            begin, end = plan.token_offsets[s, t : t + 2].tolist()
            rows = plan.token_row[begin:end].tolist()
            assert rows == sorted(rows)
            assert all(owner.pop(row) == s * T + t for row in rows)
    assert not owner
    live = int(plan.expert_offsets[-1])
    assert (plan.row_token[live:] == -1).all()
    assert (plan.token_row[live:] == -1).all()
    return dense


@pytest.mark.parametrize("name", OPTIONS)
def test_plan_is_consistent_and_complete(name: str) -> None:
    plan = moe.route(random_logits(), K, **OPTIONS[name])
    chosen = (_dense(plan) != 0).view(S, T, E)
    valid = OPTIONS[name].get("valid", torch.ones(S, T, dtype=torch.bool))
    torch.testing.assert_close(chosen.sum((1, 2)), K * valid.sum(1))
    if OPTIONS[name].get("scope", "token") == "token":
        assert (chosen.sum(-1) == K).all()
    assert not chosen[~valid].any()


def test_token_scope_agrees_with_topk() -> None:
    logits = random_logits()
    weights, index = logits.softmax(-1).topk(K, -1)
    want = torch.zeros(S, T, E).scatter(-1, index, weights)
    have = _dense(moe.route(logits, K)).view(S, T, E)
    torch.testing.assert_close(have, want)


def test_sequence_scope_agrees_with_joint_topk() -> None:
    logits = random_logits()
    weights, index = logits.softmax(-1).flatten(1).topk(K * T, -1)
    want = torch.zeros(S, T * E).scatter(-1, index, weights)
    have = _dense(moe.route(logits, K, scope="sequence")).view(S, T * E)
    torch.testing.assert_close(have, want)


def test_rank_tworandom_logits_are_one_sequence_of_token_scope() -> None:
    logits = random_logits()[:1]
    for flat, whole in zip(moe.route(logits[0], K), moe.route(logits, K), strict=True):
        torch.testing.assert_close(flat, whole, rtol=0, atol=0)
    valid = torch.arange(T) < 4
    flat = moe.route(logits[0], K, valid=valid)
    for one, other in zip(flat, moe.route(logits, K, valid=valid[None]), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    with pytest.raises(MoEError, match="sequences"):
        moe.route(logits[0], K, scope="sequence")


@pytest.mark.parametrize("name", OPTIONS)
def test_gradient_of_gates_by_finite_differences(name: str) -> None:
    """The choice is held fixed, so steps must not change it."""
    options = OPTIONS[name]
    logits = random_logits().requires_grad_()
    plan = moe.route(logits, K, **options)
    direction = torch.randn(
        plan.gates.shape, generator=torch.Generator().manual_seed(3)
    )
    (gradient,) = torch.autograd.grad((plan.gates * direction).sum(), logits)
    step = 2.0**-9
    compared = 0
    for flat in range(0, logits.numel(), 5):
        values = []
        for sign in (1, -1):
            moved = logits.detach().clone()
            moved.view(-1)[flat] += sign * step
            other = moe.route(moved, K, **options)
            same = torch.equal(other.row_token, plan.row_token)
            values.append((other.gates * direction).sum().item() if same else None)
        if None in values:
            continue
        estimate = (values[0] - values[1]) / (2 * step)
        assert estimate == pytest.approx(gradient.view(-1)[flat].item(), abs=3e-3)
        compared += 1
    assert compared > 20


def test_choice_bias_and_selection_get_no_gradient() -> None:
    bias = torch.zeros(E, requires_grad=True)
    logits = random_logits().requires_grad_()
    plan = moe.route(logits, K, score="sigmoid", choice_bias=bias)
    assert not plan.row_token.requires_grad
    plan.gates.sum().backward()
    assert bias.grad is None
    dead = (_dense(plan) == 0).view(S, T, E)
    assert (logits.grad[dead] == 0).all()


def _plain_layer(x: Tensor, logits: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    """All experts on all tokens in plain autograd."""
    weights, index = logits.softmax(-1).topk(K, -1)
    gates = torch.zeros_like(logits).scatter(-1, index, weights)
    first, second = torch.einsum("sth,eih->stei", x, gate_up).chunk(2, -1)
    y = torch.einsum("stei,ehi->steh", F.silu(first) * second, down)
    return (y * gates[..., None]).sum(2)


def test_layer_and_all_gradients_agree_with_plain_autograd() -> None:
    values = {**layer_weights(), "logits": random_logits()}
    results = []
    for layer in (_plain_layer, _our_layer):
        leaves = {k: v.clone().requires_grad_() for k, v in values.items()}
        y = layer(**leaves)
        y.square().sum().backward()
        results.append((y.detach(), *(leaf.grad for leaf in leaves.values())))
    for want, have in zip(*results, strict=True):
        torch.testing.assert_close(have, want, rtol=1e-4, atol=1e-4)


def _our_layer(x: Tensor, logits: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    return moe.experts(x, moe.route(logits, K), gate_up=gate_up, down=down)


@pytest.mark.parametrize("layout", ["nk", "kn"])
@pytest.mark.parametrize("arrangement", ["concat", "interleaved"])
def test_layouts_of_the_first_weight_are_equivalent(
    layout: str, arrangement: str
) -> None:
    w = layer_weights()
    plan = moe.route(random_logits(), K, scope="sequence")
    want = moe.experts(w["x"], plan, gate_up=w["gate_up"], down=w["down"])
    gate, up = w["gate_up"].chunk(2, 1)
    gate_up = w["gate_up"]
    if arrangement == "interleaved":
        gate_up = torch.stack((gate, up), 2).flatten(1, 2)
    down = w["down"]
    if layout == "kn":
        gate_up, gate, up, down = (v.mT.contiguous() for v in (gate_up, gate, up, down))
    for first in ({"gate_up": gate_up}, {"gate": gate, "up": up}):
        have = moe.experts(
            w["x"], plan, **first, down=down, layout=layout, arrangement=arrangement
        )
        torch.testing.assert_close(have, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "activation", ["silu", "gelu", "gelu_tanh", "relu", "relu2", "clamped_swiglu"]
)
def test_activations_and_biases_follow_their_formulas(activation: str) -> None:
    """One expert, one token in full: every formula written out once."""
    torch.manual_seed(0)
    x, limit, alpha = torch.randn(1, 1, H), 0.4, 1.3
    gate, up = torch.randn(1, INNER, H), torch.randn(1, INNER, H)
    down, biases = torch.randn(1, H, INNER), torch.randn(3, 1, H)
    plan = moe.plan_from_choice(
        torch.zeros(1, 1, 1, dtype=int), torch.full((1, 1, 1), 0.5), 1
    )
    y = moe.experts(
        x, plan, gate=gate, up=up, down=down, activation=activation, limit=limit,
        alpha=alpha, gate_bias=biases[0, :, :INNER], up_bias=biases[1, :, :INNER],
        down_bias=biases[2],
    )  # fmt: skip
    g = gate[0] @ x[0, 0] + biases[0, 0, :INNER]
    u = up[0] @ x[0, 0] + biases[1, 0, :INNER]
    formulas = {
        "silu": lambda: g * torch.sigmoid(g) * u,
        "gelu": lambda: g * 0.5 * (1 + torch.erf(g / 2**0.5)) * u,
        "gelu_tanh": lambda: (
            0.5
            * g
            * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (g + 0.044715 * g**3)))
            * u
        ),
        "relu": lambda: g.clamp_min(0) * u,
        "relu2": lambda: g.clamp_min(0) ** 2 * u,
        "clamped_swiglu": lambda: (
            (u.clamp(-limit, limit) + 1)
            * g.clamp(max=limit)
            * torch.sigmoid(alpha * g.clamp(max=limit))
        ),
    }
    want = 0.5 * (down[0] @ formulas[activation]() + biases[2, 0])
    torch.testing.assert_close(y[0, 0], want, rtol=1e-5, atol=1e-5)


def test_experts_without_gating_and_gates_on_the_input() -> None:
    w = layer_weights()
    up = w["gate_up"][:, :INNER]
    plan = moe.route(random_logits(), K, score="sigmoid")
    gates = _dense(plan).view(S, T, E, 1)
    rows = w["x"][:, :, None] * gates
    hidden = torch.einsum("steh,eih->stei", rows, up).relu()
    y = torch.einsum("stei,ehi->steh", hidden, w["down"])
    want = (y * (gates != 0)).sum(2)
    have = moe.experts(
        w["x"], plan, up=up, down=w["down"], activation="relu", gate_on="input"
    )
    torch.testing.assert_close(have, want, rtol=1e-4, atol=1e-5)


def test_token_without_an_expert_gets_zero() -> None:
    logits = torch.zeros(1, 4, E)
    logits[0, 1:, :] = 5.0
    plan = moe.route(logits, K, scope="sequence", score="sigmoid")
    w = layer_weights()
    y = moe.experts(w["x"][:1, :4], plan, gate_up=w["gate_up"], down=w["down"])
    assert (y[0, 0] == 0).all() and (y[0, 1] != 0).any()


def test_plan_from_choice_is_the_plan_of_that_choice() -> None:
    logits = random_logits()
    weights, index = logits.softmax(-1).topk(K, -1)
    ours, theirs = moe.route(logits, K), moe.plan_from_choice(index, weights, E)
    for name in moe.RoutePlan._fields[:4]:
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name
    torch.testing.assert_close(ours.gates, theirs.gates)


def test_plan_from_choice_skips_ids_out_of_range_and_differentiates() -> None:
    ids = torch.tensor([[[3, -1], [E, 0], [3, 3]]])
    weights = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]], requires_grad=True)
    plan = moe.plan_from_choice(ids, weights, E)
    assert plan.expert_offsets.tolist() == [0, 1, 1, 1, 4, 4, 4, 4, 4]
    assert plan.row_token.tolist() == [1, 0, 2, 2, -1, -1]
    assert plan.token_offsets.tolist() == [[0, 1, 2, 4]]
    assert plan.token_row.tolist() == [1, 0, 2, 3, -1, -1]
    assert plan.gates.tolist() == [4.0, 1.0, 5.0, 6.0, 0.0, 0.0]
    (plan.gates * torch.arange(6.0)).sum().backward()
    assert weights.grad.tolist() == [[[1, 0], [0, 0], [2, 3]]]


def test_operators_pass_the_library_checks() -> None:
    """Schema, autograd registration, and fake results against real ones."""
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    logits = random_logits().requires_grad_()
    attributes = (
        K, "sequence", "softmax", "sum", 1.0, 0.0, 0.0, 1, 1, "max", 0, -1, False, ""
    )  # fmt: skip
    bias, valid = torch.zeros(E), torch.ones(S, T, dtype=torch.bool)
    for operands in ((logits, None, None), (logits, bias, valid)):
        torch.library.opcheck(
            torch.ops.moe.route.default, (*operands, *attributes), test_utils=checks
        )
    w = {name: v.requires_grad_() for name, v in layer_weights().items()}
    plan = [t.detach() for t in moe.route(logits, K)]
    torch.library.opcheck(
        torch.ops.moe.experts.default,
        (w["x"], *plan, w["gate_up"], None, None, w["down"], None, None, None, None,
         "silu", "nk", "concat", 7.0, 1.7, "output"),
        test_utils=checks,
    )  # fmt: skip
    weights, index = logits.detach().softmax(-1).topk(K, -1)
    torch.library.opcheck(
        torch.ops.moe.plan_from_choice.default,
        (index, weights.requires_grad_(), E),
        test_utils=checks,
    )


def test_export_keeps_one_node_per_operator_with_dynamic_sizes() -> None:
    class Layer(torch.nn.Module):
        def forward(self, x: Tensor, logits: Tensor, gate_up: Tensor, down: Tensor):
            return _our_layer(x, logits, gate_up, down)

    batch, tokens = torch.export.Dim("batch", min=1), torch.export.Dim("tokens", min=1)
    dims = {0: batch, 1: tokens}
    w = layer_weights()
    program = torch.export.export(
        Layer(),
        (w["x"], random_logits(), w["gate_up"], w["down"]),
        dynamic_shapes=(dims, dims, None, None),
    )
    targets = [n.target for n in program.graph.nodes if n.op == "call_function"]
    assert targets.count(torch.ops.moe.route.default) == 1
    assert targets.count(torch.ops.moe.experts.default) == 1
    other = torch.randn(2, 4, H), torch.randn(2, 4, E)
    have = program.module()(*other, w["gate_up"], w["down"])
    want = _our_layer(*other, w["gate_up"], w["down"])
    torch.testing.assert_close(have, want, rtol=0, atol=0)


def test_a_few_steps_of_training_in_sequence_scope_lower_the_loss() -> None:
    torch.manual_seed(0)
    router = torch.nn.Linear(H, E, bias=False)
    w = {k: torch.nn.Parameter(v) for k, v in layer_weights().items() if k != "x"}
    x, target = torch.randn(S, T, H), torch.randn(S, T, H)
    optimizer = torch.optim.Adam([*router.parameters(), *w.values()], lr=0.01)
    losses = []
    for _ in range(30):
        plan = moe.route(router(x), K, scope="sequence", normalize="sum")
        loss = F.mse_loss(x + moe.experts(x, plan, **w), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert router.weight.grad.abs().sum() > 0
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", OPTIONS)
def test_plan_is_bit_equal_to_the_oracle(name: str, dtype: torch.dtype) -> None:
    logits = random_logits(dtype=dtype)
    logits[0, 0, 0] = float("nan")
    logits[1, 1] = logits[1, 0]  # ties
    ours = moe.route(logits, K, **OPTIONS[name])
    options = {
        key: value.numpy() if isinstance(value, Tensor) else value
        for key, value in OPTIONS[name].items()
    }
    theirs = oracle.route(logits.float().numpy(), K, **options)
    for field in moe.RoutePlan._fields:
        have, want = getattr(ours, field), torch.from_numpy(getattr(theirs, field))
        assert torch.equal(have.view(torch.int32), want.view(torch.int32)), field
