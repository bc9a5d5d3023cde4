"""import_stablehlo: text, generic text, portable artifacts, and what is refused."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.export
import jax_layers as layers
import numpy as np
import pytest
from jax.interpreters.mlir import make_ir_context
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import stablehlo
from moe_mlir.importing import ImportRefused
from moe_mlir.jax.importer import import_jax, import_stablehlo
from test_jax_import import E, H, K, S, T, array, layer, params, parse, x


def lowered() -> Any:
    return jax.jit(layer).trace(params(), x()).lower(lowering_platforms=("cuda",))


def text_of(form: str) -> str | bytes:
    module = lowered().compiler_ir("stablehlo")
    if form == "pretty":
        return lowered().as_text()
    if form == "generic":
        return module.operation.get_asm(print_generic_op_form=True)
    if form == "bytes":
        return lowered().as_text().encode()
    exported = jax.export.export(jax.jit(layer), platforms=["cuda"])(params(), x())
    return exported.mlir_module_serialized


def body(text: str) -> str:
    """The text without what names the module and its arguments' roles."""
    text = re.sub(r"arg_attrs = \[.*?\}\], ", "", text)
    return re.sub(r'sym_name = "jit_\w+"', "", text)


@pytest.mark.parametrize("form", ["pretty", "generic", "bytes", "artifact"])
def test_all_forms_give_what_the_function_gives(form: str) -> None:
    imported = import_stablehlo(text_of(form))
    assert body(imported.text) == body(import_jax(layer, params(), x()).text)
    parse(imported.text)
    assert imported.report["frontend"] == "stablehlo"
    names = [entry["name"] for entry in imported.report["inputs"]]
    assert names == ["arg0", "arg1", "arg2", "arg3"]


def test_weights_are_named_on_request() -> None:
    router = array(H, E)
    imported = import_stablehlo(text_of("pretty"), weights={2: ("router", router)})
    assert imported.weights == {"router": router}
    assert 'moe.param = "router"' in imported.text
    assert [i["name"] for i in imported.report["inputs"]] == ["arg0", "arg1", "arg3"]
    with pytest.raises(ImportRefused, match="argument 9, but '@main' has 4"):
        import_stablehlo(text_of("pretty"), weights={9: ("router", router)})


def unmarked(form: str) -> str | bytes:
    """A layer of plain JAX: artifacts hold top_k and ragged_dot as composites."""
    function = jax.jit(layers.layer_of(layers.softmax_sum, layers.by_sort))
    args = (layers.params(), layers.x())
    lowered = function.trace(*args).lower(lowering_platforms=("cuda",))
    if form == "pretty":
        return lowered.as_text()
    if form == "generic":
        operation = lowered.compiler_ir("stablehlo").operation
        return operation.get_asm(print_generic_op_form=True)
    exported = jax.export.export(function, platforms=["cuda"])(*args)
    if form == "exported":
        return exported.mlir_module()
    return exported.mlir_module_serialized


@pytest.mark.parametrize("form", ["pretty", "generic", "exported", "artifact"])
def test_unmarked_layers_are_raised_from_all_forms(form: str) -> None:
    imported = import_stablehlo(unmarked(form))
    assert [e["status"] for e in imported.report["layers"]] == ["raised"]
    assert imported.report["markers"] == {"route": 1, "experts": 1}
    assert body(imported.text) == body(import_stablehlo(unmarked("pretty")).text)


@pytest.mark.parametrize("version", ["1.0.0", "1.9.3"])
def test_artifacts_of_older_producers_are_read(version: str) -> None:
    text = unmarked("exported")
    context = make_ir_context()
    module = ir.Module.parse(text, context=context)
    artifact = stablehlo.serialize_portable_artifact(module, version)
    imported = import_stablehlo(artifact)
    assert [e["status"] for e in imported.report["layers"]] == ["raised"]


def test_the_same_program_gives_the_same_bytes() -> None:
    first, second = (import_stablehlo(unmarked("pretty")) for _ in range(2))
    assert first.text == second.text and first.report == second.report


def test_custom_calls_are_refused_by_their_targets() -> None:
    program = """
    func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = stablehlo.custom_call @tpu_custom_call(%x)
        : (tensor<4xf32>) -> tensor<4xf32>
      %1 = stablehlo.custom_call @my_kernel(%0) : (tensor<4xf32>) -> tensor<4xf32>
      return %1 : tensor<4xf32>
    }"""
    message = r"'my_kernel', 'tpu_custom_call' \(2 of it, .*jax\.numpy form"
    with pytest.raises(ImportRefused, match=message):
        import_stablehlo(program)


def closing_over_weights() -> str:
    """The text of a layer whose weights are constants."""
    weights = jax.tree.map(lambda w: np.tile(w, 8), layers.params())
    weights["down"] = np.tile(weights["down"][..., : layers.H], (1, 8, 1))
    weights["router"] = weights["router"][:, : layers.E]
    layer = layers.layer_of(layers.softmax_sum, layers.by_one_hot)
    function = jax.jit(lambda x: layer(weights, x))
    text: str = function.trace(layers.x()).lower(lowering_platforms=("cuda",)).as_text()
    return text


def test_weights_as_constants_are_refused() -> None:
    with pytest.raises(ImportRefused, match=r"holds 3 constants.*tensor<.*arguments"):
        import_stablehlo(closing_over_weights())


def test_functions_that_call_each_other_are_refused() -> None:
    program = """
    func.func public @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = func.call @again(%x) : (tensor<4xf32>) -> tensor<4xf32>
      return %0 : tensor<4xf32>
    }
    func.func private @again(%x: tensor<4xf32>) -> tensor<4xf32> {
      %0 = func.call @again(%x) : (tensor<4xf32>) -> tensor<4xf32>
      return %0 : tensor<4xf32>
    }"""
    with pytest.raises(ImportRefused, match="call each other without an end"):
        import_stablehlo(program)


def composite(name: str, version: int, attributes: str) -> str:
    return f"""
    func.func public @main(%x: tensor<{S}x{T}x{E}xf32>) -> tensor<4xf32> {{
      %y = stablehlo.composite "{name}" %x {{{attributes}
        decomposition = @body, version = {version} : i32
      }} : (tensor<{S}x{T}x{E}xf32>) -> tensor<4xf32>
      return %y : tensor<4xf32>
    }}
    func.func private @body(%x: tensor<{S}x{T}x{E}xf32>) -> tensor<4xf32> {{
      %c = stablehlo.constant dense<0.0> : tensor<4xf32>
      return %c : tensor<4xf32>
    }}"""


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("hello", "not a StableHLO program"),
        (b"\xff\xfe\x00", "not a StableHLO program"),
        (b"ML\xefR broken", "not a StableHLO program"),
        ("module {}", "no function '@main'; it has none"),
        (
            "func.func @other() { return }",
            "no function '@main'; it has other",
        ),
        ("func.func public @main() { return }", "has no MoE layer"),
        (composite("moe.gate", 1, ""), r"unknown operation 'moe\.gate'"),
        (composite("moe.route", 2, ""), r"'moe\.route' has version 2"),
        (
            composite("moe.route", 1, "composite_attributes = {k = 2 : i64},"),
            "lacks the attribute 'operands'",
        ),
    ],
)
def test_malformed_programs_are_refused(program: str | bytes, message: str) -> None:
    with pytest.raises(ImportRefused, match=message):
        import_stablehlo(program)


def test_k_is_in_the_marker() -> None:
    assert f"k = {K} : i64" in import_stablehlo(text_of("pretty")).text
