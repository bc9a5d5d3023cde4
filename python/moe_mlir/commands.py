"""What each command of ``moe-mlir`` does."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from moe_mlir.arrays import Array, numpy_dtype, to_numpy
from moe_mlir.emit import ENDINGS, emit
from moe_mlir.errors import MoEError
from moe_mlir.evaluation import evaluate, format_evaluations
from moe_mlir.executable import CompiledModel
from moe_mlir.files import written_file
from moe_mlir.frontends import (
    from_jax,
    from_pretrained,
    from_stablehlo,
    from_torch,
)
from moe_mlir.gpu_model import CompiledGPUModel
from moe_mlir.model import Model
from moe_mlir.storage import load
from moe_mlir.summary import draw, summary


def import_model(options: argparse.Namespace) -> None:
    """``moe-mlir import``."""
    for name in ("dtype", "seed"):
        if options.framework != "hf" and getattr(options, name) is not None:
            raise MoEError(
                f"--{name} is an option of 'import hf' only", where=f"--{name}"
            )
    if options.framework == "stablehlo":
        model = from_stablehlo(_read_program(Path(options.source)))
    elif options.framework == "hf":
        model = from_pretrained(
            options.source, dtype=options.dtype, seed=options.seed or 0
        )
    else:
        made = _call(options.source)
        if not isinstance(made, tuple) or len(made) != 2:
            raise MoEError(
                f"{options.source}: returned {type(made).__name__}; it must return "
                "(module, example_inputs), for jax (function, arguments)",
                where=options.source,
            )
        source, examples = made
        if options.framework == "torch":
            model = from_torch(source, examples)
        else:
            model = from_jax(source, *examples)
    model.save(options.output)
    if options.report == "json":
        print(json.dumps(model.report, indent=2))
    else:
        print(summary(model, options.output))


def _read_program(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MoEError(
            f"{path}: cannot be read: {error.strerror or error}", where=str(path)
        ) from error


def _call(name: str) -> Any:
    """The result of PKG.MOD:CALLABLE()."""
    module_name, colon, path = name.partition(":")
    if not colon or not module_name or not path:
        raise MoEError(
            f"{name}: must be PKG.MOD:CALLABLE, e.g. my_models.olmoe:make", where=name
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        value = importlib.import_module(module_name)
        for attribute in path.split("."):
            value = getattr(value, attribute)
        function: Any = value
        return function()
    except MoEError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise MoEError(
            f"{name}: {type(error).__name__}: {error}; the module must be importable "
            "from here, and CALLABLE() must return the model",
            where=name,
        ) from error


def switch_scope(options: argparse.Namespace) -> None:
    """``moe-mlir scope``."""
    model = load(options.model).with_scope(
        options.scope, floor=options.floor, cap=options.cap, layers=options.layers
    )
    model.save(options.output)
    print(summary(model, options.output))


def run_model(options: argparse.Namespace) -> None:
    """``moe-mlir run``."""
    model = load(options.model)
    inputs = _read_inputs(model, options.input)
    results = model.signature.results
    if len(options.output) != len(results):
        raise MoEError(
            f"--output is given {len(options.output)} times, and the model has "
            f"{len(results)} results: {', '.join(map(str, results))}",
            where="--output",
        )
    compiled = _compile(model, options)
    values = compiled(**inputs)
    values = values if isinstance(values, tuple) else (values,)
    for path, value in zip(options.output, values, strict=True):
        with written_file(path) as stream:
            np.save(stream, value, allow_pickle=False)
        print(f"{path}: {value.dtype} {list(value.shape)}")


def _compile(
    model: Model, options: argparse.Namespace
) -> CompiledModel | CompiledGPUModel:
    """The model, compiled for the target of the command line."""
    given = {
        name: getattr(options, name)
        for name in ("threads", "cpu", "chip", "device", "cache")
        if getattr(options, name) is not None
    }
    compiled: CompiledModel | CompiledGPUModel = model.compile(options.target, **given)
    return compiled


def _read_inputs(model: Model, given: list[str]) -> dict[str, Array]:
    specs = {spec.name: spec for spec in model.signature.inputs}
    inputs: dict[str, Array] = {}
    for entry in given:
        name, equals, file = entry.partition("=")
        if not equals:
            raise MoEError(f"--input {entry}: must be NAME=FILE.npy", where="--input")
        if name in inputs:
            raise MoEError(f"--input {name} is given twice", where="--input")
        array = _read_array(Path(file))
        if name in specs and array.dtype.kind == "V":
            # NumPy stores the bits of bfloat16 and forgets their meaning.
            dtype = numpy_dtype(specs[name].dtype, name)
            if array.dtype.itemsize == dtype.itemsize:
                array = array.view(dtype)
        inputs[name] = array
    return inputs


def _read_array(path: Path) -> Array:
    try:
        return to_numpy(np.load(path, mmap_mode="r", allow_pickle=False), str(path))
    except OSError as error:
        raise MoEError(
            f"{path}: cannot be read: {error.strerror or error}", where=str(path)
        ) from error
    except (ValueError, EOFError) as error:
        raise MoEError(
            f"{path}: is not a whole .npy file: {error}", where=str(path)
        ) from error


def evaluate_model(options: argparse.Namespace) -> None:
    """``moe-mlir eval``."""
    scopes = [word.strip() for word in options.scope.split(",")]
    if "sequence" in scopes and "causal" not in scopes:
        scopes.append("causal")
    evaluations = evaluate(
        load(options.model),
        _read_array(options.tokens),
        mask=None if options.mask is None else _read_array(options.mask),
        scopes=scopes,
        threads=options.threads,
        batch=options.batch,
        cache=options.cache,
    )
    print(format_evaluations(evaluations))


def compile_model(options: argparse.Namespace) -> None:
    """``moe-mlir compile``."""
    output = options.output or Path(options.model.name + ENDINGS[options.emit])
    model = load(options.model)
    given = {name: getattr(options, name) for name in ("cpu", "chip", "cache")}
    for path in emit(model, options.emit, output, **given):
        print(f"{path}: {path.stat().st_size} bytes")


def show_model(options: argparse.Namespace) -> None:
    """``moe-mlir show``."""
    model = load(options.model)
    print(summary(model, options.model))
    if options.mlir:
        print(model.mlir)
    if options.picture:
        draw(model, options.picture)
        print(f"picture: {options.picture}")


def run_demo(options: argparse.Namespace) -> None:
    """``moe-mlir demo``."""
    from moe_mlir.demo import main

    main(options.arguments)
