"""``moe-mlir eval``: loss and experts per token in each scope, against transformers."""

from __future__ import annotations

import pathlib
import re

import moe_mlir
import numpy as np
import pytest
import torch
from moe_mlir.causal import choose_causal
from moe_mlir.cli import main
from moe_mlir.evaluation import evaluate
from torch import Tensor
from whole_models import E, K, batch, experts_per_token, make, routed_by
from whole_models import routed_by_oracle as by_oracle

torch.set_num_threads(1)
LENGTHS = [20, 3, 11]


def loss_of(logits: Tensor, ids: Tensor, mask: Tensor) -> float:
    """Mean over tokens that follow a token."""
    pairs = mask[:, :-1].bool() & mask[:, 1:].bool()
    wanted = ids[:, 1:][pairs]
    return torch.nn.functional.cross_entropy(logits[:, :-1][pairs], wanted).item()


def causal_by_force(keys: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Which pairs [T, E] of one sequence are in: all of a prefix sorted, again."""
    on = np.zeros(keys.shape, bool)
    pairs: list[tuple[float, int, int]] = []
    for t in np.flatnonzero(valid):
        pairs += [(-float(keys[t, e]), int(t), e) for e in range(keys.shape[1])]
        budget = K * int(valid[: t + 1].sum())
        for _, token, expert in sorted(pairs)[:budget]:
            if token == t:
                on[t, expert] = True
    return on


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("eval")
    moe_mlir.from_causal_lm(make("olmoe")).save(path / "model")
    ids, mask = batch(LENGTHS, "left")
    np.save(path / "ids.npy", ids.numpy().astype(np.int32))
    np.save(path / "mask.npy", mask.numpy() != 0)
    return path


@pytest.mark.parametrize(
    ("family", "normalize"),
    [
        ("olmoe", "none"),
        pytest.param("qwen3_moe", "sum", marks=pytest.mark.long),
        pytest.param("mixtral", "sum", marks=pytest.mark.long),
    ],
)
@torch.no_grad()
def test_each_scope_agrees_with_transformers(
    family: str, normalize: str, folder: pathlib.Path
) -> None:
    model = make(family)
    ids, mask = batch(LENGTHS, "left")
    want: dict[str, tuple[float, np.ndarray]] = {}
    for scope in ("token", "sequence"):
        with by_oracle(model, mask, scope=scope, normalize=normalize) as plans:
            loss = loss_of(model(ids, attention_mask=mask).logits, ids, mask)
        counts = [experts_per_token(plan)[mask.bool().numpy()] for plan in plans]
        want[scope] = (loss, np.stack(counts))
    chosen: list[np.ndarray] = []

    def causal(logits: Tensor) -> Tensor:
        scores = logits.softmax(-1)
        rows = zip(scores.numpy(), mask.numpy(), strict=True)
        on = np.stack([causal_by_force(keys, valid) for keys, valid in rows])
        chosen.append(on.sum(-1)[mask.bool().numpy()])
        gates = scores * torch.from_numpy(on)
        if normalize == "sum":
            gates = gates / gates.sum(-1, keepdim=True).clamp_min(1e-30)
        return gates

    with routed_by(model, causal):
        loss = loss_of(model(ids, attention_mask=mask).logits, ids, mask)
    want["causal"] = (loss, np.stack(chosen))
    assert len({round(loss, 3) for loss, _ in want.values()}) == 3

    ours = evaluate(
        moe_mlir.load(folder / "model")
        if family == "olmoe"
        else moe_mlir.from_causal_lm(model),
        np.load(folder / "ids.npy"),
        mask=np.load(folder / "mask.npy"),
        threads=1,
        batch=2,
    )
    for have in ours:
        loss, counts = want[have.scope]
        assert have.loss == pytest.approx(loss, rel=1e-5)
        assert have.predicted == sum(length - 1 for length in LENGTHS)
        for layer, count in zip(have.tokens, counts, strict=True):
            assert layer.tolist() == np.bincount(count, minlength=layer.size).tolist()
        mean = (have.experts * np.arange(have.experts.size)).sum()
        if have.scope != "causal":
            assert mean == 2 * K * sum(LENGTHS)


@pytest.mark.long
def test_the_command_prints_a_row_for_each_scope(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--tokens", str(folder / "ids.npy"), "--mask", str(folder / "mask.npy")]
    command = ["eval", str(folder / "model"), *files, "--threads", "1"]
    assert main([*command, "--scope", "token"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"token +\d\.\d{4} +[\d.]+ +2\.000  0\.0 0\.0 100\.0", lines[1])
    assert lines[2].endswith(f"of {sum(LENGTHS) - 3} predicted tokens")


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        (np.zeros((2, 5)), [], r"tokens are float64 \[2, 5\]; they must be integers"),
        (np.zeros((2, 1), np.int64), [], r"with T of at least 2"),
        (np.zeros((1, 5), int), ["--scope", "batch"], r"scope is 'batch'; use one of"),
        (np.zeros((1, 5), int), ["--batch", "0"], r"batch is 0"),
        (np.zeros((1, 5), int), ["--mask", "ids.npy"], r"mask is \[3, 20\], and the"),
    ],
)
def test_bad_arguments_are_refused(
    tokens: np.ndarray,
    options: list[str],
    message: str,
    folder: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    np.save(tmp_path / "ids.npy", tokens)
    command = ["eval", "model", "--tokens", str(tmp_path / "ids.npy")]
    assert main([*command, "--threads", "1", *options]) == 1
    assert re.search(message, capsys.readouterr().err)


LAYER = {"k": K, "score": "softmax", "normalize": "none"}


@pytest.mark.parametrize("seed", range(20))
def test_causal_choice_of_random_sequences(seed: int) -> None:
    """With ties, biases, padding on both sides, floor and cap."""
    rng = np.random.default_rng(seed)
    logits = rng.integers(-3, 3, (3, 12, E)).astype(np.float32)
    valid = rng.random((3, 12)) < 0.8
    bias = rng.integers(-2, 2, E).astype(np.float32) / 8 if seed % 2 else None
    have = choose_causal(logits, bias, valid, LAYER | {"score": "sigmoid"})
    scores = moe_mlir.route(logits, E, score="sigmoid").gates
    keys = scores.reshape(E, 3, 12).transpose(1, 2, 0) + (0 if bias is None else bias)
    for s in range(3):
        want = causal_by_force(keys[s], valid[s])
        assert np.array_equal(have.ids[s] >= 0, want)
        # No later token changes a choice.
        shorter = choose_causal(
            logits[s : s + 1, :7],
            bias,
            valid[s : s + 1, :7],
            LAYER | {"score": "sigmoid"},
        )
        assert np.array_equal(shorter.ids[0], have.ids[s, :7])
        bounded = choose_causal(
            logits, bias, valid, LAYER | {"score": "sigmoid", "floor": 1, "cap": 3}
        ).experts_per_token
        assert (bounded[valid] >= 1).all() and (bounded <= 3).all()


@pytest.mark.parametrize("normalize", ["none", "sum", "softmax"])
def test_causal_choice_of_one_token_is_token_scope(normalize: str) -> None:
    """Gates too, and with groups, a bias and a scale."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(5, 1, E)).astype(np.float32)
    bias = rng.normal(size=E).astype(np.float32)
    layer = LAYER | {"normalize": normalize, "scale": 2.5}
    layer |= {"n_group": 4, "topk_group": 2, "group_score": "top2_sum"}
    have = choose_causal(logits, bias, np.ones((5, 1), bool), layer)
    plan = moe_mlir.route(
        logits,
        K,
        choice_bias=bias,
        normalize=normalize,  # type: ignore[arg-type]
        scale=2.5,
        groups=(4, 2, "top2_sum"),
    )
    want = np.zeros((5, E), np.float32)
    expert = np.repeat(np.arange(E), np.diff(plan.expert_offsets))
    want[plan.row_token, expert] = plan.gates
    assert np.array_equal(have.ids[:, 0] >= 0, want != 0)
    np.testing.assert_allclose(have.gates[:, 0], want, rtol=1e-6)
