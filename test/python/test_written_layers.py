"""Layers whose routing is written out in a module's code are raised by their graph."""

from __future__ import annotations

from typing import Any

import moe_mlir
import pytest
import torch
import written_layers
from moe_mlir import MoEError
from moe_mlir.torch import set_scope
from torch import Tensor, nn
from written_layers import LAYERS, H, K, Model, made, reference

torch.set_num_threads(1)


def x_of(*sizes: int) -> Tensor:
    return torch.randn(*sizes, H, generator=torch.Generator().manual_seed(1))


def close(have: Tensor, want: Tensor) -> None:
    tolerance = 3e-5 * want.abs().max().item()
    torch.testing.assert_close(have, want, rtol=0, atol=tolerance)


#: Of another form than some other that is tried, but for details.
LONG = (written_layers.EachPlace, written_layers.BooleanMasks)


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(one, marks=[pytest.mark.long] if one in LONG else [])
        for one in LAYERS
    ],
    ids=lambda layer: layer.__name__,
)
@torch.no_grad()
def test_a_layer_is_raised_inside_a_model_and_equal_in_both_scopes(layer: Any) -> None:
    torch.manual_seed(0)
    model = Model(layer).eval()
    ours = moe_mlir.from_torch(model, (x_of(3, 7),))
    assert [
        (entry["name"], entry["status"], entry["recipe"], entry["block"])
        for entry in ours.report["layers"]
    ] == [(f"layers.{i}", "raised", layer.recipe, layer.__name__) for i in range(2)]
    token, sequence = ours.compile(), ours.with_scope("sequence").compile()
    for sizes in ((3, 7), (1, 33), (2, 1)):
        x = x_of(*sizes)
        close(token(x), model(x))
        close(token(x), reference(model, x, "token"))
        close(sequence(x), reference(model, x, "sequence"))
    assert not any("forward" in vars(module) for module in model.modules())


@torch.no_grad()
def test_a_layer_in_bf16_agrees_within_its_rounding() -> None:
    layer = made(written_layers.CountsInPython)
    exact = layer.bfloat16().float()  # with the rounded weights
    x = x_of(3, 40).bfloat16()
    narrow = made(written_layers.CountsInPython, torch.bfloat16)
    ours = moe_mlir.from_torch(narrow, (x,))
    assert ours.report["layers"][0]["recipe"] == layer.recipe
    want, theirs, have = exact(x.float()), narrow(x), ours.compile()(x)
    assert have.dtype == torch.bfloat16
    errors = [((y - want).abs().amax(-1) / want.abs().max()) for y in (have, theirs)]
    settled = (errors[0] < 0.05) & (errors[1] < 0.05)  # no tie at a border
    assert settled.float().mean() > 0.9
    assert errors[0][settled].mean() <= 1.5 * errors[1][settled].mean()


def test_set_scope_finds_them_with_an_example_and_trains_the_gates() -> None:
    torch.manual_seed(0)
    model = Model(written_layers.WhereAndAdd).eval()
    x = x_of(2, 9)
    with pytest.raises(MoEError, match="give example_inputs if its routing"):
        set_scope(model, "sequence")
    names = set_scope(model, "sequence", example_inputs=(x,))
    assert names == ["layers.0", "layers.1"]
    y = model(x)
    close(y.detach(), reference(model_of_own_code(model), x, "sequence").detach())
    y.square().sum().backward()
    gate: Any = model.layers[0].gate
    assert gate.weight.grad.abs().max() > 0
    with pytest.raises(MoEError, match=r"set_scope\(model, 'token'\) first"):
        moe_mlir.from_torch(model, (x,))
    set_scope(model, "token")
    close(model(x).detach(), reference(model, x, "token").detach())


def model_of_own_code(model: Model) -> Model:
    """The same weights, without the switched scope."""
    plain = Model(type(model.layers[0]))
    plain.load_state_dict(model.state_dict())
    return plain.eval()


class Noisy(written_layers.WhereAndAdd):
    """Noise on the logits, also in evaluation."""

    def choose(self, x: Tensor) -> tuple[Tensor, Tensor]:
        weights, chosen = super().choose(x + torch.randn_like(x))
        return weights, chosen


class Bounded(written_layers.WhereAndAdd):
    """Room for three tokens in an expert: the others are dropped."""

    def combine(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        place = nn.functional.one_hot(chosen.flatten(), written_layers.E).cumsum(0)
        place = place.gather(1, chosen.flatten()[:, None]).view_as(chosen)
        return super().combine(x, weights * (place <= 3), chosen)


class Normed(written_layers.WhereAndAdd):
    """Each expert's result is normalised."""

    def __init__(self) -> None:
        super().__init__()
        for expert in self.experts:
            expert.register_forward_hook(
                lambda module, args, y: nn.functional.layer_norm(y, (H,))
            )


class SequenceSecond(nn.Module):
    """Flattens ``[T, S]``: what is next to each other is no sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = written_layers.CountsInPython()

    def forward(self, x: Tensor) -> Tensor:
        flat = x.transpose(0, 1).reshape(-1, H)
        y = self.inner.combine(flat, *self.inner.choose(flat))
        return y.view(x.shape[1], x.shape[0], H).transpose(0, 1)


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        (Noisy, "Noisy gives other results each time it is called"),
        (Bounded, "Bounded (routes as no recipe does: the nearest|has experts that)"),
        (Normed, "Normed has experts that compute what no supported activation"),
        (SequenceSecond, "SequenceSecond mixes sequences, or their order, before"),
    ],
)
def test_what_is_no_such_layer_is_refused_by_name(layer: Any, why: str) -> None:
    model = nn.Sequential(nn.Linear(H, H), made(layer)).eval()
    with pytest.raises(MoEError, match=f"layer '1': {why}"):
        moe_mlir.from_torch(model, (x_of(3, 7),))
    assert not any("forward" in vars(module) for module in model.modules())


class Mixed(nn.Module):
    """A layer that can be raised, and dense code with noise that can not."""

    def __init__(self) -> None:
        super().__init__()
        self.good = made(written_layers.WhereAndAdd)
        self.other = made(written_layers.Stacked)

    def forward(self, x: Tensor) -> Tensor:
        y = self.other(x.flip(1))
        return self.good(x) + y * self.other.logits(x).topk(K)[0].sum(-1, keepdim=True)


@torch.no_grad()
def test_several_layers_of_different_code_are_all_raised() -> None:
    model, x = Mixed().eval(), x_of(3, 7)
    ours = moe_mlir.from_torch(model, (x,))
    names = {entry["name"]: entry["status"] for entry in ours.report["layers"]}
    assert names == {"good": "raised", "other": "raised"}
    close(ours.compile()(x), model(x))


def test_a_model_without_values_is_not_tried() -> None:
    with torch.device("meta"):
        model = Model(written_layers.AllExperts).eval()
    with pytest.raises(MoEError):
        moe_mlir.from_torch(model, (torch.zeros(3, 7, H, device="meta"),))
