"""Checkpoints that transformers wrote: imported, refused where they are damaged."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import moe_mlir
import numpy as np
import pytest
import torch
from moe_mlir.arrays import to_numpy
from moe_mlir.cli import main
from moe_mlir.errors import MoEError
from moe_mlir.torch.checkpoint import (
    CheckpointWeights,
    describe_sources,
    match_checkpoint,
)
from moe_mlir.torch.pretrained import import_pretrained, make_unfilled
from moe_mlir.torch.shards import open_shards
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from whole_models import E, batch, make

torch.set_num_threads(1)
INDEX = "model.safetensors.index.json"


def write(model: Any, folder: pathlib.Path, layout: str = "experts") -> pathlib.Path:
    """Several shards; experts one by one, as published, or fused as in the model."""
    model.save_pretrained(
        folder, max_shard_size="20KB", save_original_format=layout == "experts"
    )
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return write(make("olmoe"), tmp_path_factory.mktemp("checkpoint") / "olmoe")


@pytest.fixture
def copied(written: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    return shutil.copytree(written, tmp_path / "olmoe")


def matched(folder: pathlib.Path, dtype: torch.dtype = torch.float32) -> Any:
    """What a model's weights are made of, without importing the model."""
    model = make_unfilled(AutoConfig.from_pretrained(folder), dtype)
    stored = open_shards(folder)
    assert stored is not None
    return (*match_checkpoint(model, stored), stored)


def same_weights(weights: Any, model: Any) -> None:
    state = model.state_dict()
    named = [name for name in weights if name in state]
    assert len(named) >= len(state) - 1  # one of two tied ones may be left out
    for name in named:
        assert torch.equal(weights[name], state[name]), name


@pytest.mark.parametrize(
    ("family", "layout", "stacked"),
    [
        ("olmoe", "experts", 4),
        ("olmoe", "fused", 0),
        ("mixtral", "experts", 4),
        ("qwen2_moe", "experts", 4),
        ("qwen3_moe", "experts", 4),
        ("deepseek_v2", "experts", 2),
        ("deepseek_v3", "experts", 2),
        ("glm4_moe", "experts", 2),
        ("minimax_m2", "experts", 4),
        ("ernie4_5_moe", "experts", 4),
        ("granitemoe", "experts", 0),
        ("gpt_oss", "experts", 0),
    ],
)
def test_weights_of_both_layouts(
    family: str, layout: str, stacked: int, tmp_path: pathlib.Path
) -> None:
    model = make(family)
    folder = write(model, tmp_path / "model", layout)
    assert len(list(folder.glob("*.safetensors"))) > 2
    sources, unused, stored = matched(folder)
    facts = describe_sources(sources, stored, unused)
    assert facts["stacked"] == stacked and facts["unused"] == []
    weights = CheckpointWeights(list(sources), stored, sources, {})
    same_weights(weights, model)
    for name in weights:  # what is said of a weight without making it
        described, value = weights.describe(name), to_numpy(weights[name], name)
        assert (described.dtype, described.shape) == (value.dtype, value.shape)


def test_experts_are_in_the_order_of_their_numbers(tmp_path: pathlib.Path) -> None:
    """10 comes after 9, not after 1."""
    model = make("olmoe", num_experts=12)
    sources, _, stored = matched(write(model, tmp_path / "model"))
    same_weights(CheckpointWeights(list(sources), stored, sources, {}), model)


