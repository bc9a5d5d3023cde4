"""A model in words, and as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moe_mlir.arrays import numpy_dtype
from moe_mlir.errors import MoEError
from moe_mlir.files import written_file
from moe_mlir.model import Model
from moe_mlir.signature import TensorSpec, elements


def format_report(report: Mapping[str, Any]) -> str:
    """An import report in words: what was found, raised, left plain, and why.

    Args:
        report: ``Model.report``.
    """
    lines = [f"imported {report.get('name', 'model')}"]
    if producers := report.get("producers"):
        made = ", ".join(f"{name} {version}" for name, version in producers.items())
        lines[0] += f" with {made}"
    if checkpoint := report.get("checkpoint"):
        lines += _describe_checkpoint(checkpoint)
    for layer in report.get("layers", ()):
        name, why = layer.get("name") or "(unnamed)", layer.get("why", "")
        what = f"{layer.get('block', '')} {layer.get('router', '')}".strip()
        raised = layer.get("status") == "raised"
        lines.append(
            f"  {'raised' if raised else 'plain '}  {name}"
            + (f" ({what})" if what else "")
            + (f": {why}" if why else "")
        )
    for dim in report.get("dynamic_dims", ()):
        obtained = dim.get("obtained", "dynamic")
        lines.append(
            f"  {'dynamic' if obtained == 'dynamic' else 'fixed  '} {dim['input']}, "
            f"dimension {dim['dim']} ({dim['requested']})"
            + ("" if obtained == "dynamic" else f": {obtained}")
        )
    return "\n".join(lines)


def _describe_checkpoint(facts: Mapping[str, Any]) -> list[str]:
    """Where the weights of a checkpoint came from."""
    lines = [f"  weights of {facts.get('folder')}: weights are {facts.get('weights')}"]
    if str(facts.get("weights", "")).startswith("random"):
        lines[0] += " (there was a config.json, but no safetensors)"
        return lines
    if stacked := facts.get("stacked"):
        lines[0] += f", {stacked} stacked of experts stored one by one"
    for change in facts.get("converted", ()):
        lines.append(f"  weights converted from {change}")
    if unused := facts.get("unused"):
        lines.append(
            f"  unused  {len(unused)} tensors of the checkpoint, the first {unused[0]}"
        )
    return lines


def summary(model: Model, folder: str | os.PathLike[str]) -> str:
    """Import report, inputs, results, weights and layers, one line each."""
    signature = model.signature
    lines = [f"{os.fspath(folder)}: {format_report(model.report)}"]
    lines += [f"  input   {spec.name}: {spec}" for spec in signature.inputs]
    lines += [f"  result  {spec}" for spec in signature.results]
    size = sum(weight_bytes(spec) for spec in signature.params)
    lines.append(f"  weights {len(signature.params)}, {size / 1e6:.1f} MB")
    lines += [f"  layer   {describe_layer(layer)}" for layer in model.layers]
    return "\n".join(lines)


def weight_bytes(spec: TensorSpec) -> int:
    """Bytes of a weight as it is stored."""
    sizes = [size or 0 for size in spec.shape]
    return elements(sizes) * numpy_dtype(spec.dtype, spec.name).itemsize


def describe_layer(layer: dict[str, Any]) -> str:
    """Name, scope and numbers of one layer."""
    words = [
        f"{layer.get('layer') or '(unnamed)'}:",
        f"scope {layer['scope']},",
        f"{layer['k']} of {layer['experts']} experts,",
        f"score {layer['score']}, normalize {layer['normalize']}",
    ]
    if layer.get("floor"):
        words.append(f", floor {layer['floor']}")
    if "cap" in layer:
        words.append(f", cap {layer['cap']}")
    if layer.get("n_group", 1) > 1:
        words.append(f", {layer['topk_group']} of {layer['n_group']} groups")
    return " ".join(words).replace(" ,", ",")


def draw(model: Model, path: Path) -> None:
    """Draws the layers, coloured by scope, into a picture file.

    Raises:
        MoEError: matplotlib is missing, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MoEError(
            "--picture: matplotlib is not installed; pip install 'moe-mlir[plot]'"
        ) from error
    layers = model.layers
    figure = Figure(figsize=(9, 1.2 + 0.45 * len(layers)), layout="constrained")
    if path.suffix[1:] not in figure.canvas.get_supported_filetypes():
        raise MoEError(
            f"{path}: does not end in a picture format; use .png, .svg or .pdf",
            where=str(path),
        )
    axes = figure.subplots()
    colours = {"token": "#9db7d5", "sequence": "#ffbe6f"}
    for row, layer in enumerate(layers):
        experts, k = layer["experts"], layer["k"]
        low = layer.get("floor", 0) if layer["scope"] == "sequence" else k
        high = layer.get("cap", experts) if layer["scope"] == "sequence" else k
        axes.barh(row, high - low + 1, left=low - 0.5, color=colours[layer["scope"]])
        axes.plot([k, k], [row - 0.4, row + 0.4], color="black")
    axes.set_yticks(
        range(len(layers)),
        [f"{layer.get('layer') or '(unnamed)'} ({layer['scope']})" for layer in layers],
    )
    axes.invert_yaxis()
    axes.set(
        xlabel="experts of one token: possible (bar), on average (line)",
        title=str(model.report.get("name", "model")),
    )
    with written_file(path) as stream:
        figure.savefig(stream, format=path.suffix[1:], dpi=120)
