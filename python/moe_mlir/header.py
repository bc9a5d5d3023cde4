"""The C header of a compiled model."""

from __future__ import annotations

import re
from collections.abc import Iterable

from moe_mlir.signature import Signature, TensorSpec

_C_TYPES = {
    "f32": "float",
    "f64": "double",
    "f16": "uint16_t",
    "bf16": "uint16_t",
    "i1": "uint8_t",
    "i8": "int8_t",
    "ui8": "uint8_t",
    "i16": "int16_t",
    "i32": "int32_t",
    "i64": "int64_t",
    "index": "int64_t",
}


def c_header(functions: Iterable[Signature], name: str) -> str:
    """A header that declares the C interface of compiled functions.

    Args:
        functions: The public functions of the module.
        name: Of the file, for its guard.
    """
    functions = list(functions)
    guard = re.sub(r"\W", "_", name).upper() + "_INCLUDED"
    specs = [s for f in functions for s in (*f.arguments, *f.results)]
    shapes = sorted({(spec.dtype, len(spec.shape)) for spec in specs})
    structs = "\n".join(_struct(dtype, rank) for dtype, rank in shapes)
    declarations = "\n".join(_declaration(function) for function in functions)
    return (
        "// The C interface of a module that moe-mlir compiled.\n"
        "//\n"
        "// A tensor is `data` from element `offset`, with a size and a stride in\n"
        "// elements for each dimension; arguments are dense and row-major. Results\n"
        "// are allocated with malloc: free(result.allocated). 16-bit floats are\n"
        "// passed by their bits, and truth values as bytes that are 0 or 1.\n"
        f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n\n"
        f'#ifdef __cplusplus\nextern "C" {{\n#endif\n\n{structs}\n{declarations}\n'
        "#ifdef __cplusplus\n}\n#endif\n\n"
        f"#endif // {guard}\n"
    )


def _type(dtype: str, rank: int) -> str:
    return f"moe_{dtype}_{rank}d"


def _struct(dtype: str, rank: int) -> str:
    sizes = f"  int64_t sizes[{rank}];\n  int64_t strides[{rank}];\n" if rank else ""
    element = _C_TYPES[dtype]
    return (
        f"typedef struct {{\n  {element} *allocated;\n  {element} *data;\n"
        f"  int64_t offset;\n{sizes}}} {_type(dtype, rank)};\n"
    )


def _comment(spec: TensorSpec) -> str:
    return f"{spec.name}: {spec}"


def _declaration(function: Signature) -> str:
    symbol = re.sub(r"\W", "_", function.name)
    lines = []
    parameters = []
    if len(function.results) == 1:
        (result,) = function.results
        parameters.append(f"{_type(result.dtype, len(result.shape))} *result")
        lines.append(f"// result: {result}")
    elif function.results:
        lines.append("typedef struct {")
        for i, result in enumerate(function.results):
            kind = _type(result.dtype, len(result.shape))
            lines.append(f"  {kind} result{i}; // {result}")
        lines.append(f"}} moe_{symbol}_results;\n")
        parameters.append(f"moe_{symbol}_results *results")
    for i, spec in enumerate(function.arguments):
        parameters.append(f"{_type(spec.dtype, len(spec.shape))} *argument{i}")
        lines.append(f"// argument{i}: {_comment(spec)}")
    joined = ",\n    ".join(parameters) or "void"
    # A name with a dot is no C identifier, so the symbol is given to the linker.
    label = (
        ""
        if symbol == function.name
        else (f'\n    __asm__("_mlir_ciface_{function.name}")')
    )
    lines.append(f"void _mlir_ciface_{symbol}(\n    {joined}){label};\n")
    return "\n".join(lines)
