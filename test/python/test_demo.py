"""The demo runs with other values than its own, and fails when a result is wrong."""

import pathlib
import re

import numpy as np
import pytest
from moe_mlir import demo, demo_layers

SMALL = "--batch 2 --tokens 33 --experts 12 --k 3 --hidden 40 --inner 24 --rounds 1"


def test_every_layer_is_checked_timed_and_drawn(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.main([*SMALL.split(), "--picture", str(tmp_path / "p.png")])
    out = capsys.readouterr().out
    for name in demo_layers.LAYERS:
        assert f"token scope against {name}" in out
        assert (tmp_path / f"p-{name}.png").read_bytes()[:4] == b"\x89PNG"
    # The flip is one attribute of one line.
    assert len(re.findall(r"^- .*scope = token", out, re.M)) == 2
    assert len(re.findall(r"^\+ .*scope = sequence", out, re.M)) == 2
    assert out.count("sequence scope against the oracle") == 2
    for run in ("PyTorch grouped_mm", "JAX", "ours, token", "ours, sequence"):
        assert re.search(rf"^  {run} +[0-9.]+ ms$", out, re.M)
    assert re.search(r"sequence scope costs [+-][0-9.]+ % over token scope", out)
    assert "0.1-1.2 % of the loss" in out


def test_a_wrong_result_ends_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = demo_layers.layer_by_plan

    def wrong(*arguments: object) -> object:
        return answer(*arguments) * np.float64(1.001)

    monkeypatch.setattr(demo, "layer_by_plan", wrong)
    with pytest.raises(SystemExit, match="oracle: the results differ"):
        demo.main([*SMALL.split(), "--layers", "PyTorch"])


def test_tokens_at_a_tie_are_near() -> None:
    logits = np.zeros((1, 4, 3), np.float32)
    logits[0, 0, 0] = 5
    layer = demo_layers.Layer(None, logits, {}, 1, lambda: None, {})  # type: ignore
    assert layer.near("token").tolist() == [[False, True, True, True]]
    assert layer.near("sequence").all(-1).tolist() == [False]
