"""``from_torch``: a PyTorch module with MoE layers to MLIR text."""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from moe_mlir.importing.allowlist import TORCH_RESIDUAL, check_module
from moe_mlir.importing.imported import Imported, ImportRefused
from moe_mlir.importing.printing import print_generic
from moe_mlir.importing.report import make_report
from moe_mlir.torch import graph
from moe_mlir.torch.adapters import Adapter
from moe_mlir.torch.blocks import evaluation_mode
from moe_mlir.torch.complex_numbers import pairs_for_complex
from moe_mlir.torch.layers import AnyAdapter, find_layers

#: How torch.export says that a size of the example became a constant.
_FIXED = re.compile(r"marked (\w+) as dynamic but .* to be a constant \((\d+)\)")

_PACKAGES = ("torch", "torch-mlir", "transformers")
_AS_IS = "its code is imported as it is, without a layer in it"
_PLAIN = "its router is ordinary code, which hands its choice to plan_from_choice"


def import_torch(
    module: nn.Module,
    example_inputs: Sequence[Any],
    *,
    dynamic_shapes: Any = None,
    name: str | None = None,
    valid: str | None = None,
    written_out: bool = True,
) -> Imported:
    """Imports a module.

    Args:
        module: A module with MoE layers: blocks of transformers, or layers written
            with ``moe_mlir.torch.route`` and ``experts``. It is exported in evaluation
            mode and left as it was.
        example_inputs: Positional inputs of ``module``; only their shapes matter.
        dynamic_shapes: As in ``torch.export.export``. None makes batch and tokens of
            the inputs dynamic; ``{}`` keeps every size.
        name: Name of the model; the module's class by default.
        valid: Name of the input ``[S, T]`` that is nonzero where a token is one, and
            zero where it pads a sequence. Layers then leave padding out.
        written_out: Looks for layers whose routing is code of one module as well, for
            which the module is run once.

    Raises:
        ImportRefused: The module has no MoE layer, or something in it is not
            understood.
    """
    if not isinstance(module, nn.Module):
        raise ImportRefused(
            f"expected a torch.nn.Module, got {type(module).__name__}"
            f"{' ' + module.__name__ if hasattr(module, '__name__') else ''}; a "
            "generation loop cannot be imported: import the module's forward pass"
        )
    inputs = tuple(example_inputs)
    if dynamic_shapes is None:
        inputs, dynamic_shapes = _default_dynamic_shapes(inputs)
    with evaluation_mode(module), contextlib.ExitStack() as undo:
        adapters, others = find_layers(module, inputs if written_out else None)
        for adapter in adapters:
            undo.enter_context(adapter.applied())
        program = _export(module, inputs, dynamic_shapes, others)
    if valid is not None:
        graph.leave_padding_out(program, valid)
    return _lower(module, program, adapters, others, dynamic_shapes, name)


