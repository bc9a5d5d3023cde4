"""Kernels that run forms of the table, many in one module."""

import re

import numpy as np
from moe_mlir import ptx

from arithmetic.meaning import flat, uses_carry
from arithmetic.rows import WIDTHS, Row

HEADER = ".version {version}\n.target {target}\n.address_size 64\n"


def register_width(type_name: str) -> int:
    return max(16, WIDTHS[type_name])


def memory_bytes(type_name: str) -> int:
    return 1 if type_name == "pred" else max(1, WIDTHS[type_name] // 8)


def source_types(row: Row) -> list[str]:
    """Types of the inputs; the flag of a carry form is one more."""
    types = [t for o in row.sources if o.kind != "imm" for t in flat((o,))]
    return [*types, "b32"] if uses_carry(row) else types


def result_types(row: Row) -> list[str]:
    return [*flat(row.results), *(["b32"] if uses_carry(row) else [])]


class KernelText:
    """The text of the entry for one form."""

    def __init__(self, row: Row, entry: str, widen: int = 0) -> None:
        self.row = row
        self.widen = widen
        self.inputs = source_types(row)
        self.outputs = result_types(row)
        names = [f"p{i}" for i in range(len(self.inputs) + len(self.outputs))]
        params = ", ".join(f".param .u64 {n}" for n in names)
        self.lines = [
            f".visible .entry {entry}({params}) {{",
            ".reg .b16 h; .reg .b32 t, i; .reg .b64 w, g;",
            "mov.u32 i, %ctaid.x; shl.b32 i, i, 5; mov.u32 t, %tid.x;"
            " add.u32 i, i, t; cvt.u64.u32 w, i;",
        ]

    def register(self, type_name: str) -> str:
        if type_name in ("pred", "b8"):
            return f".{type_name}"
        if WIDTHS[type_name] == 8 and "bf16" in self.row.types:
            return ".b8"  # no wider ones
        return f".b{max(register_width(type_name), self.widen)}"

    def address(self, index: int, size: int) -> str:
        return f"ld.param.u64 g, [p{index}]; mad.lo.u64 g, w, {size}, g;"

    def load(self, index: int, type_name: str) -> None:
        name, size = f"a{index}", memory_bytes(type_name)
        self.lines.append(
            f".reg {self.register(type_name)} {name}; {self.address(index, size)}"
        )
        match type_name, size:
            case "pred", _:
                self.lines.append(f"ld.global.u8 h, [g]; setp.ne.u16 {name}, h, 0;")
            case _, 16:
                self.lines.append(f"ld.global.b128 {name}, [g];")
            case _:
                kind = "b8" if size == 1 else f"b{8 * size}"
                self.lines.append(f"ld.global.{kind} {name}, [g];")

    def store(self, index: int, type_name: str) -> None:
        name, at = f"x{index}", len(self.inputs) + index
        size = memory_bytes(type_name)
        if type_name != "pred" and size < 16:
            size = max(size, int(self.register(type_name)[2:]) // 8)
        self.lines.append(self.address(at, size))
        if type_name == "pred":
            self.lines.append(f"selp.u16 h, 1, 0, {name}; st.global.u8 [g], h;")
        else:
            self.lines.append(f"st.global.b{8 * size} [g], {name};")

    def operation(self, immediate: int) -> str:
        """The statement itself."""
        row, position = self.row, 0
        results = []
        for operand in row.results:
            names = [f"x{position + k}" for k in range(operand.count)]
            position += operand.count
            results.append(
                "{" + ", ".join(names) + "}" if operand.kind == "vector" else names[0]
            )
        sources, position = [], 0
        for operand in row.sources:
            if operand.kind == "imm":
                sources.append(str(immediate))
                continue
            names = [f"a{position + k}" for k in range(operand.count)]
            position += operand.count
            sources.append(
                "{" + ", ".join(names) + "}" if operand.kind == "vector" else names[0]
            )
        return f"{row.name} {'|'.join(results)}, {', '.join(sources)};"

    def text(self, immediate: int) -> str:
        for index, type_name in enumerate(self.inputs):
            self.load(index, type_name)
        for index, type_name in enumerate(self.outputs):
            self.lines.append(f".reg {self.register(type_name)} x{index};")
        if uses_carry(self.row):
            flag, out = len(self.inputs) - 1, len(self.outputs) - 1
            self.lines.append(f"add.cc.u32 t, a{flag}, 0xffffffff;")
            self.lines.append(self.operation(immediate))
            self.lines.append(f"addc.u32 x{out}, 0, 0;")
        else:
            self.lines.append(self.operation(immediate))
        for index, type_name in enumerate(self.outputs):
            self.store(index, type_name)
        return "\n".join([*self.lines, "ret;", "}"])


def targets_of(row: Row) -> tuple[str, str]:
    """Version and target that have the form: `sm_90`, `sm_100a` or none."""
    if row.sm == "-" or int(re.sub(r"\D", "", row.sm)) < 90:
        return "8.7", "sm_90a"
    return "8.8", row.sm if row.sm != "sm_90" else "sm_90a"


class Batch:
    """A module of forms with one target."""

    def __init__(self, rows: list[Row], immediate: int, widen: int = 0) -> None:
        version, target = targets_of(rows[0])
        self.texts = [KernelText(r, f"k{i}", widen) for i, r in enumerate(rows)]
        body = "\n".join(text.text(immediate) for text in self.texts)
        header = HEADER.format(version=version, target=target)
        self.module = ptx.Module(header + body, "forms")

    def run(self, index: int, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """The outputs of form `index` for arrays of its source types."""
        text = self.texts[index]
        count = len(inputs[0])
        outputs = []
        for type_name in text.outputs:
            size = memory_bytes(type_name)
            if type_name != "pred" and size < 16:
                size = max(size, int(text.register(type_name)[2:]) // 8)
            outputs.append(np.zeros((count, size), np.uint8))
        self.module.launch(
            f"k{index}",
            grid=count // 32,
            block=32,
            args=[*inputs, *outputs],
            check=(),
            counters=False,
        )
        return outputs


def to_integers(output: np.ndarray) -> list[int]:
    """The numbers of an output, of any width."""
    return [int.from_bytes(bytes(row), "little") for row in output]
