"""What a call would launch, written down without a launch."""

from __future__ import annotations

import moe_mlir as moe
import pytest
from host_layers import chain_module
from moe_mlir import _moe, gpu
from moe_mlir.gpu_launches import Place, parameter_bytes, record


def lowered(links: int) -> gpu.LoweredGPU:
    module = _moe.Module.parse(chain_module("float32", 96, links))
    return gpu.lower_gpu(module, gpu.check_chip("sm_80"))


def shapes(sequences: int, tokens: int) -> list[tuple[int, ...]]:
    rows = sequences * tokens
    return [(rows, 96), (sequences, tokens + 1), (rows,), (rows,)]


def test_launches_of_a_chain() -> None:
    """Two combines: the first one writes what the second one reads."""
    made = record(lowered(2), shapes(2, 5))
    first, second = made.launches
    assert [first.grid, second.grid] == [(10, 1, 1)] * 2
    rows, offsets, order, gates = (Place("argument", i, 0) for i in range(4))
    between, result = Place("arena", 0, 0), Place("result", 0, 0)
    assert first.arguments == (rows, offsets, order, between, 5, 9, gates)
    assert second.arguments == (between, offsets, order, result, 5, 9, gates)
    assert made.memory == {("arena", 0): 3840, ("result", 0): 3840}
    assert made.results == ((result, (2, 5, 96)),)


def test_nothing_is_launched_without_tokens() -> None:
    made = record(lowered(1), shapes(2, 0))
    assert made.launches == ()
    assert made.results == ((Place("result", 0, 0), (2, 0, 96)),)


def test_kept_memory_and_cooperative_launches() -> None:
    text = """
    func.func @main(%l: tensor<2x9x24xf32>) -> tensor<25xi32> {
      %p, %g = moe.route %l top 2 scope = sequence score = softmax normalize = none
          : tensor<2x9x24xf32>
      %o = moe.plan_field %p expert_offsets : !moe.plan<2x9x24, rows = 36>
      return %o : tensor<25xi32>
    }"""
    made = record(
        gpu.lower_gpu(_moe.Module.parse(text), gpu.check_chip("sm_80")), [(2, 9, 24)]
    )
    (launch,) = made.launches
    assert launch.cooperative and launch.kernel == "route"
    assert Place("kept", 0, 0) in launch.arguments
    assert made.memory["kept", 0] > 0
    # The fields that nobody asked for: two of rows, one of tokens, and the gates.
    places = [x for x in launch.arguments if isinstance(x, Place)]
    offsets = sorted(place.offset for place in places if place.space == "arena")
    assert offsets == [0, 256, 512, 768]


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        ("other", shapes(1, 2), "no public function @other; there are @main"),
        ("main", shapes(1, 2)[:3], "shapes are .* and the function takes"),
        ("main", [(2, 95), (1, 3), (2,), (2,)], r"\[\[2, 95\].*\[None, 96\]"),
    ],
)
def test_refused(function: str, given: list[tuple[int, ...]], message: str) -> None:
    with pytest.raises(moe.MoEError, match=message):
        record(lowered(1), given, function)


def test_parameters_of_kernels() -> None:
    text = """
.visible .entry first(
  .param .u64 .ptr .global .align 1 first_param_0,
  .param .u32 first_param_1
)
.entry second()"""
    assert parameter_bytes(text) == {"first": [8, 4], "second": []}