def _default_dynamic_shapes(inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
    """Batch and tokens dynamic in each input that begins with them.

    They are the leading dimensions of the first ``[S, T, H]`` input, or else of the
    first ``[S, T]`` input of integers. An export would fix sizes 0 and 1 of the example
    for good, so such examples are enlarged first.
    """
    leading = _batch_and_tokens(inputs)
    if leading is None:
        return inputs, {}
    dims = {0: Dim("batch", min=1), 1: Dim("tokens", min=1)}
    shapes: list[Any] = []
    examples: list[Any] = []
    for value in inputs:
        if isinstance(value, Tensor) and tuple(value.shape[:2]) == leading:
            sizes = [max(size, 2) for size in leading] + list(value.shape[2:])
            value = value if sizes == list(value.shape) else value.new_zeros(sizes)
            shapes.append(dims)
        else:
            shapes.append(None)
        examples.append(value)
    return tuple(examples), tuple(shapes)


def _batch_and_tokens(inputs: tuple[Any, ...]) -> tuple[int, int] | None:
    tensors = [value for value in inputs if isinstance(value, Tensor)]
    hidden = [t for t in tensors if t.dim() == 3]
    ids = [t for t in tensors if t.dim() == 2 and not t.is_floating_point()]
    for value in (*hidden, *ids):
        return value.shape[0], value.shape[1]
    return None


def _export(
    module: nn.Module,
    inputs: tuple[Any, ...],
    dynamic_shapes: Any,
    others: dict[str, str],
) -> ExportedProgram:
    # torch-mlir lives in the extra [torch]; the user API of this package does without.
    from torch_mlir import fx

    try:
        with warnings.catch_warnings(), _casts_to_own_type_are_nothing():
            # torch.export warns about its own internals.
            warnings.simplefilter("ignore", FutureWarning)
            program = torch.export.export(
                module, inputs, dynamic_shapes=dynamic_shapes or None, strict=False
            )
            decomposed: ExportedProgram = program.run_decompositions(
                fx.get_decomposition_table()
            )
            return decomposed
    except ImportRefused:
        raise
    except Exception as error:  # torch.export has no common base class
        # A cache class that nothing has registered as a container of tensors.
        if cache := re.search(r"\w*Cache(?='> in (out|in)put)", str(error)):
            raise _cache_refusal(module, cache[0]) from error
        if others:
            raise ImportRefused(_unknown_experts(others)) from error
        if fixed := _FIXED.search(str(error)):
            raise ImportRefused(
                f"{type(module).__name__} fixes the dynamic dimension '{fixed[1]}' at "
                f"{fixed[2]}, the size in the example, because its code loops over it "
                "or decides by it; give dynamic_shapes={} to import it for this size "
                "alone, or import the MoE layers without that code"
            ) from error
        raise ImportRefused(
            f"torch.export fails on {type(module).__name__}: {error}"
        ) from error


@contextlib.contextmanager
def _casts_to_own_type_are_nothing() -> Iterator[None]:
    """``module.to(dtype)`` in a ``forward`` stays away from weights of that type.

    An export cannot replace weights, and so fails even where nothing would change.
    """
    cast = nn.Module.to

    def to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        (dtype,) = args if len(args) == 1 and not kwargs else (None,)
        own = {value.dtype for value in module.parameters()}
        return module if own == {dtype} else cast(module, *args, **kwargs)

    nn.Module.to = to  # type: ignore[assignment]
    try:
        yield
    finally:
        nn.Module.to = cast  # type: ignore[method-assign]


def _unknown_experts(others: dict[str, str]) -> str:
    return (
        f"{'; '.join(others.values())}; so it cannot be imported as a layer: write it "
        "with moe_mlir.torch.route and moe_mlir.torch.experts"
    )


def _lower(
    module: nn.Module,
    program: ExportedProgram,
    adapters: list[AnyAdapter],
    others: dict[str, str],
    dynamic_shapes: Any,
    name: str | None,
) -> Imported:
    from torch_mlir import ir

    from moe_mlir.torch.lowering import lower

    _refuse_caches(module, program)
    layers = graph.name_layers(program)
    inside = {
        f"{a.block.path}.{a.block.inside}".lstrip("."): a
        for a in adapters
        if isinstance(a, Adapter)
    }
    plain = [
        inside[layer].block.name if layer in inside else layer
        for layer in graph.choice_layers(program)
    ]
    if not layers and not plain:
        if others:
            raise ImportRefused(_unknown_experts(others))
        seen = sorted({type(child).__name__ for child in module.modules()})
        raise ImportRefused(
            f"{type(module).__name__} has no MoE layer: it never calls "
            f"moe_mlir.torch.route, and none of its modules ({', '.join(seen[:40])}) "
            "holds experts"
        )
    dims = _dynamic_dims(module, program, dynamic_shapes)
    signature = _signature(program)
    pairs_for_complex(program)
    graph.refuse_complex(program)
    weights = graph.prepare(program)
    lowered, markers = lower(program, list(weights))
    residual = check_module(lowered, residual=TORCH_RESIDUAL)
    known = {adapter.name: adapter.report() for adapter in adapters}
    own = {"status": "raised", "why": "calls moe_mlir.torch.route"}
    report = make_report(
        frontend="torch",
        module=lowered,
        name=name or type(module).__name__,
        packages=_PACKAGES,
        layers=[
            *(known.get(layer, {"name": layer} | own) for layer in layers),
            *(
                known.get(layer, {"name": layer, "status": "plain", "why": _PLAIN})
                for layer in plain
            ),
            *(
                {"name": path or "moe", "status": "plain", "why": f"{_AS_IS}: {why}"}
                for path, why in others.items()
            ),
        ],
        inputs=signature[0],
        outputs=signature[1],
        dynamic_dims=dims,
        residual=residual,
        markers=markers,
    )
    return Imported(print_generic(ir, lowered), weights, report)


def _refuse_caches(module: nn.Module, program: ExportedProgram) -> None:
    """Refuses key/value caches among inputs and results."""
    spec = program.call_spec
    for tree in (spec.in_spec, spec.out_spec):
        for node in _tree_nodes(tree):
            kind = getattr(node.type, "__name__", "")
            if "Cache" in kind:
                raise _cache_refusal(module, kind)


def _cache_refusal(module: nn.Module, kind: str) -> ImportRefused:
    return ImportRefused(
        f"{type(module).__name__} takes or returns a key/value cache ({kind}); "
        "decoding with caches is not supported: import a forward pass with "
        "use_cache=False that returns tensors only"
    )


def _tree_nodes(tree: Any) -> Iterator[Any]:
    if tree is None:
        return
    yield tree
    for child in tree.children():
        yield from _tree_nodes(child)


def _describe(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Tensor):
        raise ImportRefused(
            f"'{name}' is a {type(value).__name__}; inputs and results of an imported "
            "module are tensors"
        )
    return {
        "name": name,
        "shape": [int(s) if isinstance(s, int) else None for s in value.shape],
        "dtype": str(value.dtype).removeprefix("torch."),
    }


def _signature(
    program: ExportedProgram,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    user = set(program.graph_signature.user_inputs)
    nodes = [n for n in program.graph.nodes if n.op == "placeholder" and n.name in user]
    inputs = [_describe(n.name, n.meta.get("val")) for n in nodes]
    (output,) = (n for n in program.graph.nodes if n.op == "output")
    results = [getattr(v, "meta", {}).get("val") for v in output.args[0]]
    return inputs, [_describe(f"output{i}", v) for i, v in enumerate(results)]


def _dynamic_dims(
    module: nn.Module, program: ExportedProgram, dynamic_shapes: Any
) -> list[dict[str, Any]]:
    """Compares requested with obtained dynamic dimensions of positional inputs."""
    user = set(program.graph_signature.user_inputs)
    nodes = [n for n in program.graph.nodes if n.op == "placeholder" and n.name in user]
    if isinstance(dynamic_shapes, dict):
        names = list(inspect.signature(module.forward).parameters)
        requested = [dynamic_shapes.get(name) for name in names[: len(nodes)]]
    else:
        requested = list(dynamic_shapes or ())
    if requested and len(requested) != len(nodes):
        raise ImportRefused(
            f"{type(module).__name__} takes {len(nodes)} tensors, but dynamic_shapes "
            f"has {len(requested)} entries; inputs of an imported module are tensors, "
            "not containers of them"
        )
    found = []
    for node, dims in zip(nodes, requested, strict=False):
        items = dims.items() if isinstance(dims, dict) else enumerate(dims or ())
        for dim, wanted in items:
            if wanted is None or isinstance(wanted, int):
                continue
            size = node.meta["val"].shape[dim]
            found.append(
                {
                    "input": node.name,
                    "dim": dim,
                    # Equal requests are one size; each automatic one is its own.
                    "requested": getattr(wanted, "__name__", f"auto {size}"),
                    "obtained": "dynamic" if isinstance(size, torch.SymInt) else size,
                }
            )
    return found
