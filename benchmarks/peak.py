"""The arithmetic peak of one core, measured by loops that do nothing else."""

import dataclasses
import functools

import numpy as np
from moe_mlir import _moe
from timing import cpu_clock, seconds

#: Multiplications in flight: two units with a latency of four cycles or more.
CHAINS = 24

LOWER = (
    "convert-scf-to-cf,convert-vector-to-llvm{enable-x86vector},"
    "finalize-memref-to-llvm,convert-to-llvm,reconcile-unrealized-casts"
)


@dataclasses.dataclass(frozen=True)
class Peak:
    """A loop at the peak; `operations` are those of one step of all chains."""

    code: _moe.Executable
    operations: int

    def rate(self, steps: int = 5_000_000) -> float:
        """GFLOP/s of one run (some hundredths of a second)."""
        count = np.array([steps], np.int64)
        results = [(np.dtype(np.float32), 1)]
        call = functools.partial(self.code.call, "peak", [count], results)
        elapsed = seconds(call, cpu_clock)
        return self.operations * steps / elapsed / 1e9


def _chain(step: str, lanes: int, operands: str) -> str:
    vector = f"vector<{lanes}xf32>"
    names = [f"%a{i}" for i in range(CHAINS)]
    starts = ", ".join(f"{name} = %start" for name in names)
    types = ", ".join([vector] * CHAINS)
    body = "\n".join(f"      %b{i} = {step.format(acc=n)}" for i, n in enumerate(names))
    ends = ", ".join(f"%b{i}" for i in range(CHAINS))
    sums = "\n".join(
        f"    %s{i + 1} = arith.addf %s{i}, %r#{i} : {vector}" for i in range(CHAINS)
    )
    return f"""
func.func @peak(%count: memref<1xindex>) -> memref<{lanes}xf32>
    attributes {{llvm.emit_c_interface}} {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = memref.load %count[%c0] : memref<1xindex>
  %start = arith.constant dense<1.0> : {vector}
{operands}
  %r:{CHAINS} = scf.for %i = %c0 to %n step %c1 iter_args({starts}) -> ({types}) {{
{body}
      scf.yield {ends} : {types}
  }}
    %s0 = arith.constant dense<0.0> : {vector}
{sums}
  %m = memref.alloc() : memref<{lanes}xf32>
  vector.store %s{CHAINS}, %m[%c0] : memref<{lanes}xf32>, {vector}
  return %m : memref<{lanes}xf32>
}}
"""


def _features() -> set[str]:
    return set(_moe.check_cpu("host")[1].split(","))


def _load(text: str, operations: int) -> Peak:
    module = _moe.Module.parse(text, "peak.mlir")
    module.run(LOWER)
    return Peak(_moe.Executable(module.object()), operations)


def peak_f32() -> Peak:
    """Fused multiply-adds on the widest f32 vectors of this machine."""
    features = _features()
    lanes = 16 if "+avx512f" in features else 8 if "+avx2" in features else 4
    vector = f"vector<{lanes}xf32>"
    operands = (
        f"  %x = arith.constant dense<0.9999> : {vector}\n"
        f"  %y = arith.constant dense<0.0001> : {vector}"
    )
    if "+fma" in features:
        step = f"vector.fma %x, {{acc}}, %y : {vector}"
        return _load(_chain(step, lanes, operands), 2 * lanes * CHAINS)
    step = f"arith.mulf %x, {{acc}} : {vector}"
    return _load(_chain(step, lanes, operands), lanes * CHAINS)


def peak_bf16() -> Peak:
    """Dot products of pairs of bf16, where there are any; else `peak_f32`."""
    if "+avx512bf16" not in _features():
        return peak_f32()
    operands = "  %x = arith.constant dense<0.001> : vector<32xbf16>"
    step = "x86vector.avx512.dot {acc}, %x, %x : vector<32xbf16> -> vector<16xf32>"
    return _load(_chain(step, 16, operands), 4 * 16 * CHAINS)
