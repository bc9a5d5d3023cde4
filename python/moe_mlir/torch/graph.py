"""Rewrites of an exported program that prepare it for torch-mlir."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec
from torch.fx import Node

from moe_mlir.importing.imported import ImportRefused
from moe_mlir.torch.gathers import gather_by_comparison

_aten = torch.ops.aten


def prepare(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """Applies all rewrites in place.

    Returns:
        The weights by name, in the order of the arguments that now carry them.
    """
    _drop_type_assertions(program)
    _drop_clones(program)
    _drop_view_round_trips(program)
    _spell_merging_views(program)
    _strengthen_topk(program)
    _count_dimensions_from_zero(program)
    gather_by_comparison(program)
    program.graph.eliminate_dead_code()
    _name_results(program)
    return _weights_to_arguments(program)


def marker_nodes(program: ExportedProgram, name: str) -> list[Node]:
    """Calls of ``torch.ops.moe.<name>`` in graph order."""
    target = getattr(torch.ops.moe, name).default
    return [node for node in program.graph.nodes if node.target is target]


def name_layers(program: ExportedProgram) -> list[str]:
    """Fills in the ``layer`` of each route call that has none; returns all names.

    The name is the path of the module that made the call, "moe" for the root. A
    second call of the same module gets ".1", and so on.
    """
    arguments = torch.ops.moe.route.default._schema.arguments
    position = next(i for i, a in enumerate(arguments) if a.name == "layer")
    names: list[str] = []
    for node in marker_nodes(program, "route"):
        name = str(node.args[position]) or _free_name(node, names)
        node.update_arg(position, name)
        names.append(name)
    return names


def choice_layers(program: ExportedProgram) -> list[str]:
    """Names of the layers whose router stays plain code, by the same rule."""
    names: list[str] = []
    for node in marker_nodes(program, "plan_from_choice"):
        names.append(_free_name(node, names))
    return names


def refuse_complex(program: ExportedProgram) -> None:
    """Refuses complex numbers, which torch-mlir refuses without saying where."""
    found = [
        node
        for node in program.graph.nodes
        if node.op == "call_function"
        and isinstance(value := node.meta.get("val"), torch.Tensor)
        and value.is_complex()
    ]
    if not found:
        return
    stack = str(found[0].meta.get("stack_trace", ""))
    places = re.findall(r'File "([^"]+)", line (\d+)', stack)
    place = ":".join(places[-1]) if places else "?"
    raise ImportRefused(
        f"the model computes with complex numbers ({len(found)} operators, the first "
        f"{str(found[0].target).removesuffix('.default')}, at {place}), which cannot "
        "be imported; write a rotation of pairs with cos and sin"
    )


def leave_padding_out(program: ExportedProgram, mask: str) -> None:
    """Gives each route call without ``valid`` the input ``mask`` [S, T], not zero.

    Raises:
        ImportRefused: There is no such input, or a layer has other sequences or tokens.
    """
    placeholders = [n for n in program.graph.nodes if n.op == "placeholder"]
    found = [n for n in placeholders if n.name == mask]
    if not found or found[0].name not in program.graph_signature.user_inputs:
        known = ", ".join(program.graph_signature.user_inputs)
        raise ImportRefused(f"there is no input '{mask}'; the inputs are {known}")
    (node,) = found
    value = node.meta["val"]
    with value.fake_mode, program.graph.inserting_after(placeholders[-1]):
        valid = program.graph.call_function(_aten.ne.Scalar, (node, 0))
        valid.meta["val"] = value != 0
    for route in marker_nodes(program, "route"):
        logits, _, given, *_ = route.args
        if given is not None:
            continue
        sizes = _shape(logits)[:-1]
        if len(sizes) != 2 or not all(map(_same, sizes, _shape(node))):
            raise ImportRefused(
                f"input '{mask}' is {_shape(node)}, but a layer routes {sizes} "
                "sequences and tokens, so padding cannot be told from tokens"
            )
        route.update_arg(2, valid)


def _free_name(node: Node, taken: Collection[str]) -> str:
    stack = list(node.meta.get("nn_module_stack", {}).values())
    base = (stack[-1][0] if stack else "") or "moe"
    name, count = base, 0
    while name in taken:
        count += 1
        name = f"{base}.{count}"
    return name


def _shape(node: Any) -> list[Any]:
    return list(node.meta["val"].shape)


def _same(a: Any, b: Any) -> bool:
    """Equality of two dimensions that holds for every input."""
    return str(a) == str(b)


def _drop_clones(program: ExportedProgram) -> None:
    """A copy of a value is the value: the exported graph is functional."""
    for node in program.graph.nodes:
        if node.target is _aten.clone.default:
            node.replace_all_uses_with(node.args[0])


def _drop_type_assertions(program: ExportedProgram) -> None:
    """Types are static; the assertions would keep dead code alive."""
    for node in list(program.graph.nodes):
        if node.target is _aten._assert_tensor_metadata.default:
            program.graph.erase_node(node)


def _drop_view_round_trips(program: ExportedProgram) -> None:
    """``view(view(x, ...), shape of x)`` is ``x``: a block that flattens and restores.

    What is removed here is what would hide the sequence axis from the experts.
    """
    for node in program.graph.nodes:
        if node.target is not _aten.view.default:
            continue
        source = node.args[0]
        while source.target is _aten.view.default:
            source = source.args[0]
            old, new = _shape(source), _shape(node)
            if len(old) == len(new) and all(map(_same, old, new)):
                node.replace_all_uses_with(source)
                break


def _spell_merging_views(program: ExportedProgram) -> None:
    """``aten.view`` that merges dynamic dimensions becomes ``aten.flatten.using_ints``.

    torch-mlir lowers ``[?,?,16] -> [?,16]`` spelled as a view to a ``tensor.cast`` that
    claims a static size it does not have, and then reads the wrong memory. Dimensions
    of size 1 among the new ones, ``[S,T,8] -> [S*T,1,8]``, are added afterwards:
    torch-mlir would take T to be 1.
    """
    for node in list(program.graph.nodes):
        if node.target is not _aten.view.default:
            continue
        old, new = _shape(node.args[0]), _shape(node)
        shorter = min(len(old), len(new))
        head = 0
        while head < shorter and _same(old[head], new[head]):
            head += 1
        tail = 0
        while tail < shorter - head and _same(old[-1 - tail], new[-1 - tail]):
            tail += 1
        merged = old[head : len(old) - tail]
        dynamic = sum(isinstance(size, torch.SymInt) for size in merged)
        middle = new[head : len(new) - tail]
        ones = [head + i for i, size in enumerate(middle) if isinstance(size, int)]
        if len(merged) < 2 or dynamic < 2 or len(middle) - len(ones) != 1:
            continue
        if any(new[place] != 1 for place in ones):
            continue
        node.target = _aten.flatten.using_ints
        node.args = (node.args[0], head, len(old) - tail - 1)
        _add_ones(program, node, ones)


def _add_ones(program: ExportedProgram, node: Node, places: list[int]) -> None:
    """Dimensions of size 1 after a flatten that took the place of a view."""
    if not places:
        return
    wanted, users = node.meta["val"], list(node.users)
    shape = list(wanted.shape)
    for place in reversed(places):
        del shape[place]
    node.meta["val"] = wanted.reshape(shape)
    node.meta.pop("tensor_meta", None)  # torch-mlir would believe this first
    last = node
    for place in places:
        with program.graph.inserting_after(last):
            after = program.graph.call_function(_aten.unsqueeze.default, (last, place))
        after.meta["val"] = last.meta["val"].unsqueeze(place)
        last = after
    for user in users:
        user.replace_input_with(node, last)


def _strengthen_topk(program: ExportedProgram) -> None:
    """``topk(sorted=False)`` becomes ``sorted=True``, one of the orders it allows.

    torch-mlir converts only that one.
    """
    for node in program.graph.nodes:
        if node.target is _aten.topk.default and len(node.args) > 4:
            node.args = (*node.args[:4], True)


#: Operations along a dimension, their second argument, that torch-mlir lowers to loops.
_ALONG = (
    _aten.scatter,
    _aten.scatter_add,
    _aten.scatter_reduce,
    _aten.gather,
    _aten.cumsum,
    _aten.cumprod,
)


def _count_dimensions_from_zero(program: ExportedProgram) -> None:
    """A dimension ``-1`` becomes its number: torch-mlir crashes on some of them."""
    for node in program.graph.nodes:
        if getattr(node.target, "overloadpacket", None) in _ALONG:
            dim = node.args[1]
            if isinstance(dim, int) and dim < 0:
                node.update_arg(1, dim + len(_shape(node.args[0])))


def _name_results(program: ExportedProgram) -> None:
    """The signature refers to results by name; rewrites have replaced some of them."""
    (output,) = (node for node in program.graph.nodes if node.op == "output")
    specs = program.graph_signature.output_specs
    for spec, value in zip(specs, output.args[0], strict=True):
        if isinstance(value, Node):
            spec.arg.name = value.name


def _weights_to_arguments(program: ExportedProgram) -> dict[str, torch.Tensor]:
    """Parameters and buffers become plain inputs behind the real ones.

    Done by editing the export's signature, so that no value is read. Unused ones are
    dropped.
    """
    signature = program.graph_signature
    written = set(signature.buffers_to_mutate.values())
    nodes = {n.name: n for n in program.graph.nodes if n.op == "placeholder"}
    inputs, lifted, weights = [], [], {}
    for spec in signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            inputs.append(spec)
            continue
        if spec.kind not in (
            InputKind.PARAMETER,
            InputKind.BUFFER,
            InputKind.CONSTANT_TENSOR,
        ):
            raise ImportRefused(
                f"the module uses an input of kind {spec.kind.name} "
                f"({spec.target}), which cannot be imported"
            )
        if spec.target in written:
            raise ImportRefused(
                f"the module writes its buffer '{spec.target}' in forward; a compiled "
                "model is a pure function: call .eval(), or keep the state outside"
            )
        node = nodes[spec.arg.name]
        if not node.users:
            program.graph.erase_node(node)
            continue
        lifted.append(InputSpec(InputKind.USER_INPUT, spec.arg, None))
        weights[str(spec.target)] = _value(program, str(spec.target))
    signature.input_specs[:] = inputs + lifted
    return weights


def _value(program: ExportedProgram, name: str) -> torch.Tensor:
    """The tensor itself, not a copy; non-persistent buffers are among the constants."""
    value = program.state_dict.get(name)
    if value is None:
        value = program.constants.get(name)
    if not isinstance(value, torch.Tensor):
        raise ImportRefused(f"the export holds no value for weight '{name}'")
    return value.detach()
