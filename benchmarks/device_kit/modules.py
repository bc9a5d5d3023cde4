"""MLIR of what a kit executes: routings, grouped matmuls, rows, whole layers."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from moe_mlir.routing import route_module

#: Of `moe.route`, where a case says nothing else.
ROUTE_DEFAULTS: dict[str, Any] = {
    "scope": "token",
    "score": "softmax",
    "normalize": "none",
    "scale": 1.0,
    "eps": 0.0,
    "norm_min": 0.0,
    "n_group": 1,
    "topk_group": 1,
    "group_score": "max",
    "floor": 0,
    "cap": None,
    "rank_logits": False,
}
SILU = """
    %one = arith.constant 1.0 : f32
    %minus = arith.negf %o0 : f32
    %exp = math.exp %minus : f32
    %divisor = arith.addf %one, %exp : f32
    %silu = arith.divf %o0, %divisor : f32
    %v = arith.mulf %silu, %o1 : f32"""


def any_route(experts: int, chosen: int, **options: Any) -> str:
    """``@main(logits, valid)`` for any S and T: the plan's fields and the gates."""
    return route_module(
        ROUTE_DEFAULTS | {"k": chosen} | options, "f32", experts, False, True
    )


def route(
    sequences: int,
    tokens: int,
    experts: int,
    chosen: int,
    dtype: str = "f32",
    bias: bool = False,
    valid: bool = False,
    schedule: str = "",
    **options: Any,
) -> str:
    """``@main(logits, [bias], [valid])``: the plan's fields and the gates.

    Where each token has K rows, `token_offsets` is known before the launch, and no
    kernel writes it: it is left out.
    """
    options = ROUTE_DEFAULTS | {"k": chosen} | options
    text = route_module(options, dtype, experts, bias, valid)
    if (options["scope"] == "token" or tokens == 1) and not valid:
        text = re.sub(r"  %token_offsets = .*\n", "", text)
        text = text.replace("%token_offsets, ", "").replace("tensor<?x?xi32>, ", "")
    if schedule:
        text = text.replace("{scale =", f"{{schedule = {schedule}, scale =", 1)
    rows = sequences * tokens * chosen
    for unknown, known in (
        (f"?x?x{experts}", f"{sequences}x{tokens}x{experts}"),
        ("rows = ?", f"rows = {rows}"),
        ("rows max ?", f"rows max {rows}"),
        ("?x?xi32", f"{sequences}x{tokens + 1}xi32"),
        ("?x?xi1", f"{sequences}x{tokens}xi1"),
        ("tensor<?x", f"tensor<{rows}x"),
    ):
        text = text.replace(unknown, known)
    return text


def plan_from_choice(
    tokens: int, experts: int, chosen: int, ids: str, weights: str
) -> str:
    """``@main(ids, weights)`` of these element types: the plan's fields and gates."""
    rows = tokens * chosen
    given = [tensor((1, tokens, chosen), dtype) for dtype in (ids, weights)]
    plan = f"!moe.plan<1x{tokens}x{experts}, rows max {rows}>"
    fields = {
        "expert_offsets": tensor((experts + 1,), "i32"),
        "row_token": tensor((rows,), "i32"),
        "token_offsets": tensor((1, tokens + 1), "i32"),
        "token_row": tensor((rows,), "i32"),
    }
    reads = "".join(
        f"  %{name} = moe.plan_field %p {name} : {plan}\n" for name in fields
    )
    types = ", ".join([*fields.values(), tensor((rows,), weights)])
    names = ", ".join(f"%{name}" for name in fields)
    return f"""
func.func @main(%ids: {given[0]}, %w: {given[1]}) -> ({types}) {{
  %p, %g = moe.plan_from_choice %ids, %w experts {experts} : {", ".join(given)}
{reads}  return {names}, %g : {types}
}}"""


