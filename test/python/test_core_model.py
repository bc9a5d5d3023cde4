"""Models: text, scope, folders, and compiled code on arrays."""

import json
import pathlib
import resource

import moe_mlir as moe
import numpy as np
import pytest
from layer_model import layer_model, layer_reference, layer_text, layer_weights
from moe_mlir.arrays import DTYPES

RNG = np.random.default_rng(1)
X = RNG.standard_normal((3, 10, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def compiled() -> moe.CompiledModel:
    return layer_model().compile(threads=1)


def test_token_and_sequence_scope(compiled: moe.CompiledModel) -> None:
    model = layer_model()
    weights = layer_weights(8, 32, 16)
    want = layer_reference(X, weights, 2)
    np.testing.assert_allclose(compiled(X), want, rtol=1e-4, atol=1e-5)
    sequence = model.with_scope("sequence")
    assert [layer["scope"] for layer in model.layers] == ["token"]
    assert [layer["scope"] for layer in sequence.layers] == ["sequence"]
    assert sequence.weights is model.weights
    want = layer_reference(X, weights, 2, "sequence")
    np.testing.assert_allclose(sequence.compile()(X), want, rtol=1e-4, atol=1e-5)
    # The flip is one line of the text.
    changed = set(sequence.mlir.splitlines()) ^ set(model.mlir.splitlines())
    assert len(changed) == 2
    assert all("moe.route" in line for line in changed)


def test_batch_equals_its_sequences() -> None:
    f = layer_model().with_scope("sequence").compile()
    for s in range(len(X)):
        np.testing.assert_array_equal(f(X)[s], f(X[s : s + 1])[0])


def test_threads_and_runs_are_bitwise_equal(compiled: moe.CompiledModel) -> None:
    x = RNG.standard_normal((2, 300, 32)).astype(np.float32)
    want = compiled(x)
    two = layer_model().compile(threads=2)
    assert two.threads == 2
    for _ in range(3):
        np.testing.assert_array_equal(two(x).view(np.uint32), want.view(np.uint32))
        np.testing.assert_array_equal(compiled(x).view(np.uint32), want.view(np.uint32))


def test_bf16() -> None:
    x = X.astype(DTYPES["bf16"])
    y = layer_model(dtype="bf16").compile()(x)
    assert y.dtype == DTYPES["bf16"]
    want = layer_reference(x, layer_weights(8, 32, 16, "bf16"), 2)
    error = np.abs(y.astype(np.float64) - want)
    assert error.max() < 0.03 * np.abs(want).max()


def test_no_tokens(compiled: moe.CompiledModel) -> None:
    for shape in [(3, 0, 32), (0, 10, 32)]:
        assert compiled(np.empty(shape, np.float32)).shape == shape


def test_inputs_by_name_and_strided(compiled: moe.CompiledModel) -> None:
    want = compiled(X)
    np.testing.assert_array_equal(compiled(x=X), want)
    wide = np.repeat(X, 2, axis=1)
    np.testing.assert_array_equal(compiled(wide[:, ::2]), want)
    frozen = X.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(compiled(frozen), want)
    np.testing.assert_array_equal(frozen, X)


def test_torch_in_torch_out(compiled: moe.CompiledModel) -> None:
    torch = pytest.importorskip("torch")
    y = compiled(torch.from_numpy(X))
    assert isinstance(y, torch.Tensor)
    np.testing.assert_array_equal(y.numpy(), compiled(X))
    with pytest.raises(moe.MoEError, match=r"requires a gradient.*torch.no_grad"):
        compiled(torch.from_numpy(X).requires_grad_())
    y16 = layer_model(dtype="bf16").compile()(torch.from_numpy(X).bfloat16())
    assert y16.dtype == torch.bfloat16


def test_jax_in_jax_out(compiled: moe.CompiledModel) -> None:
    jax = pytest.importorskip("jax")
    y = compiled(jax.numpy.asarray(X))
    assert isinstance(y, jax.Array)
    np.testing.assert_array_equal(np.asarray(y), compiled(X))


def test_no_leak(compiled: moe.CompiledModel) -> None:
    x = np.ones((4, 512, 32), np.float32)
    for _ in range(5):
        compiled(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        compiled(x)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 * 1024


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((), "input 'x' is missing; it takes x: float32"),
        ((X, X), "got 2 inputs by position"),
        ((X[0],), r"input 'x': is float32 \[10, 32\], but float32 \[\?, \?, 32\]"),
        ((X[..., :31],), r"\[3, 10, 31\], but float32 \[\?, \?, 32\] is needed"),
        ((X.astype(np.float64),), "convert it to float32 first"),
        ((object(),), "expected an array of numbers"),
        (
            (np.lib.stride_tricks.as_strided(X, (2**20, 2**10, 32), (0, 0, 4)),),
            r"times 8 experts is 2\^31 or more",
        ),
    ],
)
def test_wrong_inputs(compiled: moe.CompiledModel, inputs: tuple, message: str) -> None:
    with pytest.raises(moe.MoEError, match=message):
        compiled(*inputs)


def test_wrong_names(compiled: moe.CompiledModel) -> None:
    with pytest.raises(moe.MoEError, match="there is no input 'y'; it takes x"):
        compiled(y=X)
    with pytest.raises(moe.MoEError, match="'x' is given twice"):
        compiled(X, x=X)


def test_what_is_not_supported() -> None:
    model = layer_model()
    with pytest.raises(moe.MoEError, match=r"KV cache is not supported.*compile"):
        model.generate(X)
    with pytest.raises(moe.MoEError, match="target is 'tpu'; use cpu, cuda or"):
        model.compile(target="tpu")  # type: ignore[call-overload]
    with pytest.raises(moe.MoEError, match="threads is 0"):
        model.compile(threads=0)
    with pytest.raises(moe.MoEError, match="unknown CPU 'pentium'"):
        model.compile(cpu="pentium")
    with pytest.raises(moe.MoEError, match="does not run here"):
        model.compile(cpu="diamondrapids")
    with pytest.raises(moe.MoEError, match="scope is 'batch'; use sequence or token"):
        model.with_scope("batch")
    with pytest.raises(moe.MoEError, match="not the name or glob of a layer"):
        model.with_scope("sequence", layers=["a b"])
    with pytest.raises(moe.MoEError, match="floor is 'x'"):
        model.with_scope("sequence", floor="x")
    with pytest.raises(moe.MoEError, match=r"layers\.9|no layer|matches no"):
        model.with_scope("sequence", layers="layers.9.*")


@pytest.mark.parametrize("cpu", ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_levels_of_the_cpu(cpu: str) -> None:
    try:
        f = layer_model().compile(cpu=cpu)
    except moe.MoEError as error:
        pytest.skip(str(error))
    want = layer_reference(X, layer_weights(8, 32, 16), 2)
    np.testing.assert_allclose(f(X), want, rtol=1e-4, atol=1e-5)


def test_folder_round_trip(tmp_path: pathlib.Path, compiled: moe.CompiledModel) -> None:
    model = layer_model()
    model.save(tmp_path / "a")
    loaded = moe.load(tmp_path / "a")
    assert loaded.mlir == model.mlir
    assert loaded.report == model.report
    assert not loaded.weights["down"].flags.writeable
    np.testing.assert_array_equal(loaded.weights["down"], model.weights["down"])
    np.testing.assert_array_equal(loaded.compile()(X), compiled(X))
    loaded.with_scope("sequence").save(tmp_path / "b")
    loaded.save(tmp_path / "a")  # over what is mapped
    again = moe.load(tmp_path / "b")
    assert again.layers[0]["scope"] == "sequence"
    np.testing.assert_array_equal(again.weights["down"], model.weights["down"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "manifest.json",
        "model.mlir",
        "weights.safetensors",
    ]


def test_weights_that_do_not_fit() -> None:
    text, weights = layer_text(8, 2, 32, 16), layer_weights(8, 32, 16)
    with pytest.raises(moe.MoEError, match=r"weight 'down' is missing.*router"):
        moe.Model.from_text(
            text, {"router": weights["router"]} | {"gate_up": weights["gate_up"]}
        )
    with pytest.raises(moe.MoEError, match=r"'down': is float32 \[8, 32, 15\]"):
        moe.Model.from_text(text, weights | {"down": weights["down"][..., :15]})
    with pytest.raises(moe.MoEError, match=r"'down': is float64"):
        moe.Model.from_text(text, weights | {"down": weights["down"].astype(float)})


def test_report_of_other_dimensions(tmp_path: pathlib.Path) -> None:
    dims = [{"input": "input0", "dim": dim, "requested": "n"} for dim in (0, 9, -9)]
    model = layer_model()
    model.report["dynamic_dims"] = dims
    model.save(tmp_path / "m")
    compiled = moe.load(tmp_path / "m").compile(threads=1)
    assert compiled(np.zeros((1, 2, 32), np.float32)).shape == (1, 2, 32)


def test_packed_by_no_function() -> None:
    text = """func.func @main(%w: tensor<4xf32>
        {moe.packed = {function = "gone", params = ["w"]}}) -> tensor<4xf32> {
      return %w : tensor<4xf32>
    }"""
    with pytest.raises(moe.MoEError, match="is made by @gone, and the module has no"):
        moe.Model.from_text(text).compile()


@pytest.mark.parametrize(
    "attribute",
    [
        "moe.param = 5 : i32",
        "moe.packed = 5 : i32",
        "moe.packed = {}",
        'moe.packed = {function = "f", params = [1 : i32]}',
    ],
)
def test_malformed_attributes_of_weights(attribute: str) -> None:
    text = f"func.func @main(%w: tensor<4xf32> {{{attribute}}}) {{ return }}"
    with pytest.raises(moe.MoEError, match="@main, argument 0: has the attributes"):
        moe.Model.from_text(text)


def test_module_without_main() -> None:
    with pytest.raises(moe.MoEError, match="no public function @main"):
        moe.Model.from_text("func.func @f() { return }")


def test_damaged_folders(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "m"
    layer_model().save(folder)
    weights, manifest = folder / "weights.safetensors", folder / "manifest.json"
    whole = weights.read_bytes()
    for damaged in (whole[:-1], whole[:100], whole[:4], b"", b"x" * 200):
        weights.write_bytes(damaged)
        with pytest.raises(moe.MoEError, match="is not a whole safetensors file"):
            moe.load(folder)
    weights.unlink()
    with pytest.raises(
        moe.MoEError, match=r"weights.safetensors: this weights file is"
    ):
        moe.load(folder)
    weights.write_bytes(whole)
    (folder / "model.mlir").write_text("func.func @main(")
    with pytest.raises(moe.MoEError, match=r"model.mlir:1:16: "):
        moe.load(folder)
    (folder / "model.mlir").unlink()
    with pytest.raises(moe.MoEError, match=r"model.mlir: this file is missing"):
        moe.load(folder)
    entries = json.loads(manifest.read_text())
    for entry, message in [
        ({"format": 9}, "not the manifest of a model of format 1"),
        ({"weights": 3}, "'weights' is missing or not a list"),
        ({"weights": ["/etc/passwd"]}, "path relative to the folder"),
        ({"module": "model\0mlir"}, "path relative to the folder"),
        ({"report": {"layers": 3}}, "'layers' is not a list"),
        ({"report": {"inputs": [{}]}}, r"'inputs\[0\]' has no str 'name'"),
        ({"report": {"dynamic_dims": [1]}}, r"'dynamic_dims\[0\]' is not a dict"),
    ]:
        manifest.write_text(json.dumps(entries | entry))
        with pytest.raises(moe.MoEError, match=message):
            moe.load(folder)
    manifest.write_text('{"format": ')
    with pytest.raises(moe.MoEError, match=r"manifest.json:1:12: is not JSON"):
        moe.load(folder)
    manifest.write_text("[" * 100000)
    with pytest.raises(moe.MoEError, match="is nested too deep"):
        moe.load(folder)
    with pytest.raises(moe.MoEError, match="does not exist"):
        moe.load(tmp_path / "nowhere")


def test_outputs_that_cannot_be_written(tmp_path: pathlib.Path) -> None:
    model = layer_model()
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "in", "/proc/model"):
        with pytest.raises(moe.MoEError):
            model.save(place)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(moe.MoEError, match=r"holds no manifest.json.*not overwritten"):
        model.save(foreign)
    assert (foreign / "thesis.tex").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"


def test_saved_files_have_the_usual_permissions(tmp_path: pathlib.Path) -> None:
    usual = tmp_path / "usual"
    usual.touch()
    layer_model().save(tmp_path / "m")
    modes = {path.name: path.stat().st_mode for path in (tmp_path / "m").iterdir()}
    assert modes == dict.fromkeys(modes, usual.stat().st_mode) and len(modes) == 3


def test_interrupted_save_leaves_what_was_there(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = layer_model()
    model.save(tmp_path / "m")

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("moe_mlir.storage.json.dumps", interrupt)
    for place in ("m", "new"):
        with pytest.raises(KeyboardInterrupt):
            model.with_scope("sequence").save(tmp_path / place)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert moe.load(tmp_path / "m").layers[0]["scope"] == "token"


def test_torch_weights_are_not_copied() -> None:
    torch = pytest.importorskip("torch")
    weights = {
        name: torch.nn.Parameter(torch.from_numpy(array))
        for name, array in layer_weights(8, 32, 16).items()
    }
    model = moe.Model.from_text(layer_text(8, 2, 32, 16), weights)
    assert model.weights["down"] is weights["down"]
    want = layer_reference(X, layer_weights(8, 32, 16), 2)
    np.testing.assert_allclose(model.compile()(X), want, rtol=1e-4, atol=1e-5)
