"""MLIR of whole layers, from the logits or from a plan on."""

from __future__ import annotations

import dataclasses

from device_kit.modules import SILU, tensor


@dataclasses.dataclass(frozen=True)
class Shape:
    """A layer of one sequence: T tokens, E experts, K per token, sizes H and I."""

    tokens: int
    experts: int
    chosen: int
    hidden: int
    intermediate: int

    @property
    def rows(self) -> int:
        return self.tokens * self.chosen

    @property
    def name(self) -> str:
        return f"E{self.experts}-K{self.chosen}-H{self.hidden}-I{self.intermediate}"


def layer(shape: Shape, dtype: str, scope: str, sequences: int | None = 1) -> str:
    """``@main(x, logits, gate_up, down)``: a gated layer with SiLU, for any number of
    sequences and tokens where `sequences` is None."""
    e, h, inner = shape.experts, shape.hidden, shape.intermediate
    s, t, rows = (
        ("?", "?", "?")
        if sequences is None
        else (sequences, shape.tokens, sequences * shape.rows)
    )
    x, logits = tensor((s, t, h), dtype), tensor((s, t, e), "f32")
    gate_up, down = tensor((e, 2 * inner, h), dtype), tensor((e, h, inner), dtype)
    narrow, wide = tensor((rows, inner), dtype), tensor((rows, h), dtype)
    plan, gates = f"!moe.plan<{s}x{t}x{e}, rows = {rows}>", tensor((rows,), "f32")
    return f"""
func.func @main(%x: {x}, %logits: {logits}, %gu: {gate_up}, %d: {down}) -> {x} {{
  %p, %g = moe.route %logits top {shape.chosen} scope = {scope} score = softmax
      normalize = sum : {logits}
  %r = moe.dispatch %x by %p : {x}, {plan}
  %h = moe.grouped_matmul %r by %p weights(%gu : {gate_up}) layout = nk
      arrangement = concat : {wide}, {plan} -> {narrow} {{
  ^bb0(%o0: f32, %o1: f32):{SILU}
    %t = arith.truncf %v : f32 to {dtype}
    moe.yield %t : {dtype}
  }}
  %o = moe.grouped_matmul %h by %p weights(%d : {down}) layout = nk
      : {narrow}, {plan} -> {wide} {{
  ^bb0(%sum: f32):
    %t = arith.truncf %sum : f32 to {dtype}
    moe.yield %t : {dtype}
  }}
  %y = moe.combine %o by %p gates(%g : {gates}) : {wide}, {plan}
  return %y : {x}
}}"""


def after_routing(shape: Shape, dtype: str) -> str:
    """The same from a plan on: ``@main(x, expert_offsets, row_token, token_offsets,
    token_row, gates, gate_up, down)``, one sequence."""
    t, e, h, inner, rows = (
        shape.tokens, shape.experts, shape.hidden, shape.intermediate, shape.rows,
    )  # fmt: skip
    x = tensor((1, t, h), dtype)
    offsets, order = tensor((e + 1,), "i32"), tensor((rows,), "i32")
    starts, gates = tensor((1, t + 1), "i32"), tensor((rows,), "f32")
    gate_up, down = tensor((e, 2 * inner, h), dtype), tensor((e, h, inner), dtype)
    narrow, wide = tensor((rows, inner), dtype), tensor((rows, h), dtype)
    return f"""
func.func @main(%x: {x}, %eo: {offsets}, %rt: {order}, %to: {starts}, %tr: {order},
                %g: {gates}, %gu: {gate_up}, %d: {down}) -> {x} {{
  %hi = tensor.empty() : {narrow}
  %h = moe.idx.grouped_matmul ins(%x, %eo : {x}, {offsets}) tokens(%rt : {order})
      weights(%gu : {gate_up}) layout = nk arrangement = concat
      outs(%hi : {narrow}) -> {narrow} {{
  ^bb0(%o0: f32, %o1: f32):{SILU}
    %r = arith.truncf %v : f32 to {dtype}
    moe.yield %r : {dtype}
  }}
  %oi = tensor.empty() : {wide}
  %o = moe.idx.grouped_matmul ins(%h, %eo : {narrow}, {offsets})
      weights(%d : {down}) layout = nk outs(%oi : {wide}) -> {wide} {{
  ^bb0(%sum: f32):
    %r = arith.truncf %sum : f32 to {dtype}
    moe.yield %r : {dtype}
  }}
  %yi = tensor.empty() : {x}
  %y = moe.idx.combine ins(%o, %to, %tr : {wide}, {starts}, {order})
      gates(%g : {gates}) outs(%yi : {x}) -> {x}
  return %y : {x}
}}"""
