"""import_torch: the text, the weights, the report, and what is refused."""

from __future__ import annotations

import copy
import functools
import re
import subprocess

import make_import_fixtures
import moe_mlir.torch as moe
import pytest
import torch
from moe_mlir.importing import Imported, ImportRefused
from moe_mlir.torch import graph, lowering
from moe_mlir.torch.importer import import_torch
from torch import Tensor, nn
from transformers import MixtralConfig, OlmoeConfig, Qwen3MoeConfig
from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock
from transformers.models.olmoe.modeling_olmoe import OlmoeSparseMoeBlock
from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeSparseMoeBlock

S, T, E, K, H, INNER = 2, 5, 8, 2, 16, 12
torch.set_num_threads(1)
SIZES = {"hidden_size": H, "num_experts_per_tok": K}


def olmoe(dtype: torch.dtype = torch.float32, *, norm: bool = False) -> nn.Module:
    config = OlmoeConfig(
        intermediate_size=INNER, num_experts=E, norm_topk_prob=norm, **SIZES
    )
    return _random(OlmoeSparseMoeBlock(config)).to(dtype)


def mixtral() -> nn.Module:
    config = MixtralConfig(intermediate_size=INNER, num_local_experts=E, **SIZES)
    return _random(MixtralSparseMoeBlock(config))


def qwen3() -> nn.Module:
    config = Qwen3MoeConfig(
        moe_intermediate_size=INNER, num_experts=E, norm_topk_prob=True, **SIZES
    )
    return _random(Qwen3MoeSparseMoeBlock(config))


def _random(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return module


def x_of(*sizes: int) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(1))


