"""Importing and compiling: how long, how large, and whether weights are copied.

usage: python benchmarks/bench_import.py
"""

import pathlib
import subprocess
import sys
import tempfile

import moe_mlir as moe
import torch
from bars import Bars
from olmoe import make_block
from timing import seconds

SOURCE = pathlib.Path(__file__).resolve().parent.parent


def moe_opt() -> str:
    """The tool of the build that this package is from."""
    build = pathlib.Path(moe.__file__).parent.parent.parent
    return str(build / "bin" / "moe-opt")


def best(times: list[float]) -> float:
    """Start-up is bounded from below; what is above is other programs."""
    return min(times)


def bench_import(bars: Bars) -> None:
    small = make_block(torch.float32, hidden=64, inner=32)
    moe.from_torch(small, (torch.zeros(2, 8, 64),))  # the frameworks' own start-up
    block = make_block(torch.float32, hidden=2048, inner=1024)
    models = []
    taken = seconds(
        lambda: models.append(moe.from_torch(block, (torch.zeros(2, 8, 2048),)))
    )
    (model,) = models
    bars.below("import of E64 H2048 I1024", 3, taken, " s")
    bars.below("its IR", 100, len(model.mlir.encode()) / 1000, " kB")
    parameters = {p.data_ptr() for p in block.parameters()}
    copied = sum(w.data_ptr() not in parameters for w in model.weights.values())
    bars.at_most("weights copied by the import", 0, copied)


def bench_first_result(bars: Bars) -> None:
    """In a process of its own, from the start of Python."""
    program = (
        "import torch, moe_mlir as moe\n"
        "from olmoe import make_block\n"
        "block = make_block(torch.float32)\n"
        "model = moe.from_torch(block, (torch.zeros(2, 8, 1024),))\n"
        "print(model.compile()(torch.randn(1, 128, 1024)).shape)\n"
    )
    taken = seconds(
        lambda: subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            cwd=SOURCE / "benchmarks",
            stdout=subprocess.DEVNULL,
        )
    )
    bars.below("import to first result, Python's start included", 20, taken, " s")


def bench_whole_model(bars: Bars) -> None:
    """OLMoE at its config's default sizes; its weights are never filled."""
    program = (
        "import time, sys, resource, torch, transformers, moe_mlir\n"
        "from moe_mlir.cpu import lower\n"
        "from moe_mlir.torch.pretrained import make_unfilled\n"
        "config = transformers.OlmoeConfig(pad_token_id=None)\n"
        "start = time.perf_counter()\n"
        "model = make_unfilled(config, getattr(torch, sys.argv[1]))\n"
        "ours = moe_mlir.from_causal_lm(model)\n"
        "done = time.perf_counter()\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20\n"
        "lower(ours._module, 'host').machine_code()\n"
        "print(done - start, peak, time.perf_counter() - done)\n"
    )
    for dtype in ("float32", "bfloat16"):
        output = subprocess.run(
            [sys.executable, "-c", program, dtype],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout
        seconds_taken, peak, compiled = map(float, output.split()[-3:])
        what = f"OLMoE, 16 layers, {dtype}"
        bars.below(f"import of {what}", 60, seconds_taken, " s")
        bars.below("its peak of memory", 3, peak, " GiB")
        bars.note(f"machine code of {what}: {compiled:.1f} s")


def bench_tools(bars: Bars) -> None:
    tool = moe_opt()
    start = best(
        [
            seconds(
                lambda: subprocess.run(
                    [tool], input=b"module {}", check=True, capture_output=True
                )
            )
            for _ in range(7)
        ]
    )
    bars.below("moe-opt, start-up", 0.2, start, " s")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "deep.mlir")
        path.write_text(deep_module(48))
        command = [tool, "--moe-cpu-pipeline", str(path), "-o", f"{folder}/out.mlir"]
        taken = best(
            [seconds(lambda: subprocess.run(command, check=True)) for _ in range(3)]
        )
    bars.below("moe-cpu-pipeline on 48 layers", 5, taken, " s")


def deep_module(layers: int) -> str:
    """Layers of E = 64, K = 8, H = 1024, I = 512 in a row, with a residual sum."""
    x, plan = "tensor<?x?x1024xf32>", "!moe.plan<?x?x64, rows = ?>"
    up, down = "tensor<64x1024x1024xf32>", "tensor<64x1024x512xf32>"
    arguments = ", ".join(
        f'%g{i}: tensor<64x1024xf32> {{moe.param = "g{i}"}}, '
        f'%u{i}: {up} {{moe.param = "u{i}"}}, %d{i}: {down} {{moe.param = "d{i}"}}'
        for i in range(layers)
    )
    body = "".join(_deep_layer(i, x, plan, up, down) for i in range(layers))
    return (
        "#x = affine_map<(s, t, e, h) -> (s, t, h)>\n"
        "#g = affine_map<(s, t, e, h) -> (e, h)>\n"
        "#z = affine_map<(s, t, e, h) -> (s, t, e)>\n"
        f"func.func @main(%x0: {x}, {arguments}) -> {x} {{\n"
        "  %c0 = arith.constant 0 : index\n  %c1 = arith.constant 1 : index\n"
        "  %zero = arith.constant 0.0 : f32\n"
        f"  %s = tensor.dim %x0, %c0 : {x}\n  %t = tensor.dim %x0, %c1 : {x}\n"
        f"{body}  return %x{layers} : {x}\n}}\n"
    )


def _deep_layer(i: int, x: str, plan: str, up: str, down: str) -> str:
    return f"""
  %e{i} = tensor.empty(%s, %t) : tensor<?x?x64xf32>
  %f{i} = linalg.fill ins(%zero : f32) outs(%e{i} : tensor<?x?x64xf32>)
      -> tensor<?x?x64xf32>
  %z{i} = linalg.generic {{indexing_maps = [#x, #g, #z],
      iterator_types = ["parallel", "parallel", "parallel", "reduction"]}}
      ins(%x{i}, %g{i} : {x}, tensor<64x1024xf32>)
      outs(%f{i} : tensor<?x?x64xf32>) {{
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.addf %c, %p : f32
    linalg.yield %q : f32
  }} -> tensor<?x?x64xf32>
  %p{i}, %w{i} = moe.route %z{i} top 8 scope = sequence score = softmax
      normalize = none {{layer = "layers.{i}"}} : tensor<?x?x64xf32>
  %r{i} = moe.grouped_matmul %x{i} by %p{i} weights(%u{i} : {up}) layout = nk
      arrangement = concat : {x}, {plan} -> tensor<?x512xf32> {{
  ^bb0(%gate: f32, %u: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %gate : f32
    %ex = math.exp %n : f32
    %den = arith.addf %one, %ex : f32
    %sig = arith.divf %gate, %den : f32
    %h = arith.mulf %sig, %u : f32
    moe.yield %h : f32
  }}
  %y{i} = moe.grouped_matmul %r{i} by %p{i} weights(%d{i} : {down}) layout = nk
      : tensor<?x512xf32>, {plan} -> tensor<?x1024xf32> {{
  ^bb0(%v: f32):
    moe.yield %v : f32
  }}
  %m{i} = moe.combine %y{i} by %p{i} gates(%w{i} : tensor<?xf32>)
      : tensor<?x1024xf32>, {plan}
  %x{i + 1} = linalg.add ins(%x{i}, %m{i} : {x}, {x}) outs(%x{i} : {x}) -> {x}
"""


if __name__ == "__main__":
    bars = Bars("import and compilation")
    bench_import(bars)
    bench_first_result(bars)
    bench_whole_model(bars)
    bench_tools(bars)
    bars.exit()
