"""The command ``moe-mlir``."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moe_mlir import commands
from moe_mlir.emit import ENDINGS
from moe_mlir.errors import MoEError
from moe_mlir.gpu import CHIPS, TARGETS

_CACHE_HELP = (
    "folder where compiled code is kept, or off; default: $MOE_MLIR_CACHE, or moe_mlir "
    "in the user's cache folder"
)
_CHIP_HELP = f"of the GPU: {', '.join(CHIPS)}"

EXIT_REFUSED = 1
EXIT_INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """The command line; ``moe-mlir COMMAND --help`` explains each command."""
    top = argparse.ArgumentParser(
        prog="moe-mlir",
        description="Import Mixture-of-Experts models, switch how experts are chosen, "
        "compile and run them.",
    )
    add = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    ).add_parser

    command = add("import", help="import a model into a folder")
    command.add_argument("framework", choices=["torch", "jax", "stablehlo", "hf"])
    command.add_argument(
        "source",
        metavar="PKG.MOD:CALLABLE",
        help="CALLABLE() returns (module, example_inputs); for jax (function, "
        "arguments); for stablehlo, the path of a program; for hf, a folder with "
        "config.json and safetensors, or a config alone",
    )
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    command.add_argument(
        "--dtype", help="of hf: float32, bfloat16 or float16; default: the config's"
    )
    command.add_argument("--seed", type=int, help="of hf: of random weights")
    command.add_argument(
        "--report", choices=["table", "json"], default="table", help="default: table"
    )
    command.set_defaults(run=commands.import_model)

    command = add("scope", help="switch the scope of a model's layers")
    _add_model(command)
    command.add_argument("scope", choices=["sequence", "token"])
    command.add_argument("-o", "--output", type=Path, required=True, metavar="DIR2")
    command.add_argument("--floor", type=int, help="least experts of a token")
    command.add_argument("--cap", type=int, help="most experts of a token")
    command.add_argument(
        "--layers", action="append", metavar="GLOB", help="only these layers"
    )
    command.set_defaults(run=commands.switch_scope)

    command = add("run", help="run a model on .npy files")
    _add_model(command)
    command.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=FILE.npy",
        help="an input; moe-mlir show lists their names",
    )
    command.add_argument(
        "--output",
        action="append",
        required=True,
        type=Path,
        metavar="FILE.npy",
        help="where a result goes, one for each result",
    )
    command.add_argument(
        "--target", choices=["cpu", *TARGETS], default="cpu", help="default: cpu"
    )
    command.add_argument("--threads", type=int, help="of the CPU; default: all")
    command.add_argument("--cpu", help="host (default) or an LLVM CPU name")
    command.add_argument("--chip", help=_CHIP_HELP)
    command.add_argument("--device", type=int, help="number of the GPU")
    command.add_argument("--cache", metavar="DIR", help=_CACHE_HELP)
    command.set_defaults(run=commands.run_model)

    command = add("eval", help="loss and experts per token of a language model")
    _add_model(command)
    command.add_argument(
        "--tokens",
        type=Path,
        required=True,
        metavar="FILE.npy",
        help="integers [S, T], the ids of sequences",
    )
    command.add_argument(
        "--mask", type=Path, metavar="FILE.npy", help="[S, T]; zero marks padding"
    )
    command.add_argument(
        "--scope",
        default="token,sequence",
        metavar="LIST",
        help="of token, sequence and causal, separated by commas; with sequence comes "
        "causal, what decoding can do. Default: token,sequence",
    )
    command.add_argument("--batch", type=int, default=8, help="sequences at once")
    command.add_argument("--threads", type=int, help="of the CPU; default: all")
    command.add_argument("--cache", metavar="DIR", help=_CACHE_HELP)
    command.set_defaults(run=commands.evaluate_model)

    command = add("compile", help="compile a model into a file")
    _add_model(command)
    command.add_argument("--emit", choices=list(ENDINGS), required=True)
    command.add_argument("-o", "--output", type=Path, metavar="FILE")
    command.add_argument("--cpu", help="host (default) or an LLVM CPU name")
    command.add_argument("--chip", help=_CHIP_HELP)
    command.add_argument("--cache", metavar="DIR", help=_CACHE_HELP)
    command.set_defaults(run=commands.compile_model)

    command = add("show", help="describe a model")
    _add_model(command)
    command.add_argument("--picture", type=Path, metavar="FILE.png")
    command.add_argument("--mlir", action="store_true", help="print the module too")
    command.set_defaults(run=commands.show_model)

    command = add(
        "demo",
        add_help=False,
        help="import, switch, compile and time an OLMoE layer",
    )
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    command.set_defaults(run=commands.run_demo)
    return top


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", type=Path, metavar="DIR", help="folder of a model")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as a line of the command; its place in the package is of no use."""
    print(f"moe-mlir: warning: {message}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit status.

    0: done. 1: refused, with one message on stderr. 2: wrong usage. 130: interrupted.
    """
    options, rest = parser().parse_known_args(argv)
    if options.command == "demo":
        options.arguments = [*rest, *options.arguments]
    elif rest:
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    os.environ.setdefault("MOE_PROGRESS", "1")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            options.run(options)
        sys.stdout.flush()
    except MoEError as error:
        print(f"moe-mlir: error: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except MemoryError as error:
        print(f"moe-mlir: error: out of memory: {error}", file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        print("moe-mlir: interrupted; nothing was written", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_REFUSED
    return 0
