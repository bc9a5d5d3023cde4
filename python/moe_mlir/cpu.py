"""The way from moe on tensors to machine code of the CPU."""

from __future__ import annotations

import dataclasses
import json
import os
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from moe_mlir import _moe
from moe_mlir.cache import Cache, key_of, open_cache
from moe_mlir.errors import MoEError
from moe_mlir.signature import Signature, signatures_of

#: Level of LLVM's optimiser on models: loops of operations around the layers, and the
#: addresses in all loops, are left to it. It never changes a result: no operation
#: carries a flag that would permit it.
OPTIMIZE_MODEL = 2

#: And on a routing alone, which is written as it should execute: the optimiser doubles
#: the time to the first result and does not speed it up.
OPTIMIZE_ROUTING = 0


def default_threads() -> int:
    """The CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


#: More would wait for each other, and the system may refuse them while a call runs.
MOST_THREADS = 1024


def check_threads(threads: int | None) -> int:
    """A number of threads; None means all CPUs that this process may use."""
    if threads is None:
        return default_threads()
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise MoEError(
            f"threads is {threads!r}; it must be a positive integer, or None for all "
            "CPUs of this process",
            where="threads",
        )
    if threads > MOST_THREADS:
        raise MoEError(
            f"threads is {threads}; at most {MOST_THREADS} are made, and more than the "
            f"{default_threads()} CPUs of this process do not help",
            where="threads",
        )
    return threads


@dataclasses.dataclass(frozen=True)
class Lowered:
    """A module in the LLVM dialect and what its public functions take and give.

    Attributes:
        module: The module.
        entries: The functions, as ``Module.signatures`` gives them. ``main`` takes
            packed weights; ``main.pack.0`` and so on make them.
        functions: The public ones by name.
        cpu: The CPU, as it was asked for.
    """

    module: _moe.Module
    entries: list[dict[str, Any]]
    functions: dict[str, Signature]
    cpu: str

    def machine_code(self, *, callers: bool = True) -> bytes:
        """An object; with `callers`, one for every public function is in it."""
        return self.module.object(self.cpu, OPTIMIZE_MODEL, callers)


#: The two halves of the way from moe on tensors to the LLVM dialect.
TENSOR_PIPELINE = "moe-cpu-tensor-pipeline"
LOWERING_PIPELINE = "moe-cpu-lowering-pipeline"
#: The whole of it.
PIPELINE = "moe-cpu-pipeline"


def lower(module: _moe.Module, cpu: str, input_names: Sequence[str] = ()) -> Lowered:
    """Lowers a copy of a module of moe on tensors.

    Raises:
        MoEError: The CPU is unknown, or an operation cannot be lowered.
    """
    _moe.check_cpu(cpu)
    copy = module.clone()
    # Packing changes what @main takes, and types are not tensors afterwards.
    copy.run(f"{TENSOR_PIPELINE}{{cpu={cpu}}}")
    entries = copy.signatures()
    functions = signatures_of(entries, input_names)
    copy.run(f"{LOWERING_PIPELINE}{{cpu={cpu}}}")
    return Lowered(copy, entries, functions, cpu)


@dataclasses.dataclass(frozen=True)
class MachineCode:
    """Machine code of a module.

    Attributes:
        object: An ELF relocatable object.
        entries: As of ``Lowered``.
    """

    object: bytes
    entries: list[dict[str, Any]]

    def functions(self, input_names: Sequence[str] = ()) -> dict[str, Signature]:
        """The public functions by name."""
        return signatures_of(self.entries, input_names)


def compile_module(
    module: _moe.Module, cpu: str, cache: Cache | None, *, callers: bool = True
) -> MachineCode:
    """The machine code of a module of moe on tensors, from the cache if it is there.

    Raises:
        MoEError: As :func:`lower`.
    """

    def build() -> MachineCode:
        lowered = lower(module, cpu)
        return MachineCode(lowered.machine_code(callers=callers), lowered.entries)

    if cache is None:
        return build()
    return _kept(cache, _key(module.print(generic=True), cpu, callers), build)


def _key(text: str, cpu: str, callers: bool) -> str:
    """The key of the code of a model."""
    pipelines = [TENSOR_PIPELINE, LOWERING_PIPELINE]
    return _key_of_code(text, cpu, *pipelines, str(OPTIMIZE_MODEL), str(callers))


def _key_of_code(text: str, cpu: str, *how: str) -> str:
    # "host" stands for the machine's name and what it has and lacks.
    return key_of([_moe.build_identity(), cpu, *_moe.check_cpu(cpu), *how, text])


def _kept(cache: Cache, key: str, build: Callable[[], MachineCode]) -> MachineCode:
    """What the cache has, or else what is built, which it has then.

    An entry is a line of JSON, the signatures, and the object after it.
    """
    content = cache.read(key)
    if content is not None:
        line, _, machine_code = content.partition(b"\n")
        return MachineCode(machine_code, json.loads(line))
    built = build()
    cache.write(key, json.dumps(built.entries).encode() + b"\n" + built.object)
    return built


class LoadedModule:
    """Compiled functions in this process, which models may share.

    Attributes:
        code: The functions.
        machine_code: What they were loaded from.
        cpu: The CPU, as it was asked for.
    """

    def __init__(self, machine_code: MachineCode, cpu: str) -> None:
        self.machine_code = machine_code
        self.cpu = cpu
        self.code = _moe.Executable(machine_code.object, cpu)


#: What is loaded, as long as a model uses it.
_loaded: weakref.WeakValueDictionary[str, LoadedModule] = weakref.WeakValueDictionary()


def load_module(
    module: _moe.Module, cpu: str, setting: str | os.PathLike[str] | None
) -> LoadedModule:
    """Compiles and loads a module of moe on tensors, or gives what was loaded.

    Args:
        setting: Of the cache, see ``open_cache``. Without one nothing is shared.

    Raises:
        MoEError: As :func:`lower`; this machine cannot run the code.
    """
    cache = open_cache(setting)
    if cache is None:
        return LoadedModule(compile_module(module, cpu, None), cpu)
    key = _key(module.print(generic=True), cpu, callers=True)
    loaded = _loaded.get(key)
    if loaded is None:
        loaded = LoadedModule(compile_module(module, cpu, cache), cpu)
        _loaded[key] = loaded
    return loaded


def lower_routing(text: str, cpu: str = "host") -> bytes:
    """The object of a module without weights."""

    def build() -> MachineCode:
        module = _moe.Module.parse(text, "route.mlir")
        module.run(f"{PIPELINE}{{cpu={cpu}}}")
        return MachineCode(module.object(cpu, OPTIMIZE_ROUTING), [])

    cache = open_cache(None)
    if cache is None:
        return build().object
    key = _key_of_code(text, cpu, PIPELINE, str(OPTIMIZE_ROUTING))
    return _kept(cache, key, build).object
