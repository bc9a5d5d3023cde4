"""Whole causal language models, imported, compiled and run, against transformers."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import sys
from typing import Any

import moe_mlir
import numpy as np
import pytest
import torch
from moe_mlir import MoEError
from torch import Tensor
from whole_models import VOCABULARY, K, batch, experts_per_token, make, routed_by_oracle

torch.set_num_threads(1)

#: Of the largest logit; the models have two layers and a dozen roundings in each.
TOLERANCE = 1e-5


@functools.cache
def imported(family: str) -> tuple[Any, moe_mlir.Model]:
    """The model and what was imported of it."""
    model = make(family)
    return model, moe_mlir.from_causal_lm(model)


@functools.cache
def compiled(family: str, scope: str) -> moe_mlir.CompiledModel:
    model = imported(family)[1]
    return (model if scope == "token" else model.with_scope(scope)).compile(threads=1)


@torch.no_grad()
def eager(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    logits: Tensor = model(ids, attention_mask=mask).logits
    return logits


def close(have: Tensor, want: Tensor, mask: Tensor) -> None:
    """Logits of tokens; those of padding mean nothing."""
    on = mask.bool()
    scale = want[on].abs().max().item()
    torch.testing.assert_close(have[on], want[on], rtol=0, atol=TOLERANCE * scale)


def long(*families: str) -> list[Any]:
    return [pytest.param(family, marks=pytest.mark.long) for family in families]


@pytest.mark.parametrize(
    "family",
    [
        "olmoe",
        "qwen3_moe",
        "deepseek_v3",
        *long("mixtral", "qwen2_moe", "granitemoe", "glm4_moe", "minimax_m2"),
        *long("gpt_oss", "ernie4_5_moe", "deepseek_v2"),
    ],
)
def test_token_scope_agrees_with_transformers(family: str) -> None:
    model, ours = imported(family)
    layers = ours.report["layers"]
    assert [layer["status"] for layer in layers] == ["raised"] * len(layers) and layers
    f = compiled(family, "token")
    for lengths, side in (
        ([7, 7], "right"),
        ([1], "right"),
        ([20, 3, 11], "right"),
        ([20, 3, 11], "left"),
        ([2], "left"),
    ):
        ids, mask = batch(lengths, side)
        close(f(ids, mask), eager(model, ids, mask), mask)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", ["olmoe", *long("qwen3_moe")])
def test_sequence_scope_agrees_with_the_oracle(family: str, side: str) -> None:
    """Padding is in no budget: the oracle counts K for each token of a sequence."""
    model, _ = imported(family)
    lengths = [20, 3, 11]
    ids, mask = batch(lengths, side)
    normalize = "sum" if family == "qwen3_moe" else "none"
    with routed_by_oracle(model, mask, scope="sequence", normalize=normalize) as plans:
        want = eager(model, ids, mask)
    for plan in plans:
        counts = experts_per_token(plan)
        assert counts.sum(-1).tolist() == [K * length for length in lengths]
        assert counts.std() > 0.5  # else the scopes could not be told apart
    have = compiled(family, "sequence")(ids, mask)
    close(have, want, mask)
    with pytest.raises(AssertionError):
        close(have, eager(model, ids, mask), mask)


@pytest.mark.parametrize(
    "family", ["olmoe", *long("qwen2_moe", "deepseek_v3", "gpt_oss", "granitemoe")]
)
def test_a_padded_batch_is_its_sequences_one_by_one(family: str) -> None:
    """In sequence scope, where padding that took part would take experts away."""
    f = compiled(family, "sequence")
    lengths = [9, 4, 13]
    left, on_left = batch(lengths, "left")
    right = torch.zeros_like(left)
    on_right = torch.zeros_like(on_left)
    for i, length in enumerate(lengths):
        right[i, :length] = left[i, -length:]
        on_right[i, :length] = 1
    padded_left, padded_right = f(left, on_left), f(right, on_right)
    for i, length in enumerate(lengths):
        ids = right[i : i + 1, :length]
        alone = f(ids, torch.ones_like(ids))
        for padded in (padded_left[i, -length:], padded_right[i, :length]):
            close(padded[None], alone, torch.ones_like(ids))


def test_what_padding_holds_changes_nothing() -> None:
    ids, mask = batch([9, 4], "left")
    other = torch.where(mask.bool(), ids, (ids + 17) % VOCABULARY)
    f = compiled("olmoe", "sequence")
    assert torch.equal(f(ids, mask)[mask.bool()], f(other, mask)[mask.bool()])


def test_inputs_out_of_range_are_refused() -> None:
    """They would be rows of a table that has no such rows."""
    f = compiled("olmoe", "token")
    ids, mask = batch([5], "right")
    for wrong in (VOCABULARY, -1):
        bad = ids.clone()
        bad[0, 3] = wrong
        with pytest.raises(
            MoEError,
            match=rf"'input_ids': holds {wrong} at \[0, 3\], but only 0 to 63 are",
        ):
            f(bad, mask)
    with pytest.raises(MoEError, match=r"'input_ids'.*in \[0, 64\) is needed"):
        f(ids.int(), mask)


def test_names_are_those_of_the_checkpoint() -> None:
    model, ours = imported("olmoe")
    names = [layer["layer"] for layer in ours.layers]
    assert names == ["model.layers.0.mlp", "model.layers.1.mlp"]
    state = model.state_dict()
    assert set(state) <= set(ours.weights)
    assert set(ours.weights) - set(state) == {"model.rotary_emb.inv_freq"}
    assert "forward" not in vars(model)  # it was left as it was


def test_the_same_model_gives_the_same_bytes(tmp_path: Any) -> None:
    imported("olmoe")[1].save(tmp_path / "a")
    moe_mlir.from_causal_lm(make("olmoe")).save(tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["manifest.json", "model.mlir", "weights.safetensors"]
    for file in files:
        a, b = ((tmp_path / name / file).read_bytes() for name in "ab")
        assert a == b, file


def test_bf16_agrees_within_its_rounding() -> None:
    """Both round each stage to bf16, at other places; neither is much further off."""
    model = make("olmoe", torch.bfloat16)
    f = moe_mlir.from_causal_lm(model).compile(threads=1)
    ids, mask = batch([20, 9], "right")
    exact = eager(make("olmoe"), ids, mask)
    have, want = f(ids, mask), eager(model, ids, mask)
    assert have.dtype == torch.bfloat16
    on = mask.bool()
    ours, theirs = (((y - exact)[on]).square().mean().sqrt() for y in (have, want))
    assert ours <= 1.5 * theirs and theirs < 0.1 * exact.abs().max()


def test_the_name_of_a_mask_is_checked() -> None:
    class Wrapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = make("olmoe")

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            return eager(self.model, ids, mask)

    ids, mask = batch([7, 7], "right")
    with pytest.raises(MoEError, match="no input 'padding'; the inputs are ids, mask"):
        moe_mlir.from_torch(Wrapped(), (ids, mask), valid="padding")


def test_other_modules_are_refused() -> None:
    for module in (torch.nn.Linear(2, 2), make("olmoe").model):
        with pytest.raises(MoEError, match="is not a causal language model"):
            moe_mlir.from_causal_lm(module)


def test_a_model_that_fixes_a_size_is_refused_by_name() -> None:
    """Jamba's state space layers loop over the tokens of the example."""
    with pytest.raises(
        MoEError,
        match=r"JambaForCausalLM fixes the dynamic dimension 'tokens' at 7.*because",
    ):
        moe_mlir.from_causal_lm(make("jamba"))