class OwnLayer(nn.Module):
    """A layer of a user, two calls deep, with a normalisation the compiler sees."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(H, E, bias=False)
        self.gate_up = nn.Parameter(torch.randn(E, 2 * INNER, H))
        self.down = nn.Parameter(torch.randn(E, H, INNER))

    def forward(self, x: Tensor) -> Tensor:
        x = x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        plan = moe.route(self.router(x), K, scope="sequence", normalize="sum")
        return moe.experts(x, plan, gate_up=self.gate_up, down=self.down)


class Stack(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


def markers(text: str, op: str) -> list[str]:
    """The marker dictionaries of all declarations of one operation."""
    found = re.findall(r"moe\.marker = \{([^}]*)\}", text)
    return [m for m in found if f'op = "{op}"' in m]


def parses(text: str, mlir_opt: str = "/usr/lib/llvm-22/bin/mlir-opt") -> bool:
    """Whether stock MLIR reads the text, without unregistered dialects."""
    run = subprocess.run([mlir_opt], input=text, text=True, capture_output=True)
    return run.returncode == 0


@pytest.mark.parametrize("make", [olmoe, mixtral, qwen3])
def test_block_of_transformers(make) -> None:  # type: ignore[no-untyped-def]
    block = make()
    imported = import_torch(block, (x_of(S, T, H),))
    (route,) = markers(imported.text, "route")
    assert 'scope = "token"' in route and 'score = "softmax"' in route
    assert f"k = {K} : i64" in route and 'layer = "moe"' in route
    normalize = "none" if make is olmoe else "sum"
    assert f'normalize = "{normalize}"' in route
    (experts,) = markers(imported.text, "experts")
    assert 'activation = "silu"' in experts and 'layout = "nk"' in experts
    assert '"gates", "gate_up", "down"]' in experts
    # The sequence axis is there although the block flattens it.
    assert re.search(
        rf'"func.call"\(%\w+\) <.*\(tensor<\?x\?x{E}xf32>\)', imported.text
    )
    assert f"(tensor<?x?x{H}xf32>, tensor<{E + 1}xi32>" in imported.text
    assert parses(imported.text)
    (layer,) = imported.report["layers"]
    assert layer["status"] == "raised"
    assert layer["block"] == type(block).__name__
    assert layer["router"] == type(block.gate).__name__
    assert imported.report["inputs"] == [
        {"name": "hidden_states", "shape": [None, None, H], "dtype": "float32"}
    ]
    assert imported.report["outputs"] == [
        {"name": "output0", "shape": [None, None, H], "dtype": "float32"}
    ]
    assert [d["obtained"] for d in imported.report["dynamic_dims"]] == ["dynamic"] * 2
    assert imported.report["markers"] == {"route": 1, "experts": 1}
    assert imported.report["producers"]["torch"] == torch.__version__


def test_weights_are_arguments_and_not_copied() -> None:
    block = olmoe()
    imported = import_torch(block, (x_of(S, T, H),))
    parameters = dict(block.named_parameters())
    assert set(imported.weights) == set(parameters)
    for name, value in imported.weights.items():
        assert value.data_ptr() == parameters[name].data_ptr()
    names = re.findall(r'moe\.param = "([^"]*)"', imported.text)
    assert names == list(imported.weights)
    assert "dense_resource" not in imported.text and len(imported.text) < 10_000


def test_module_is_left_as_it_was() -> None:
    block = olmoe().train()
    config = copy.deepcopy(block.experts.config)
    before = [(name, dict(vars(m))) for name, m in block.named_modules()]
    state = {name: value.clone() for name, value in block.state_dict().items()}
    x = x_of(S, T, H)
    want = block(x)
    import_torch(block, (x,))
    for (name, old), module in zip(before, block.modules(), strict=True):
        assert vars(module).keys() == old.keys(), name
        assert not module._forward_pre_hooks, name
        assert all(vars(module)[key] is value for key, value in old.items()), name
    assert block.experts.config.to_dict() == config.to_dict()
    assert all(m.training for m in block.modules())
    for name, value in block.state_dict().items():
        assert torch.equal(value, state[name])
    torch.testing.assert_close(block(x), want, rtol=0, atol=0)


def test_module_is_left_as_it_was_after_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block = olmoe().train()
    before = [dict(vars(m)) for m in block.modules()]

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no export today")

    monkeypatch.setattr(torch.export, "export", fail)
    with pytest.raises(ImportRefused, match="no export today"):
        import_torch(block, (x_of(S, T, H),))
    for old, module in zip(before, block.modules(), strict=True):
        assert vars(module).keys() == old.keys()
        assert not module._forward_pre_hooks and module.training


def test_layers_are_named_by_their_modules() -> None:
    model = Stack(olmoe(), OwnLayer(), olmoe(norm=True))
    imported = import_torch(model, (x_of(S, T, H),))
    names = ["layers.0", "layers.1", "layers.2"]
    assert [layer["name"] for layer in imported.report["layers"]] == names
    found = {
        re.search(r'layer = "([^"]*)"', m)[1] for m in markers(imported.text, "route")
    }
    assert found == set(names)
    assert parses(imported.text)


def test_a_module_that_routes_twice_gets_two_names() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = OwnLayer()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.inner(x))

    imported = import_torch(Twice(), (x_of(S, T, H),))
    names = [layer["name"] for layer in imported.report["layers"]]
    assert names == ["inner", "inner.1"]


def test_an_own_layer_keeps_what_its_author_said() -> None:
    imported = import_torch(OwnLayer(), (x_of(S, T, H),), name="mine")
    (route,) = markers(imported.text, "route")
    assert 'scope = "sequence"' in route and 'normalize = "sum"' in route
    assert imported.report["name"] == "mine"
    assert parses(imported.text)


def test_bf16_gates_are_rounded_as_the_family_rounds_them() -> None:
    imported = import_torch(olmoe(torch.bfloat16), (x_of(S, T, H).bfloat16(),))
    (call,) = re.findall(r'"func.call".*callee = @moe\.experts.*', imported.text)
    assert "tensor<?xbf16>" in call and "tensor<?xf32>" not in call
    (route,) = re.findall(r'"func.call".*callee = @moe\.route.*', imported.text)
    assert "tensor<?xf32>)" in route
    # Mixtral multiplies by f32 weights whatever the model's type is.
    imported = import_torch(mixtral().bfloat16(), (x_of(S, T, H).bfloat16(),))
    (call,) = re.findall(r'"func.call".*callee = @moe\.experts.*', imported.text)
    assert "tensor<?xf32>" in call


@pytest.mark.parametrize("sizes", [(1, 1), (8, 8), (16, 12)])
def test_example_sizes_do_not_become_constants(sizes: tuple[int, int]) -> None:
    """Also sizes 1, which an export fixes, and sizes equal to others of the model."""
    imported = import_torch(olmoe(), (x_of(*sizes, H),))
    assert imported.report["inputs"][0]["shape"] == [None, None, H]
    assert imported.text == reference().text


@functools.cache
def reference() -> Imported:
    return import_torch(olmoe(), (x_of(S, T, H),))


def test_static_shapes_on_request() -> None:
    imported = import_torch(olmoe(), (x_of(S, T, H),), dynamic_shapes={})
    assert imported.report["inputs"][0]["shape"] == [S, T, H]
    assert imported.report["dynamic_dims"] == []
    assert "?" not in imported.text and parses(imported.text)


def test_a_dynamic_size_that_was_not_obtained_is_reported() -> None:
    auto = torch.export.Dim.AUTO
    imported = import_torch(
        olmoe(), (x_of(1, T, H),), dynamic_shapes=({0: auto, 1: auto},)
    )
    obtained = {d["dim"]: d["obtained"] for d in imported.report["dynamic_dims"]}
    assert obtained == {0: 1, 1: "dynamic"}


def test_guard_refuses_the_known_miscompilation_of_views(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the rewrite torch-mlir claims a size that it does not know."""
    monkeypatch.setattr(graph, "_spell_merging_views", lambda program: None)
    with pytest.raises(ImportRefused, match="claims a size that it does not know"):
        import_torch(olmoe(), (x_of(S, T, H),))