def test_a_checkpoint_becomes_a_folder_that_runs(
    written: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "ours"
    arguments = ["import", "hf", str(written), "-o", str(output)]
    assert main([*arguments, "--report", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [layer["status"] for layer in report["layers"]] == ["raised"] * 2
    assert report["checkpoint"]["stacked"] == 4
    ids, mask = batch([9, 4], "left")
    model = moe_mlir.load(output)
    assert list(model.weights) and model.report == report
    have = model.compile(threads=1)(ids, mask)
    with torch.no_grad():
        want = make("olmoe")(ids, attention_mask=mask).logits
    on = mask.bool()
    torch.testing.assert_close(have[on], want[on], rtol=0, atol=5e-5)


def test_a_config_alone_means_random_weights(
    written: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(written / "config.json", tmp_path / "config.json")
    arguments = ["import", "hf", str(tmp_path / "config.json"), "--seed", "3"]
    assert main([*arguments, "-o", str(tmp_path / "ours")]) == 0
    assert "weights are random, seed 3" in capsys.readouterr().out
    torch.manual_seed(3)
    want = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(written))
    have = moe_mlir.load(tmp_path / "ours").weights
    assert len(have) > 20
    for name, value in want.state_dict().items():
        assert np.array_equal(have[name], value.numpy()), name


def test_types_are_converted_and_said(written: pathlib.Path) -> None:
    sources, unused, stored = matched(written, torch.bfloat16)
    facts = describe_sources(sources, stored, unused)
    assert facts["converted"] == ["float32 to bfloat16"]
    same_weights(
        CheckpointWeights(list(sources), stored, sources, {}),
        make("olmoe", torch.bfloat16),
    )


@pytest.mark.parametrize(
    "kept",
    [
        "model.embed_tokens.weight",
        pytest.param("both", marks=pytest.mark.long),
        "different",
    ],
)
def test_tied_weights_are_one(kept: str, tmp_path: pathlib.Path) -> None:
    model = make("olmoe", tie_word_embeddings=True)
    folder = tmp_path / "tied"
    model.save_pretrained(folder)
    file = folder / "model.safetensors"
    tensors = load_file(file)
    assert "lm_head.weight" not in tensors
    if kept != "model.embed_tokens.weight":
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    if kept == "different":
        tensors["lm_head.weight"][0] += 1
        save_file(tensors, file, {"format": "pt"})
        with pytest.raises(MoEError, match="ties 'lm_head.weight' to .* two different"):
            import_pretrained(folder)
        return
    save_file(tensors, file, {"format": "pt"})
    imported = import_pretrained(folder)
    names = {"lm_head.weight", "model.embed_tokens.weight"} & set(imported.weights)
    assert len(names) == 1
    same_weights(imported.weights, model)


#: In a process of its own: what other tests left in memory would hide the peak.
PEAK = """
import sys, threading, time, torch
import moe_mlir
from moe_mlir.torch.pretrained import import_pretrained
torch.set_num_threads(1)

def anonymous():
    lines = open("/proc/self/status").read().split("RssAnon:")[1]
    return int(lines.split()[0]) * 1024

imported = import_pretrained(sys.argv[1])
model = moe_mlir.Model.from_imported(imported)
before, peak, done = anonymous(), 0, False

def watch():
    global peak
    while not done:
        peak = max(peak, anonymous())
        time.sleep(0.0005)

thread = threading.Thread(target=watch)
thread.start()
model.save(sys.argv[2])
done = True
thread.join()
print(peak - before)
"""


def test_saving_holds_two_layers_at_most(
    tmp_path: pathlib.Path, build_root: pathlib.Path
) -> None:
    """Of four layers, whose experts are stored one by one."""
    inner, hidden, layers = 512, 256, 4
    model = make(
        "olmoe", hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers
    )
    model.save_pretrained(tmp_path / "model", max_shard_size="8MB")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(tmp_path / "model"), str(tmp_path / "ours")],
        capture_output=True,
        text=True,
        check=True,
        # Tensors of real models are given back to the system when they are freed.
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"},
    )
    layer = E * 3 * inner * hidden * 4
    peak = int(done.stdout.split()[-1])
    assert 0 < peak <= 2 * layer, f"{peak / layer:.2f} layers"


def edit_json(path: pathlib.Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def first_shard(folder: pathlib.Path) -> pathlib.Path:
    return min(folder.glob("*.safetensors"))


def edit_shard(folder: pathlib.Path, key: str, change: Any) -> None:
    """Replaces one tensor of a checkpoint; None removes it, of the index too."""
    index = json.loads((folder / INDEX).read_text())
    file = folder / index["weight_map"][key]
    tensors = load_file(file)
    value = change(tensors.pop(key))
    if value is None:
        edit_json(folder / INDEX, lambda index: index["weight_map"].pop(key))
    else:
        tensors[key] = value
    save_file(tensors, file, {"format": "pt"})


EXPERT = "model.layers.1.mlp.experts.5.up_proj.weight"


def truncate(folder: pathlib.Path) -> None:
    shard = first_shard(folder)
    shard.write_bytes(shard.read_bytes()[:-100])


def corrupt(folder: pathlib.Path) -> None:
    shard = first_shard(folder)
    content = bytearray(shard.read_bytes())
    content[8:40] = b"\xff" * 32
    shard.write_bytes(content)


def move_entry(folder: pathlib.Path) -> None:
    def change(index: dict[str, Any]) -> None:
        files = sorted(set(index["weight_map"].values()))
        index["weight_map"][EXPERT] = next(
            file for file in files if file != index["weight_map"][EXPERT]
        )

    edit_json(folder / INDEX, change)


def replace_by_folder(folder: pathlib.Path) -> None:
    shard = first_shard(folder)
    shard.unlink()
    shard.mkdir()


def edit_header(folder: pathlib.Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the header of a shard, whose data stays as it is."""
    shard = first_shard(folder)
    content = shard.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    shard.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])


def overlap(header: dict[str, Any]) -> None:
    first, second, *_ = (name for name in header if name != "__metadata__")
    header[second]["data_offsets"] = header[first]["data_offsets"]


def leave_file(header: dict[str, Any]) -> None:
    name = next(name for name in header if name != "__metadata__")
    header[name]["data_offsets"] = [10**15, 10**15 + 64]


def list_twice(folder: pathlib.Path) -> None:
    text = (folder / INDEX).read_text()
    entry = f'"weight_map": {{"{EXPERT}": "model-00001-of-00009.safetensors",'
    (folder / INDEX).write_text(text.replace('"weight_map": {', entry, 1))


BROKEN: dict[str, tuple[Callable[[pathlib.Path], Any], str]] = {
    "a truncated shard": (truncate, r"not a whole safetensors file .* copy or"),
    "a corrupt header": (corrupt, r"not a whole safetensors file"),
    "a missing shard": (
        lambda f: first_shard(f).unlink(),
        r"1 of \d+ shards are missing: model-00001",
    ),
    "an entry missing in the index": (
        lambda f: edit_json(f / INDEX, lambda i: i["weight_map"].pop(EXPERT)),
        rf"does not list tensor '{EXPERT}'.*copy them again together",
    ),
    "an index of another checkpoint": (
        move_entry,
        rf"says that tensor '{EXPERT}' is in model-.*, which does not hold it",
    ),
    "a shard that is a folder": (replace_by_folder, r"is a folder, not a weights file"),
    "tensors that overlap": (
        lambda f: edit_header(f, overlap),
        r"not a whole safetensors file .*invalid offset for tensor",
    ),
    "a tensor beyond the file": (
        lambda f: edit_header(f, leave_file),
        r"not a whole safetensors file .*invalid offset for tensor",
    ),
    "an entry listed twice": (list_twice, rf"is not JSON: '{EXPERT}' is there twice"),
    "an expert in eight bits": (
        lambda f: edit_shard(f, EXPERT, lambda t: t.to(torch.int8)),
        rf"'{EXPERT}' is of int8, codes of a quantised weight",
    ),
    "a float8 weight": (
        lambda f: edit_shard(
            f, "model.norm.weight", lambda t: t.to(torch.float8_e4m3fn)
        ),
        r"'model.norm.weight' has elements of type F8_E4M3, which is not supported",
    ),
    "no head, and none tied": (
        lambda f: edit_shard(f, "lm_head.weight", lambda t: None),
        r"lacks 1 of \d+ weights of OlmoeForCausalLM, the first 'lm_head.weight'",
    ),
    "no experts": (
        lambda f: edit_json(f / "config.json", lambda c: c.update(num_experts=0)),
        r"num_experts_per_tok is 2 in this config \(olmoe\), and there are 0 experts",
    ),
    "more experts per token than experts": (
        lambda f: edit_json(
            f / "config.json", lambda c: c.update(num_experts_per_tok=99)
        ),
        r"num_experts_per_tok is 99 in this config \(olmoe\), and there are 8 exp",
    ),
    "a vocabulary of nothing": (
        lambda f: edit_json(f / "config.json", lambda c: c.update(vocab_size=0)),
        r"of this config \(olmoe\) is \[0, 16\]; a size in it is 0|no causal language",
    ),
    "an index without entries": (
        lambda f: (f / INDEX).write_text("{}"),
        r"has no 'weight_map'",
    ),
    "an index that leads outside": (
        lambda f: edit_json(
            f / INDEX, lambda i: i["weight_map"].update({EXPERT: "../x.safetensors"})
        ),
        r"has no 'weight_map' from tensors to files of its folder",
    ),
    "an index that is no JSON": (
        lambda f: (f / INDEX).write_text("{"),
        r"is not JSON",
    ),
    "shards without an index": (
        lambda f: (f / INDEX).unlink(),
        r"but neither model.safetensors.index.json nor model.safetensors",
    ),
    "an expert missing": (
        lambda f: edit_shard(f, EXPERT, lambda t: None),
        r"experts.gate_up_proj'.*(cannot be put together|make )",
    ),
    "a layer's norm missing": (
        lambda f: edit_shard(f, "model.norm.weight", lambda t: None),
        r"lacks 1 of \d+ weights of OlmoeForCausalLM, the first 'model.norm.weight'",
    ),
    "an expert of another type": (
        lambda f: edit_shard(f, EXPERT, lambda t: t.bfloat16()),
        r"gate_up_proj' is made of tensors of different types: .*float32.*bfloat16",
    ),
    "codes of a quantisation": (
        lambda f: edit_shard(f, "model.norm.weight", lambda t: t.to(torch.int8)),
        r"'model.norm.weight' is of int8, codes of a quantised weight",
    ),
    "a tensor of another shape": (
        lambda f: edit_shard(f, "model.norm.weight", lambda t: t[:-1].clone()),
        r"'model.norm.weight'.*\[15\] make \[15\], and the model needs \[16\]",
    ),
    "a config that does not fit": (
        lambda f: edit_json(
            f / "config.json", lambda c: c.update(intermediate_size=24)
        ),
        r"the model needs \[8, ",
    ),
    "no config": (lambda f: (f / "config.json").unlink(), r"config.json: is missing"),
    "a config that is no JSON": (
        lambda f: (f / "config.json").write_text("{"),
        r"config.json: is not JSON",
    ),
    "a model of the future": (
        lambda f: edit_json(
            f / "config.json",
            lambda c: c.update(model_type="olmoe9", transformers_version="99.0"),
        ),
        r"'olmoe9' is unknown to transformers .*written by transformers 99.0.*install",
    ),
    "a config of nonsense": (
        lambda f: edit_json(
            f / "config.json", lambda c: c.update(num_attention_heads="many")
        ),
        r"(cannot read this config of 'olmoe'|no causal language model)",
    ),
    "a quantised checkpoint": (
        lambda f: edit_json(
            f / "config.json",
            lambda c: c.update(quantization_config={"quant_method": "fp8"}),
        ),
        r"the checkpoint is quantised",
    ),
    "a model that is no causal language model": (
        lambda f: (f / "config.json").write_text('{"model_type": "vit"}'),
        r"makes no causal language model of this config \(vit\)",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_damage_is_refused_by_name(
    what: str, copied: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message, a non-zero exit, and nothing written."""
    damage, message = BROKEN[what]
    damage(copied)
    output = copied.parent / "ours"
    assert main(["import", "hf", str(copied), "-o", str(output)]) == 1
    errors = [
        line
        for line in capsys.readouterr().err.splitlines()
        if line.startswith("moe-mlir: error: ")
    ]
    assert len(errors) == 1
    assert re.search(message, errors[0]), errors[0]
    assert sorted(p.name for p in copied.parent.iterdir()) == ["olmoe"]


def test_wrong_arguments_are_refused(
    written: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source, options, message in (
        (str(tmp_path / "none"), [], "does not exist.*models are not downloaded"),
        (str(written), ["--dtype", "int8"], "dtype is 'int8'; use one of float32"),
        (str(written / INDEX), [], "has no 'model_type'"),
    ):
        output = str(tmp_path / "ours")
        assert main(["import", "hf", source, "-o", output, *options]) == 1
        assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())