@dataclasses.dataclass(frozen=True)
class Matmul:
    """One grouped matmul of rows of R tokens with a form, if one is given.

    Attributes:
        depth: K.
        columns: N, of the result.
        weights: "one", "two", "concat" or "interleaved".
        layout: "nk" or "kn".
        out: Element type of the result.
        extras: Kinds of extra operands: rows multiply, others are added.
        form: The text of a #moe.gpu_matmul_form, or "".
    """

    tokens: int
    rows: int
    experts: int
    depth: int
    columns: int
    dtype: str = "bf16"
    weights: str = "one"
    layout: str = "nk"
    gather: bool = True
    silu: bool = False
    out: str = ""
    extras: tuple[str, ...] = ()
    form: str = ""
    chip: str = "sm_80"

    @property
    def result(self) -> str:
        return self.out or self.dtype

    @property
    def weight_shape(self) -> tuple[int, int, int]:
        columns = self.columns * (1 if self.weights in ("one", "two") else 2)
        sides = (columns, self.depth)
        return (self.experts, *(sides if self.layout == "nk" else sides[::-1]))

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1, self.tokens, self.depth) if self.gather else (self.rows, self.depth)

    def extra_shape(self, kind: str) -> tuple[int, ...]:
        return {
            "row": (self.rows,),
            "column": (self.experts, self.columns),
            "element": (self.rows, self.columns),
        }[kind]

    def _epilogue(self) -> str:
        outputs = ["%o0: f32"] + ["%o1: f32"] * (self.weights != "one")
        names = [f"%a{i}: f32" for i in range(len(self.extras))]
        lines = [f"\n  ^bb0({', '.join(outputs + names)}):"]
        value = "%o0"
        if self.weights != "one":
            lines.append(SILU if self.silu else "    %v = arith.addf %o0, %o1 : f32")
            value = "%v"
        for i, kind in enumerate(self.extras):
            op = "mulf" if kind == "row" else "addf"
            lines.append(f"    %s{i} = arith.{op} {value}, %a{i} : f32")
            value = f"%s{i}"
        if self.result != "f32":
            lines.append(f"    %r = arith.truncf {value} : f32 to {self.result}")
            value = "%r"
        return "\n".join([*lines, f"    moe.yield {value} : {self.result}"])

    def text(self) -> str:
        """``@main(x, expert_offsets, [row_token], weights, extras)``."""
        offsets, tokens = (
            tensor((self.experts + 1,), "i32"),
            tensor((self.rows,), "i32"),
        )
        x = tensor(self.input_shape, self.dtype)
        weight = tensor(self.weight_shape, self.dtype)
        out = tensor((self.rows, self.columns), self.result)
        count = 2 if self.weights == "two" else 1
        extras = [tensor(self.extra_shape(kind), "f32") for kind in self.extras]
        arguments = [f"%x: {x}", f"%eo: {offsets}"]
        arguments += [f"%rt: {tokens}"] * self.gather
        arguments += [f"%w{i}: {weight}" for i in range(count)]
        arguments += [f"%e{i}: {kind}" for i, kind in enumerate(extras)]
        weights = ", ".join(f"%w{i}" for i in range(count))
        clauses = [f"layout = {self.layout}"]
        if self.weights in ("concat", "interleaved"):
            clauses.append(f"arrangement = {self.weights}")
        if extras:
            kinds = ", ".join(f"#moe<extra {kind}>" for kind in self.extras)
            names = ", ".join(f"%e{i}" for i in range(len(extras)))
            clauses.append(f"extras [{kinds}]({names} : {', '.join(extras)})")
        if self.form:
            schedule = f"#moe.gpu_matmul<chip = {self.chip}, forms = [{self.form}]>"
            clauses.append(f"{{schedule = {schedule}}}")
        gather = f"tokens(%rt : {tokens})" if self.gather else ""
        return f"""
func.func @main({", ".join(arguments)}) -> {out} {{
  %init = tensor.empty() : {out}
  %y = moe.idx.grouped_matmul ins(%x, %eo : {x}, {offsets}) {gather}
      weights({weights} : {", ".join([weight] * count)}) {" ".join(clauses)}
      outs(%init : {out}) -> {out} {{{self._epilogue()}
  }}
  return %y : {out}
}}"""


def tensor(shape: tuple[int | str, ...], dtype: str) -> str:
    """The type of a tensor; an unknown size is "?"."""
    return f"tensor<{'x'.join(map(str, (*shape, dtype)))}>"


def combine(tokens: int, rows: int, columns: int, dtype: str, gated: bool) -> str:
    """``@main(rows, token_offsets, token_row, [gates])``."""
    given, out = tensor((rows, columns), dtype), tensor((1, tokens, columns), dtype)
    offsets, order = tensor((1, tokens + 1), "i32"), tensor((rows,), "i32")
    gates = tensor((rows,), "f32")
    return f"""
func.func @main(%r: {given}, %to: {offsets}, %tr: {order}
                {f", %g: {gates}" if gated else ""}) -> {out} {{
  %init = tensor.empty() : {out}
  %y = moe.idx.combine ins(%r, %to, %tr : {given}, {offsets}, {order})
      {f"gates(%g : {gates})" if gated else ""} outs(%init : {out}) -> {out}
  return %y : {out}
}}"""


def dispatch(tokens: int, rows: int, columns: int, experts: int, dtype: str) -> str:
    """``@main(x, expert_offsets, row_token)``."""
    x, out = tensor((1, tokens, columns), dtype), tensor((rows, columns), dtype)
    offsets, order = tensor((experts + 1,), "i32"), tensor((rows,), "i32")
    return f"""
func.func @main(%x: {x}, %eo: {offsets}, %rt: {order}) -> {out} {{
  %init = tensor.empty() : {out}
  %y = moe.idx.dispatch ins(%x, %eo, %rt : {x}, {offsets}, {order})
      outs(%init : {out}) -> {out}
  return %y : {out}
}}"""


def elementwise(rows: int, columns: int, dtype: str) -> str:
    """``@main(x, scale)``: x transposed, times a number of each row, plus itself."""
    x, out = tensor((rows, columns), dtype), tensor((columns, rows), dtype)
    scale = tensor((rows,), dtype)
    return f"""
func.func @main(%x: {x}, %s: {scale}) -> {out} {{
  %init = tensor.empty() : {out}
  %y = linalg.generic {{
      indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (j)>,
                       affine_map<(i, j) -> (i, j)>],
      iterator_types = ["parallel", "parallel"]}}
      ins(%x, %s : {x}, {scale}) outs(%init : {out}) {{
  ^bb0(%p: {dtype}, %q: {dtype}, %o: {dtype}):
    %0 = arith.mulf %p, %q : {dtype}
    %1 = arith.addf %0, %p : {dtype}
    linalg.yield %1 : {dtype}
  }} -> {out}
  return %y : {out}
}}"""
