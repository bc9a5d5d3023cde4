"""Instruction forms and the kernel that runs one of them.

The body of a form names its inputs a b c d and its outputs x y z w: untyped registers
of the type's width; `pred` is a predicate, kept in memory as a byte 0 or 1. Free
registers are p q r (predicates), h0-h3 (.b16), t0-t7 (.b32) and l0-l3 (.b64). `gm` is
the address of 64 bytes of global memory of the thread, `sm` 4 KiB of shared memory of
the block, `sa` is sm + 64 * lane. A block is one warp; thread i handles element i.
"""

import dataclasses
import re

HEADER = ".version 8.7\n.target sm_90a\n.address_size 64\n"

# Bytes of one element.
SIZE = {"s8": 1, "u8": 1, "pred": 1}
SIZE |= dict.fromkeys(("s16", "u16", "b16", "f16", "bf16", "e4m3x2", "e5m2x2"), 2)
SIZE |= dict.fromkeys(("s32", "u32", "b32", "f32"), 4)
SIZE |= dict.fromkeys(("f16x2", "bf16x2", "s16x2", "u16x2"), 4)
SIZE |= dict.fromkeys(("s64", "u64", "b64", "f64"), 8)
# 32-bit inputs whose values were chosen for a purpose: shift amounts, field lengths,
# byte selectors, offsets, lanes, shuffle bounds, source sizes, keys to match, masks.
PURPOSES = ("sh", "len", "sel", "off", "lane", "shc", "srcsz", "key", "smallm")
SIZE |= dict.fromkeys(PURPOSES, 4)


@dataclasses.dataclass(frozen=True)
class Form:
    """One instruction (or a few) between inputs and outputs."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    body: str
    group: str
    sm: int
    count: int
    approximate: bool


class FormTable(dict[str, Form]):
    """Forms by name. `group` is given to those that are added."""

    group = ""

    def add(
        self,
        name: str,
        inputs: str,
        outputs: str,
        body: str,
        *,
        sm: int = 80,
        n: int = 1024,
        approximate: bool = False,
    ) -> None:
        """Adds a form; the types are separated by blanks, `n` counts elements."""
        assert name not in self, name
        types = tuple(inputs.split()), tuple(outputs.split())
        self[name] = Form(name, *types, body, self.group, sm, n, approximate)

    def op(
        self,
        opcode: str,
        inputs: str,
        output: str,
        *,
        sm: int = 80,
        n: int = 1024,
        approximate: bool = False,
    ) -> None:
        """Adds the form `opcode x, a, b, ...;`, named by the opcode."""
        sources = ", ".join("abcd"[: len(inputs.split())])
        body = f"{opcode} x, {sources};"
        self.add(opcode, inputs, output, body, sm=sm, n=n, approximate=approximate)


def register(type_name: str) -> str:
    """The register class of an output or of an input that is no predicate."""
    return f"b{8 * SIZE[type_name]}"


def load_input(index: int, type_name: str) -> str:
    """Loads input `index` of the thread to a, b, c or d."""
    name, size = "abcd"[index], SIZE[type_name]
    address = f"mad.lo.u64 in{index}, gtid_, {size}, in{index};"
    if type_name == "pred":
        return (
            f"{address}\n.reg .pred {name}; ld.global.u8 h0, [in{index}]; "
            f"setp.ne.u16 {name}, h0, 0;"
        )
    load = "u8" if size == 1 else register(type_name)
    return (
        f"{address}\n.reg .b{max(16, 8 * size)} {name}; "
        f"ld.global.{load} {name}, [in{index}];"
    )


def store_output(index: int, type_name: str) -> str:
    """Stores x, y, z or w as output `index` of the thread."""
    name, size = "xyzw"[index], SIZE[type_name]
    address = f"mad.lo.u64 out{index}, gtid_, {size}, out{index};"
    if type_name == "pred":
        return f"{address}\nselp.u16 h0, 1, 0, {name}; st.global.u8 [out{index}], h0;"
    return f"{address}\nst.global.{register(type_name)} [out{index}], {name};"


def kernel(form: Form, entry: str = "form") -> str:
    """The PTX of one entry with the parameters in0.. out0.. scratch, all addresses.

    Launch it with n / 32 blocks of 32 threads and 64 zeroed bytes of scratch each.
    """
    names = [f"in{i}" for i in range(len(form.inputs))]
    names += [f"out{i}" for i in range(len(form.outputs))] + ["scratch"]
    shared = re.search(r"\b(sa|sm)\b", form.body)
    lines = [
        f".visible .entry {entry}({', '.join(f'.param .u64 p_{n}' for n in names)}) {{",
        ".reg .pred p, q, r; .reg .b16 h<4>; .reg .b32 t<8>, sa, tid_; "
        ".reg .b64 l<4>, gm, gtid_;",
        ".shared .align 1024 .b8 sm[4096];" if shared else "",
        "mov.u32 tid_, %ctaid.x; mov.u32 sa, %tid.x; mad.lo.u32 tid_, tid_, 32, sa; "
        "cvt.u64.u32 gtid_, tid_;",
    ]
    lines += [f".reg .b64 {name}; ld.param.u64 {name}, [p_{name}];" for name in names]
    if re.search(r"\bsa\b", form.body):
        lines.append("shl.b32 sa, sa, 6; mov.u32 tid_, sm; add.u32 sa, sa, tid_;")
    lines.append("shl.b64 gm, gtid_, 6; add.u64 gm, gm, scratch;")
    lines += [load_input(i, name) for i, name in enumerate(form.inputs)]
    for name, type_name in zip("xyzw", form.outputs, strict=False):
        kind = "pred" if type_name == "pred" else register(type_name)
        lines.append(f".reg .{kind} {name};")
    lines.append(form.body)
    lines += [store_output(i, name) for i, name in enumerate(form.outputs)]
    return "\n".join([*lines, "ret;", "}"])
