"""What a kit brings along to be timed: routings, layers, and their peers."""

from __future__ import annotations

import dataclasses
import pathlib

from device.manifest import Image, Program
from device.timed import Shape, Timed, TimedLayer

from device_kit import layers, modules
from device_kit.peers import PeerWriter
from device_kit.programs import Fills, Writer, lower, make_program

_READER = "read_memory"
#: What the bars are for.
_CHIP = "sm_90"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is timed.

    Attributes:
        routes: T, E and K of routings, each in both scopes.
        layers: Shapes, and the numbers of tokens.
        configurations: Of the peer, of each kind and matmul at most.
    """

    routes: tuple[tuple[int, int, int], ...]
    layers: tuple[tuple[Shape, tuple[int, ...]], ...]
    configurations: int


_TOKENS = (16, 128, 1024, 4096)
#: By name: what the bars are for, and what an emulator can execute.
PLANS = {
    "full": Plan(
        ((4096, 256, 8), (4096, 128, 8), (4096, 64, 8), (1024, 256, 8), (128, 256, 8)),
        (
            (Shape(64, 8, 2048, 1024), _TOKENS),
            (Shape(128, 8, 2048, 768), _TOKENS),
        ),
        99,
    ),
    "small": Plan(((16, 8, 2),), ((Shape(4, 2, 64, 64), (16, 32)),), 1),
}


def write_timed(writer: Writer, plan: Plan) -> Timed:
    """Writes the kernels of a plan."""
    text = pathlib.Path(__file__).with_name(f"{_READER}.ptx").read_bytes()
    file = writer.file(f"ptx/{_READER}.ptx", text)
    writer.modules[_READER] = (Image(file, 80),)
    routes = []
    for tokens, experts, chosen in plan.routes:
        for scope in ("token", "sequence"):
            routes.append(_route(writer, tokens, experts, chosen, scope))
    timed = []
    for shape, numbers in plan.layers:
        programs = {tokens: _layer(writer, shape, tokens) for tokens in numbers}
        peer = PeerWriter(writer, shape).write(plan.configurations)
        timed.append(TimedLayer(shape, programs, peer))
        print(f"timed: {shape.name}, {len(peer.matmuls)} peers", flush=True)
    return Timed(tuple(routes), tuple(timed), _READER)


def _program(writer: Writer, name: str, text: str, fills: Fills) -> Program:
    lowered = lower(text, _CHIP)
    writer.module(name, lowered)
    program, _, _ = make_program(name, name, lowered, fills)
    return program


def _route(
    writer: Writer, tokens: int, experts: int, chosen: int, scope: str
) -> Program:
    text = modules.route(1, tokens, experts, chosen, scope=scope, normalize="sum")
    name = f"timed-route-T{tokens}-E{experts}-{scope}"
    return _program(writer, name, text, ({"kind": "normal", "seed": 1},))


def _layer(writer: Writer, shape: Shape, tokens: int) -> Program:
    sizes = layers.Shape(
        tokens, shape.experts, shape.chosen, shape.hidden, shape.intermediate
    )
    text = layers.after_routing(sizes, "bf16")
    # The runner has the inputs.
    return _program(writer, f"timed-layer-{sizes.name}-T{tokens}", text, (None,) * 8)
