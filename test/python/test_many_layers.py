"""A module of many equal layers: what it costs to compile, and what is shared."""

import pathlib
import subprocess
import time

import pytest

X = "tensor<?x?x32xf32>"
PLAN = "!moe.plan<?x?x8, rows = ?>"


def layer(i: int) -> str:
    """Layer i: from %x{i} and %l{i} to %x{i+1}."""
    return f"""
  %p{i}, %g{i} = moe.route %l{i} top 2 scope = sequence score = softmax
      normalize = none {{layer = "layers.{i}"}} : tensor<?x?x8xf32>
  %h{i} = moe.grouped_matmul %x{i} by %p{i} weights(%u{i} : tensor<8x128x32xf32>)
      layout = nk arrangement = concat : {X}, {PLAN} -> tensor<?x64xf32> {{
  ^bb0(%gate: f32, %up: f32):
    %v = arith.mulf %gate, %up : f32
    moe.yield %v : f32
  }}
  %d{i} = moe.grouped_matmul %h{i} by %p{i} weights(%w{i} : tensor<8x32x64xf32>)
      layout = nk : tensor<?x64xf32>, {PLAN} -> tensor<?x32xf32> {{
  ^bb0(%sum: f32):
    moe.yield %sum : f32
  }}
  %x{i + 1} = moe.combine %d{i} by %p{i} gates(%g{i} : tensor<?xf32>)
      : tensor<?x32xf32>, {PLAN}
"""


def module(layers: int) -> str:
    """`layers` layers in a row, each with weights of its own."""
    arguments = ", ".join(
        f"%l{i}: tensor<?x?x8xf32>, "
        f'%u{i}: tensor<8x128x32xf32> {{moe.param = "u{i}"}}, '
        f'%w{i}: tensor<8x32x64xf32> {{moe.param = "w{i}"}}'
        for i in range(layers)
    )
    body = "".join(layer(i) for i in range(layers))
    return (
        f"func.func @main(%x0: {X}, {arguments}) -> {X} {{"
        f"{body}  return %x{layers} : {X}\n}}\n"
    )


def run(build: pathlib.Path, text: str, pipeline: str) -> str:
    """What moe-opt makes of a module."""
    tool = build / "bin" / "moe-opt"
    command = [str(tool), pipeline]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_equal_layers_share_their_code(build_root: pathlib.Path) -> None:
    def functions(layers: int) -> int:
        lowered = run(build_root, module(layers), "--moe-cpu-pipeline")
        return lowered.count("llvm.func @moe_")

    one = functions(1)
    assert one > 0
    assert functions(3) == one


def test_every_weight_is_packed_once_by_its_own_function(
    build_root: pathlib.Path,
) -> None:
    lowered = run(build_root, module(3), "--moe-cpu-tensor-pipeline")
    assert lowered.count("func.func @main.pack.") == 6
    main = lowered[: lowered.index("func.func @main.pack.0")]
    assert "moe.idx.pack " not in main
    assert main.count("packed weights") == 6


@pytest.mark.parametrize(("layers", "seconds"), [(48, 5.0)])
def test_many_layers_compile_in_time(
    build_root: pathlib.Path, layers: int, seconds: float
) -> None:
    text = module(layers)
    begin = time.perf_counter()
    run(build_root, text, "--moe-cpu-pipeline")
    assert time.perf_counter() - begin < seconds