class Rotating(torch.nn.Module):
    """A block behind a rotation by complex numbers, of every operator that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.block = make("olmoe").model.layers[0].mlp
        self.angle = torch.nn.Parameter(torch.linspace(0.1, 3.0, 8))

    def forward(self, x: Tensor) -> Tensor:
        turn = torch.polar(torch.full_like(self.angle, 1.5), self.angle)[None, None]
        z = torch.view_as_complex(x.unflatten(-1, (8, 2)))
        z = (z * turn + z.conj() * 0.5 - torch.complex(x[..., :8], x[..., 8:])) * 2.0
        z = self.last(z.transpose(0, 1).transpose(0, 1))
        return self.block(torch.view_as_real(z).flatten(-2) + (z.real * z.imag).sum())

    def last(self, z: Tensor) -> Tensor:
        return -z


@torch.no_grad()
def test_complex_numbers_become_pairs() -> None:
    model = Rotating().eval()
    x = torch.randn(3, 7, 16)
    f = moe_mlir.from_torch(model, (x,)).compile(threads=1)
    for value in (x, torch.randn(2, 5, 16)):
        close(f(value), model(value), torch.ones(value.shape[:2]))


def test_other_complex_operators_are_refused_by_name() -> None:
    class Exponential(Rotating):
        def last(self, z: Tensor) -> Tensor:
            return z.exp()

    with pytest.raises(
        MoEError,
        match=r"complex.* \(\d+ operators, the first aten\.\w+.*test_whole_models.*cos",
    ):
        moe_mlir.from_torch(Exponential().eval(), (torch.randn(3, 7, 16),))


TRIGONOMETRY = """
#id = affine_map<(i) -> (i)>
func.func @main(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %e = tensor.empty(%n) : tensor<?xf32>
  %s, %c = linalg.generic {indexing_maps = [#id, #id, #id],
                           iterator_types = ["parallel"]}
      ins(%x : tensor<?xf32>) outs(%e, %e : tensor<?xf32>, tensor<?xf32>) {
  ^bb0(%a: f32, %b: f32, %d: f32):
    %sin = math.sin %a : f32
    %cos = math.cos %a : f32
    linalg.yield %sin, %cos : f32, f32
  } -> (tensor<?xf32>, tensor<?xf32>)
  return %s, %c : tensor<?xf32>, tensor<?xf32>
}
"""


@pytest.mark.parametrize("cpu", ["host", "x86-64"])
def test_sine_and_cosine_are_below_0_501_ulp(cpu: str) -> None:
    """Rotary embeddings take them of positions; of all f32, here by bit pattern."""
    f = moe_mlir.Model.from_text(TRIGONOMETRY).compile(threads=1, cpu=cpu)
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 400_000, dtype=np.uint32)
    halves = (np.arange(1, 40_000) * (np.pi / 2)).astype(np.float32)
    special = np.array([0.0, -0.0, 131072, 131071.99, 1e-40, 3.4e38], np.float32)
    # The f32 closest to a multiple of pi / 2.
    worst = np.array([16367173.0 * 2.0**72], np.float32)
    near = [halves, np.nextafter(halves, np.float32(0)), rng.normal(0, 3e4, 100_000)]
    x = np.concatenate([bits.view(np.float32), special, worst, *near], dtype=np.float32)
    for have, exact in zip(f(x), (np.sin, np.cos), strict=True):
        finite = np.isfinite(x)
        assert np.isnan(have[~finite]).all()
        want = exact(x[finite].astype(np.float64))
        spacing = np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)
        error = np.abs(have[finite].astype(np.float64) - want) / spacing
        assert error.max() < 0.501
        assert np.array_equal(np.signbit(have[finite]), np.signbit(want))


#: In a process of its own, whose memory is that of the import.
DEFAULT_OLMOE = """
import sys, time, torch, transformers
import moe_mlir
from moe_mlir.torch.pretrained import make_unfilled
from moe_mlir.torch.causal_lm import import_causal_lm

config = transformers.OlmoeConfig(pad_token_id=None)
start = time.perf_counter()
model = make_unfilled(config, getattr(torch, sys.argv[1]))
ours = moe_mlir.Model.from_imported(import_causal_lm(model))
seconds = time.perf_counter() - start
assert len(ours.layers) == 16
status = open("/proc/self/status").read()
peak = int(status.split("VmHWM:")[1].split()[0]) / 2**20
from moe_mlir.cpu import lower
code = lower(ours._module, "host").machine_code()
print(seconds, peak, len(code))
"""


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_olmoe_of_its_default_sizes(dtype: str, build_root: pathlib.Path) -> None:
    """13.4 billion weights that are never filled: under a minute and 3 GiB."""
    done = subprocess.run(
        [sys.executable, "-c", DEFAULT_OLMOE, dtype],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, peak, code = map(float, done.stdout.split()[-3:])
    assert seconds < 60 and peak < 3 and code > 100_000
