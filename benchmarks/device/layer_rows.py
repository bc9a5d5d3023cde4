"""Our layer after routing beside its peers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from device.driver import Driver, DriverError
from device.execute import Loaded, Memory, Modules, Unsupported
from device.launch import Call
from device.manifest import Program
from device.peers import PeerLayer
from device.problem import Inputs, Weights, check_result, expected, make_inputs
from device.table import Table
from device.timed import PeerMatmul, TimedLayer
from device.timing import Emit, Graph, Timer, Times, emitting
from device.torch_peer import TorchLayer

#: By tokens: ours over the best peer of any kind, and over the best one by mma.sync.
_LAYER_BARS = {16: 1.06, 128: 1.06, 1024: 1.00, 4096: 1.10}
_MMA_BARS = {16: 1.02, 128: 1.02, 1024: 1.00, 4096: 0.88}
#: Of the rate of reading memory, where the weights are nearly all that is moved.
_READ_BAR, _READ_TOKENS = 0.85, (16, 128)
#: Runs of a layer before its result is looked at.
_RUNS = 3
#: Arguments of a layer: x, the plan's fields, gates, weights.
_FIELDS = ("expert_offsets", "row_token", "token_offsets", "token_row")


@dataclasses.dataclass(frozen=True)
class Ours:
    """Our layer in memory.

    Attributes:
        before: What is made once for a plan: lists of tiles.
        matmuls: The two matmuls.
        layer: Everything after the lists.
        out: The result's address.
    """

    before: list[Call]
    matmuls: list[Call]
    layer: list[Call]
    out: int


def load_ours(
    program: Program,
    modules: Modules,
    driver: Driver,
    memory: Memory,
    inputs: Inputs,
    weights: Weights,
    x: int,
) -> Ours:
    """Places the inputs of a program, and takes its launches apart."""
    pointers = [x, *(memory.place(inputs.plan[name]) for name in _FIELDS)]
    pointers += [memory.place(inputs.row_gates), weights.gate_up, weights.down]
    given = {f"argument {number}": p for number, p in enumerate(pointers)}
    loaded = Loaded(program, modules, driver, memory, given)
    parts: dict[str, list[Call]] = {"tiles": [], "matmul": [], "layer": []}
    for launch, call in zip(program.launches, loaded.calls, strict=True):
        if launch.part in parts:
            parts[launch.part].append(call)
        if launch.part != "tiles":
            parts["layer"].append(call)
    names = [buffer.name for buffer in program.buffers]
    out = loaded.pointers[names.index("result 0")]
    return Ours(parts["tiles"], parts["matmul"], parts["layer"], out)


class LayerRows:
    """The rows of one shape."""

    def __init__(
        self,
        layer: TimedLayer,
        driver: Driver,
        modules: Modules,
        timer: Timer,
        table: Table,
        rate: float,
    ) -> None:
        self._layer, self._driver, self._modules = layer, driver, modules
        self._timer, self._table, self._rate = timer, table, rate
        self._warned: set[str] = set()

    def run(self) -> None:
        """Times the layer for each number of tokens."""
        with Memory(self._driver) as memory:
            weights = Weights(self._layer.shape, memory)
            for tokens, program in self._layer.programs.items():
                with Memory(self._driver) as inner:
                    self._time(tokens, program, weights, inner)
                self._modules.unload(program.module)

    def _time(
        self, tokens: int, program: Program, weights: Weights, memory: Memory
    ) -> None:
        shape, driver = self._layer.shape, self._driver
        name = f"{shape.name} T{tokens}"
        inputs = make_inputs(shape, tokens)
        x = memory.place(inputs.x)
        wanted = expected(shape, inputs, weights)
        ours = load_ours(program, self._modules, driver, memory, inputs, weights, x)
        peer = PeerLayer(
            driver, self._modules, memory, shape, self._layer.peer, weights, inputs, x
        )

        def is_wrong(what: str, emit: Emit, out: Callable[[], int]) -> bool:
            # Again and again, as it is timed: nothing it needs may be overwritten.
            for _ in range(_RUNS):
                emit(driver.stream)
            driver.synchronize()
            problem = check_result(driver, out(), shape, wanted)
            if problem:
                self._table.wrong(f"{name}, {what}", problem)
            return bool(problem)

        emitting(ours.before)(driver.stream)
        contestants = {"ours": emitting(ours.layer)}
        if is_wrong("ours", contestants["ours"], lambda: ours.out):
            return
        for number, call in enumerate(ours.matmuls, 1):
            contestants[f"ours, matmul {number}"] = emitting([call])
        for kind, best in self._best(name, peer).items():
            emit = emitting(peer.chain(*best))
            peer.spoil()
            if not is_wrong(f"peer by {kind}", emit, lambda: peer.out):
                contestants[kind] = emit
                for number, matmul in enumerate(best, 1):
                    call = peer.matmul(matmul)
                    contestants[f"{kind}, matmul {number}"] = emitting([call])
        self._add_torch(name, contestants, inputs, weights, x, is_wrong)
        self._judge(name, tokens, self._timer.measure(contestants), inputs, weights)

    def _best(
        self, name: str, peer: PeerLayer
    ) -> dict[str, tuple[PeerMatmul, PeerMatmul]]:
        """By kind, the fastest configurations of the two matmuls."""
        calls: dict[str, tuple[PeerMatmul, Emit]] = {}
        for matmul in self._layer.peer.matmuls:
            try:
                call = peer.matmul(matmul)
                # Launched once here: what does not fit is refused at the launch.
                call.launch(self._driver.stream)
                self._driver.synchronize()
            except (DriverError, Unsupported) as error:
                self._warn(f"peer {matmul.kind} {matmul.name} left out: {error}")
                continue
            key = f"{matmul.kind}, matmul {matmul.number}, {matmul.name}"
            calls[key] = matmul, emitting([call])
        times = self._timer.measure({key: emit for key, (_, emit) in calls.items()})
        best: dict[tuple[str, int], str] = {}
        for key in calls:
            matmul = calls[key][0]
            place = matmul.kind, matmul.number
            if place not in best or times[key].median < times[best[place]].median:
                best[place] = key
        for (kind, number), key in sorted(best.items()):
            tried = sum((m.kind, m.number) == (kind, number) for m, _ in calls.values())
            self._table.show(
                f"{name}, best of {tried} peers by {kind}, matmul {number}",
                f"{calls[key][0].name}, {times[key].median:.1f} us",
            )
        kinds = [kind for kind, number in best if number == 1 and (kind, 2) in best]
        return {
            kind: (calls[best[kind, 1]][0], calls[best[kind, 2]][0]) for kind in kinds
        }

    def _add_torch(
        self,
        name: str,
        contestants: dict[str, Emit],
        inputs: Inputs,
        weights: Weights,
        x: int,
        is_wrong: Callable[[str, Emit, Callable[[], int]], bool],
    ) -> None:
        if not self._timer.graphs:
            return
        try:
            layer = TorchLayer(self._driver, self._layer.shape, weights, inputs, x)
            for emit in (layer.chain, *layer.matmuls):
                # Its allocations come before those that a graph would hold.
                emit(self._driver.stream)
                Graph(self._driver, emit, 1).close()
        except Exception as error:  # whatever PyTorch may raise
            self._warn(f"grouped_mm left out: {error}")
            return
        if is_wrong("grouped_mm", layer.chain, lambda: int(layer.result.data_ptr())):
            return
        contestants["grouped_mm"] = layer.chain
        for number, emit in enumerate(layer.matmuls, 1):
            contestants[f"grouped_mm, matmul {number}"] = emit

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            self._table.show(text, "")

    def _judge(
        self,
        name: str,
        tokens: int,
        times: dict[str, Times],
        inputs: Inputs,
        weights: Weights,
    ) -> None:
        table, shape = self._table, self._layer.shape
        for key, value in times.items():
            table.show(f"{name}, {key}", f"{value.median:.1f} us")
        peers = [key for key in ("mma", "wgmma", "grouped_mm") if key in times]
        best = min(peers, key=lambda key: times[key].median, default=None)
        bar = _LAYER_BARS.get(tokens)
        if best is None:
            table.wrong(f"{name}, layer", "there is no peer to compare with")
        elif bar is not None:
            ratio = times["ours"].over(times[best])
            table.at_most(f"{name}, layer over best peer", ratio, bar, "", f" ({best})")
        if "mma" in times and tokens in _MMA_BARS:
            ratio = times["ours"].over(times["mma"])
            table.at_most(f"{name}, layer over mma peer", ratio, _MMA_BARS[tokens], "")
        if tokens not in _READ_TOKENS:
            return
        rows, used = inputs.choices.size, inputs.experts_used / shape.experts
        moved = (
            used * weights.gate_up_bytes
            + 2 * (tokens * shape.hidden + rows * shape.intermediate),
            used * weights.down_bytes + 2 * rows * (shape.intermediate + shape.hidden),
        )
        for number, bytes_ in enumerate(moved, 1):
            rate = bytes_ / times[f"ours, matmul {number}"].median / 1e6
            table.at_least(
                f"{name}, matmul {number}, of the rate of reading",
                rate / self._rate, _READ_BAR, "", f" ({rate:.2f} TB/s)",
            )  # fmt: skip