def test_the_miscompilation_is_real_and_the_rewrite_avoids_it() -> None:
    """What the guard looks for is in torch-mlir's own output for such a view."""
    from torch_mlir import fx

    class Flatten(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(-1, H) + 1

    dims = ({0: torch.export.Dim("s", min=2), 1: torch.export.Dim("t", min=2)},)
    program = torch.export.export(Flatten(), (x_of(S, T, H),), dynamic_shapes=dims)
    module = fx.export_and_import(program, output_type="linalg-on-tensors")
    with pytest.raises(ImportRefused, match="claims a size"):
        lowering.refuse_shape_claims(module)


class TamperedRouter(nn.Module):
    """Takes the place of OLMoE's router and does something else."""

    def __init__(self, router: nn.Module, what: str) -> None:
        super().__init__()
        self.weight, self.what = router.weight, what
        self.top_k, self.num_experts = router.top_k, router.num_experts
        self.norm_topk_prob, self.hidden_dim = False, router.hidden_dim

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = hidden.reshape(-1, self.hidden_dim) @ self.weight.T
        if self.what == "temperature":
            logits = logits * 1.1
        probabilities = logits.float().softmax(-1)
        least = self.what == "worst experts"
        weights, index = probabilities.topk(self.top_k, -1, largest=not least)
        if self.what == "squared weights":
            weights = weights.square()
        if self.what == "one expert less":
            weights, index = weights[:, 1:], index[:, 1:]
        if self.what == "shifted experts":
            index = (index + 1) % self.num_experts
        return logits, weights.to(logits.dtype), index


@pytest.mark.parametrize(
    "what",
    [
        "temperature",
        "worst experts",
        "squared weights",
        "one expert less",
        "shifted experts",
    ],
)
@pytest.mark.parametrize("name", ["TamperedRouter", "OlmoeTopKRouter"])
def test_a_router_that_computes_something_else_is_refused(what: str, name: str) -> None:
    """A class name is no proof."""
    block = olmoe()
    block.gate = type(name, (TamperedRouter,), {})(block.gate, what)
    with pytest.raises(ImportRefused, match=f"layer 'moe': router class {name}.*does"):
        import_torch(block, (x_of(S, T, H),))


def test_the_untampered_stand_in_is_accepted() -> None:
    """So that the refusals above are about what the router does."""
    block = olmoe()
    block.gate = TamperedRouter(block.gate, "nothing")
    imported = import_torch(block, (x_of(S, T, H),))
    assert imported.report["layers"][0]["router"] == "TamperedRouter"


def test_a_block_that_changes_the_weights_afterwards_is_refused() -> None:
    class Doubled(OlmoeSparseMoeBlock):
        def forward(self, hidden_states: Tensor) -> Tensor:
            return super().forward(hidden_states) * 2 + hidden_states.mean()

    block = olmoe()
    block.__class__ = Doubled
    imported = import_torch(block, (x_of(S, T, H),))  # plain code around the layer
    assert len(imported.report["layers"]) == 1

    class Mixed(OlmoeSparseMoeBlock):
        def forward(self, hidden_states: Tensor) -> Tensor:
            flat = hidden_states.view(-1, H)
            _, weights, index = self.gate(flat)
            y = self.experts(flat, index.flip(-1), weights)
            return y.view(hidden_states.shape)

    block.__class__ = Mixed
    with pytest.raises(ImportRefused, match=r"straight to the experts.*'flip'"):
        import_torch(block, (x_of(S, T, H),))


def test_routers_with_zero_weights_can_be_imported() -> None:
    """The library initialises OLMoE's router to zero: all keys tie."""
    block = OlmoeSparseMoeBlock(
        OlmoeConfig(intermediate_size=INNER, num_experts=E, **SIZES)
    )
    assert import_torch(block, (x_of(S, T, H),)).report["layers"]


def test_unsupported_expert_features_are_named() -> None:
    block = olmoe()
    block.experts.has_bias = True
    with pytest.raises(ImportRefused, match="OlmoeExperts has experts with biases"):
        import_torch(block, (x_of(S, T, H),))
    block = olmoe()
    block.experts.act_fn = nn.Tanh()
    with pytest.raises(ImportRefused, match="expert activation Tanh is not supported"):
        import_torch(block, (x_of(S, T, H),))


def test_a_module_without_an_moe_layer_is_refused() -> None:
    with pytest.raises(ImportRefused, match="Linear has no MoE layer"):
        import_torch(nn.Linear(H, H), (x_of(S, T, H),))


def test_an_operator_that_cannot_be_lowered_is_named() -> None:
    class Odd(OwnLayer):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svdvals(super().forward(x)).sum()

    with pytest.raises(ImportRefused, match="linalg_svd"):
        import_torch(Odd(), (x_of(S, T, H),))


def test_a_buffer_that_forward_writes_is_refused() -> None:
    class Counting(OwnLayer):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls.add_(1)
            return super().forward(x)

    with pytest.raises(ImportRefused, match="writes its buffer 'calls'"):
        import_torch(Counting(), (x_of(S, T, H),))


def test_an_input_without_sequences_is_refused() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = olmoe()

        def forward(self, x: Tensor) -> Tensor:
            return self.block(x[0])

    with pytest.raises(ImportRefused, match=r"layer 'block'.*must be \[S, T, H\]"):
        import_torch(Flat(), (x_of(S, T, H),))


@pytest.mark.parametrize("name", make_import_fixtures.FIXTURE_MAKERS)
def test_checked_in_fixtures_are_what_the_front_ends_give_now(name: str) -> None:
    assert not make_import_fixtures.differs(name)
