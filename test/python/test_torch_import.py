"""import_torch: the text, the weights, the report."""

from __future__ import annotations

import copy
import functools
import re

import make_import_fixtures
import pytest
import torch
from moe_mlir import _moe
from moe_mlir.importing import Imported, ImportRefused
from moe_mlir.torch import graph, lowering
from moe_mlir.torch.importer import import_torch
from torch import Tensor, nn
from torch_models import (
    E,
    H,
    K,
    OwnLayer,
    S,
    Stack,
    T,
    mixtral,
    olmoe,
    qwen3,
    x_of,
)


def markers(text: str, op: str) -> list[str]:
    """The marker dictionaries of all declarations of one operation."""
    found = re.findall(r"moe\.marker = \{([^}]*)\}", text)
    return [m for m in found if f'op = "{op}"' in m]


def parses(text: str) -> bool:
    """Whether the compiler reads the text, without unregistered dialects."""
    return bool(_moe.Module.parse(text, "imported.mlir").operations())


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


def test_shapes_by_name_in_any_order() -> None:
    class Masked(OwnLayer):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return super().forward(x) * mask[..., None]

    batch, tokens = torch.export.Dim("b", min=1), torch.export.Dim("t", min=1)
    shapes = {"mask": {1: tokens}, "x": {0: batch, 1: tokens}}
    static = {"mask": None, "x": {2: None}}
    given = (x_of(S, T, H), torch.ones(S, T))
    with pytest.raises(ImportRefused, match="fixes the dynamic dimension .b. at 2"):
        import_torch(Masked(), given, dynamic_shapes=shapes)
    shapes["mask"][0] = batch
    found = import_torch(Masked(), given, dynamic_shapes=shapes).report["dynamic_dims"]
    assert {(d["input"], d["dim"], d["requested"]) for d in found} == {
        ("x", 0, "b"), ("x", 1, "t"), ("mask", 0, "b"), ("mask", 1, "t")
    }  # fmt: skip
    report = import_torch(Masked(), given, dynamic_shapes=static).report
    assert [i["shape"] for i in report["inputs"]] == [[S, T, H], [S, T]]


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


@pytest.mark.parametrize("name", make_import_fixtures.FIXTURE_MAKERS)
def test_checked_in_fixtures_are_what_the_front_ends_give_now(name: str) -> None:
    assert not make_import_fixtures.differs(name)
